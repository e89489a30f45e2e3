"""What a transfer does next: a plain function of the resource, the facts and the time. Pure.

Each stage ensures what it and the stages before it are for, on every server that answers; when all
of it has been read back from every broker and every name server, the next stage is written to the
status. A silent server holds a stage up and undoes nothing.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from controller.conditions import rfc3339
from reconcilers.api.topic_transfer import Phase, Stage, TopicTransfer
from reconcilers.api.transfer_record import TransferProgress, TransferRecord
from reconcilers.transfer import effects, stages
from reconcilers.transfer.clock import seconds_since
from reconcilers.transfer.facts import TransferFacts
from reconcilers.transfer.outcome import Act, Move, Outcome, Wait
from reconcilers.transfer.problems import is_ordered, problem
from reconcilers.transfer.record import LIMIT_BYTES, amended, size_bytes, taken
from reconcilers.transfer.stand import Stand

TERMINAL: tuple[Phase, ...] = ("Succeeded", "RolledBack", "Planned")

REFUSALS = 5
"""So often a step may be refused before the transfer is rolled back."""

_UNTIL_ROUTE: tuple[Stage, ...] = ("Recorded", "CreateGroups", "CreateTopic", "AwaitConsumers")
_AT_ONCE: tuple[Stage, ...] = ("OpenTarget", "CloseSource", "Drain")
_IN_ORDER: tuple[Stage, ...] = ("CloseSource", "Drain", "OpenTarget")
_AFTERWARDS: tuple[Stage, ...] = ("DeleteTopic", "DeleteGroups", "CreateRetryTopics")
_BACK: tuple[Stage, ...] = (
    "RestoreSource",
    "CloseTarget",
    "DrainTarget",
    "DeleteTarget",
    "DeleteTargetGroups",
)
_BACK_IN_ORDER: tuple[Stage, ...] = (
    "CloseTarget",
    "DrainTarget",
    "RestoreSource",
    "DeleteTarget",
    "DeleteTargetGroups",
)


def course(*, ordered: bool) -> tuple[Stage, ...]:
    """The stages of a transfer that succeeds."""
    return (*_UNTIL_ROUTE, *(_IN_ORDER if ordered else _AT_ONCE), *_AFTERWARDS)


def way_back(*, ordered: bool) -> tuple[Stage, ...]:
    """The stages of a transfer that is undone.

    Where order counts, what producers sent to the target is consumed before they go back.
    """
    return _BACK_IN_ORDER if ordered else _BACK


def decide(cr: TopicTransfer, facts: TransferFacts, now: datetime) -> Outcome:
    """The next thing to do for a transfer that is not terminal."""
    status = cr.status
    if not status.stage or status.record is None:
        return _begin(cr, facts, now)
    ordered = is_ordered(cr, status.record)
    opened_in_order = ordered and status.progress.opened
    back = _back(cr, way_back(ordered=opened_in_order)[0], now)
    if back is not None:
        return back
    if status.stage == "Recorded":
        return _first(cr, facts, now)
    if status.phase == "Transferring":
        more = _amendment(cr, status.record, facts)
        if more is not None:
            return more
    back_again = status.phase == "RollingBack"
    order = way_back(ordered=opened_in_order) if back_again else course(ordered=ordered)
    stand = Stand(
        cr=cr, record=status.record, facts=facts, now=now, stage=status.stage, order=order
    )
    outcome = stages.work(stand)
    return _next(stand) if outcome is None else outcome


def _begin(cr: TopicTransfer, facts: TransferFacts, now: datetime) -> Outcome:
    if cr.spec.cancel:
        return _end("RolledBack", "cancelled before anything was changed")
    found = problem(cr, facts)
    if found is not None:
        return found
    record = taken(cr.spec.topic, facts)
    if cr.spec.dry_run:
        return _end("Planned", "nothing was changed: spec.dryRun", record)
    return Move(
        progress=TransferProgress(since=rfc3339(now)),
        phase="Transferring",
        stage="Recorded",
        record=record,
        words="recorded how everything is",
    )


def _first(cr: TopicTransfer, facts: TransferFacts, now: datetime) -> Outcome:
    """Looked at once more: whoever recorded at the same time sees the other one now."""
    found = problem(cr, facts)
    if found is not None:
        return found
    record = cr.status.record
    if record != taken(cr.spec.topic, facts) and _topics_changed(cr, record, facts):
        return Move(
            progress=TransferProgress(since=rfc3339(now)),
            record=taken(cr.spec.topic, facts),
            words="recorded anew how everything is",
        )
    return Move(
        progress=TransferProgress(since=rfc3339(now)),
        stage="CreateGroups",
        words="the groups of the topic are made on the target",
    )


def _topics_changed(cr: TopicTransfer, record: TransferRecord | None, facts: TransferFacts) -> bool:
    """Whether settings have changed since; offsets do all the time."""
    found = taken(cr.spec.topic, facts)
    if record is None:
        return True
    return (record.source, record.target) != (found.source, found.target) or {
        one.name for one in record.groups
    } != {one.name for one in found.groups}


def _amendment(cr: TopicTransfer, record: TransferRecord, facts: TransferFacts) -> Outcome | None:
    """Brokers and groups that have come since are recorded before anything is made there."""
    come = facts.target.looks.keys() - {row.broker for row in record.target}
    remains = tuple(effects.clear_remains(come, cr.spec.topic, facts.target))
    if remains:
        return Act(effects=remains, words=f"an earlier topic's rest on {facts.target.cluster} goes")
    more = amended(cr.spec.topic, record, facts)
    if more == record:
        return None
    if size_bytes(more) > LIMIT_BYTES:
        return Wait(words="there is no room to record the groups that have come since")
    return Move(progress=cr.status.progress, record=more, words="recorded what has come since")


def _back(cr: TopicTransfer, stage: Stage, now: datetime) -> Move | None:
    """Whether it is time to go back, and to where."""
    status = cr.status
    if status.phase not in ("Transferring", "Completing"):
        return None
    reason = _reason(cr, now)
    if not reason:
        return None
    if status.stage == "Recorded":
        return _end("RolledBack", f"{reason}; nothing had been changed")
    return Move(
        progress=msgspec.structs.replace(
            TransferProgress(since=rfc3339(now)), opened=status.progress.opened
        ),
        phase="RollingBack",
        stage=stage,
        reason=reason,
        words=f"rolling back: {reason}",
    )


def _reason(cr: TopicTransfer, now: datetime) -> str:
    if cr.spec.cancel:
        return "spec.cancel"
    if cr.status.phase != "Transferring":
        return ""  # deleting on the source has begun: only an explicit wish turns it back
    if cr.metadata.terminating:
        return "the TopicTransfer is being deleted"
    deadline_s = cr.spec.deadline_seconds
    if deadline_s is not None and seconds_since(cr.status.started_at, now) >= deadline_s:
        return f"it took longer than spec.deadlineSeconds ({deadline_s} s)"
    if cr.status.progress.failures >= REFUSALS:
        return f"a step was refused {REFUSALS} times: {cr.status.progress.failure}"
    return ""


def _next(stand: Stand) -> Move:
    """The stage after this one, or the end."""
    status = stand.cr.status
    place = stand.order.index(stand.stage) + 1
    if place == len(stand.order):
        if status.phase == "RollingBack":
            return _end("RolledBack", "everything is as it was before")
        return _end("Succeeded", f"{stand.cr.spec.topic} is on {stand.cr.spec.target_cluster}")
    stage = stand.order[place]
    phase: Phase | None = "Completing" if stage == "DeleteTopic" else None
    return Move(
        progress=stages.entered(stand, stage),
        phase=phase,
        stage=stage,
        words=stages.announcement(stage, stand.cr),
    )


def _end(phase: Phase, words: str, record: TransferRecord | None = None) -> Move:
    return Move(progress=TransferProgress(), phase=phase, record=record, words=words)


def is_terminal(cr: TopicTransfer) -> bool:
    """Whether nothing is ever done again."""
    return cr.status.phase in TERMINAL


def needs_finalizer(outcome: Outcome) -> bool:
    """Whether something will be changed after this, which must not be left half done."""
    return isinstance(outcome, Act) or (
        isinstance(outcome, Move) and outcome.phase == "Transferring"
    )
