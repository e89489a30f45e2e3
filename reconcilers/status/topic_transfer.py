"""The status of a TopicTransfer, from what was there and what is to be done. Pure.

Numbers of messages are rounded, so that the status is not written for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from controller.conditions import Condition, rfc3339
from controller.objects import ObjectMeta, Undecodable
from reconcilers import reasons
from reconcilers.api.topic_transfer import Phase, TopicTransfer, TopicTransferStatus
from reconcilers.api.transfer_record import GroupRow, QueueRow
from reconcilers.rounding import rounded
from reconcilers.status.conditions import Conditions, add_invalid_conditions
from reconcilers.transfer.decision import TERMINAL
from reconcilers.transfer.facts import Side, SideFacts, TransferFacts
from reconcilers.transfer.groups_going import kept
from reconcilers.transfer.lags import GroupLag, group_lags, left
from reconcilers.transfer.outcome import Act, Move, Outcome, Wait

GROUP_ROWS = 20
QUEUE_ROWS = 5

_TARGET_STAGES = ("CloseTarget", "DrainTarget", "DeleteTarget")
"""Where it is the target's messages that are waited for."""

_KEPT_ON = ("DeleteGroups", "CreateRetryTopics", "DeleteTargetGroups")
"""Where what stays is told: the first two of the source, the last one of the target."""


def transfer_status(
    cr: TopicTransfer,
    facts: TransferFacts | None,
    outcome: Outcome,
    now: datetime,
    failure: str = "",
) -> TopicTransferStatus:
    """What there is after this outcome; `failure` is what an effect was refused for."""
    status = _moved(cr, outcome, now) if isinstance(outcome, Move) else cr.status
    if isinstance(outcome, Act) and outcome.after is not None and not failure:
        status = msgspec.structs.replace(status, progress=outcome.after)
    if failure:
        progress = status.progress
        after = msgspec.structs.replace(progress, failures=progress.failures + 1, failure=failure)
        status = msgspec.structs.replace(status, progress=after)
    elif isinstance(outcome, Wait) and not status.phase:
        status = msgspec.structs.replace(status, phase="Waiting")
    words = f"{outcome.words}; refused: {failure}" if failure else outcome.words
    status = msgspec.structs.replace(status, observed_generation=cr.metadata.generation, step=words)
    if facts is not None and status.record is not None:
        status = _seen(msgspec.structs.replace(cr, status=status), facts)
    problem = outcome.problem if isinstance(outcome, Wait) else ""
    conditions = _conditions(cr.metadata, cr.status.conditions, status, problem, now)
    return msgspec.structs.replace(status, conditions=conditions)


def problem_status(
    cr: TopicTransfer, reason: str, message: str, now: datetime
) -> TopicTransferStatus:
    """What there is of one that cannot go on until somebody does something."""
    return transfer_status(cr, None, Wait(words=message, problem=reason), now)


def undecodable_status(
    cr: Undecodable, before: TopicTransferStatus, now: datetime
) -> TopicTransferStatus:
    """What there is of one that was stored under another schema: all that is recorded stays."""
    conditions = Conditions(cr.metadata, before.conditions)
    message = f"{cr.error}; correct this field"
    add_invalid_conditions(conditions, reasons.INVALID_SPEC, message)
    return msgspec.structs.replace(
        before,
        observed_generation=cr.metadata.generation,
        conditions=conditions.merged(now),
    )


def _moved(cr: TopicTransfer, move: Move, now: datetime) -> TopicTransferStatus:
    status = cr.status
    phase = status.phase if move.phase is None else move.phase
    ended = phase in TERMINAL
    return msgspec.structs.replace(
        status,
        phase=phase,
        stage=status.stage if move.stage is None else move.stage,
        progress=move.progress,
        record=status.record if move.record is None else move.record,
        reason=status.reason if move.reason is None else move.reason,
        started_at=status.started_at or ("" if ended else rfc3339(now)),
        finished_at=rfc3339(now) if ended else "",
    )


def _seen(cr: TopicTransfer, facts: TransferFacts) -> TopicTransferStatus:
    status = cr.status
    record = status.record
    if status.phase == "Planned" or (status.stage == "Recorded" and not status.plan):
        status = msgspec.structs.replace(status, plan=tuple(_plan(cr, facts)))
    if status.stage in _KEPT_ON and not facts.silences:
        side: Side = "source" if status.stage in _KEPT_ON[:2] else "target"
        left_there = tuple(kept(cr, record, facts.side(side), side))[:GROUP_ROWS]
        status = msgspec.structs.replace(status, kept=left_there)
    return _with_rows(msgspec.structs.replace(cr, status=status), facts)


def _with_rows(cr: TopicTransfer, facts: TransferFacts) -> TopicTransferStatus:
    status = cr.status
    record = status.record
    if record is None or status.phase in TERMINAL:
        return msgspec.structs.replace(status, lag=0, groups=(), more_groups=0)
    side = facts.target if status.stage in _TARGET_STAGES else facts.source
    if side.silences:
        return status  # what was seen last is better than a part of it
    lags = group_lags(cr, record, side)
    return msgspec.structs.replace(
        status,
        lag=rounded(left(lags)),
        groups=tuple(_row(one) for one in lags[:GROUP_ROWS]),
        more_groups=max(0, len(lags) - GROUP_ROWS),
    )


def _row(lag: GroupLag) -> GroupRow:
    queues = sorted(lag.queues, key=lambda one: (-rounded(one.messages), one.broker, one.queue))
    return GroupRow(
        name=lag.name,
        online=lag.online,
        shared=lag.shared,
        ignored=lag.ignored,
        lag=rounded(lag.messages),
        queues=tuple(
            QueueRow(broker=one.broker, topic=one.topic, queue=one.queue, lag=rounded(one.messages))
            for one in queues[:QUEUE_ROWS]
        ),
        more=max(0, len(queues) - QUEUE_ROWS),
    )


_ENDS: dict[Phase, tuple[str, str]] = {
    "Succeeded": ("True", reasons.SUCCEEDED),
    "Planned": ("True", reasons.PLANNED),
    "RolledBack": ("False", reasons.ROLLED_BACK),
}


def _conditions(
    metadata: ObjectMeta,
    before: Sequence[Condition],
    status: TopicTransferStatus,
    problem: str,
    now: datetime,
) -> tuple[Condition, ...]:
    conditions = Conditions(metadata, before)
    end = _ENDS.get(status.phase)
    if end is not None:
        words = "; ".join(filter(None, (status.step, status.reason)))
        conditions.add(reasons.READY, "True" if end[0] == "True" else "False", end[1], words)
        conditions.add(reasons.PROGRESSING, "False", end[1], "nothing is done any more")
        conditions.add(reasons.DEGRADED, "False", reasons.HEALTHY, "nothing needs anybody's help")
        return conditions.merged(now)
    reason = problem or status.phase or reasons.WAITING
    conditions.add(reasons.READY, "False", reason, status.step)
    conditions.add(reasons.PROGRESSING, "False" if problem else "True", reason, status.step)
    refused = status.progress.failure
    if problem:
        conditions.add(reasons.DEGRADED, "True", problem, status.step)
    elif refused:
        conditions.add(reasons.DEGRADED, "True", reasons.STEP_FAILED, refused)
    else:
        conditions.add(reasons.DEGRADED, "False", reasons.HEALTHY, "nothing needs anybody's help")
    return conditions.merged(now)


def _plan(cr: TopicTransfer, facts: TransferFacts) -> Iterator[str]:
    from_, to = cr.spec.source_cluster, cr.spec.target_cluster
    record = cr.status.record
    groups = () if record is None else record.groups
    shared = {name for look in facts.source.looks.values() for name in look.shared}
    new = [one.name for one in groups if not all(part.config for part in one.target)]
    going = [one.name for one in groups if one.name not in shared]
    yield f"1/7 make groups on {to}: {_named(new)}"
    yield f"2/7 make {cr.spec.topic} on {to}: {_named(sorted(facts.target.brokers))}"
    yield f"3/7 take the write permission of {cr.spec.topic} on {from_}"
    yield f"4/7 wait until nothing is left on {from_}: {_remaining(cr, facts.source)}"
    yield f"5/7 delete {cr.spec.topic} on {from_}: {_named(sorted(facts.source.holders()))}"
    yield f"6/7 delete groups that consume nothing else on {from_}: {_named(going)}"
    yield f"7/7 make retry topics on {to}: {_named([one.name for one in groups])}"


def _remaining(cr: TopicTransfer, side: SideFacts) -> str:
    record = cr.status.record
    lags = () if record is None else group_lags(cr, record, side)
    return f"about {rounded(left(lags))} messages at present"


def _named(names: Sequence[str]) -> str:
    more = len(names) - QUEUE_ROWS
    listed = ", ".join(names[:QUEUE_ROWS]) or "none"
    return f"{listed} and {more} more" if more > 0 else listed
