"""What of a transfer is worth an Event: each stage, each end, and what somebody has to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconcilers import reasons
from reconcilers.api.topic_transfer import TopicTransferStatus
from reconcilers.status.notices import Notice
from reconcilers.transfer.decision import TERMINAL


def transfer_notices(before: TopicTransferStatus, after: TopicTransferStatus) -> tuple[Notice, ...]:
    """Equal statuses give none."""
    return tuple(_notices(before, after))


def _notices(before: TopicTransferStatus, after: TopicTransferStatus) -> Iterator[Notice]:
    if after.phase in TERMINAL and before.phase != after.phase:
        words = "; ".join(filter(None, (after.step, after.reason, *after.kept)))
        yield Notice("Normal", after.phase, words)
    elif after.phase == "RollingBack" and before.phase != after.phase:
        yield Notice("Warning", reasons.ROLLING_BACK, after.step)
    elif after.stage != before.stage:
        yield Notice("Normal", reasons.TRANSFER_STEP, after.step)
    known = {one.type: (one.status, one.reason) for one in before.conditions}
    for one in after.conditions:
        bad = one.type == reasons.DEGRADED and one.status == "True"
        if bad and known.get(one.type) != (one.status, one.reason):
            yield Notice("Warning", one.reason, one.message)
