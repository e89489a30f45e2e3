"""What the status says of groups that leave. Pure.

Numbers are rounded to the power of two below: the status of a group that is consumed is written a
few times, not with every message.
"""

from __future__ import annotations

from reconcilers import reasons
from reconcilers.api.broker import BacklogRow, ScaleInRow
from reconcilers.rounding import rounded
from reconcilers.steps.decision import LeavingGroup, Progress
from rocketmq.backlog import Backlog

ROWS = 10


def scale_in_rows(progress: Progress) -> tuple[ScaleInRow, ...]:
    """A row for each group that leaves."""
    return tuple(_row(group) for group in progress.decision.leaving)


def leaving_held(progress: Progress | None) -> tuple[str, str] | None:
    """What somebody has to do before a group can leave, as reason and message."""
    leaving = progress.decision.leaving if progress is not None else ()
    messages = [group.message for group in leaving if group.phase == "Held"]
    return (reasons.SCALE_IN_HELD, "; ".join(messages)) if messages else None


def leaving_words(progress: Progress | None) -> tuple[str, str] | None:
    """Which groups leave without anybody's help, as reason and message."""
    leaving = progress.decision.leaving if progress is not None else ()
    messages = [group.message for group in leaving if group.phase != "Held"]
    return (reasons.SCALING_IN, "; ".join(messages)) if messages else None


def _row(group: LeavingGroup) -> ScaleInRow:
    found = group.backlog or Backlog()
    rows = _backlog_rows(found)
    return ScaleInRow(
        group=group.name,
        phase=group.phase,
        message=group.message,
        messages=rounded(found.messages),
        delayed=rounded(found.delayed + found.timed),
        half=rounded(found.half),
        dead_letters=rounded(sum(one.messages for one in found.dead_letters)),
        topics=rows[:ROWS],
        more=max(0, len(rows) - ROWS),
    )


def _backlog_rows(found: Backlog) -> tuple[BacklogRow, ...]:
    """The most messages first, by what is shown: an order that follows them would never rest."""
    rows = [
        BacklogRow(
            topic=row.topic, group=row.group, messages=rounded(row.messages), online=row.online
        )
        for row in found.waiting
    ]
    rows += [BacklogRow(topic=one.topic, messages=rounded(one.messages)) for one in found.unread]
    return tuple(sorted(rows, key=lambda row: (-row.messages, row.topic, row.group)))
