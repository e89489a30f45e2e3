"""What users are told by Events: from the status before and after, and what was written. Pure.

An Event marks a change: of a condition, or of an object. Equal statuses and no writes give none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Literal, Protocol

import msgspec

from controller.conditions import Condition
from reconcilers import reasons
from reconcilers.steps.decision import (
    CopyMetadata,
    Done,
    GrowClaim,
    MoveWrites,
    NoteDrained,
    Open,
    PushSettings,
    RemoveBroker,
    RemoveReplica,
    Restart,
    RestoreWrites,
    ReturnWrites,
    StopWrites,
)

CREATED = "Created"
UPDATED = "Updated"
DELETED = "Deleted"
RECREATING = "Recreating"
"""Deleted without what it owns, to be made again: the only way to change an immutable field."""

_REASONS = {
    "created": CREATED,
    "changed": UPDATED,
    "deleted": DELETED,
    "recreating": RECREATING,
}


class Notice(msgspec.Struct, frozen=True):
    """One Event about the resource."""

    type: Literal["Normal", "Warning"]
    reason: str
    note: str


class Written(Protocol):
    """One object that was written (a line of an outcome)."""

    @property
    def action(self) -> str:
        """`created`, `changed`, `deleted` or `recreating`."""
        ...

    @property
    def ref(self) -> object:
        """Which object; its text names it."""
        ...

    @property
    def paths(self) -> Sequence[str]:
        """The fields that differed."""
        ...


def notices(
    before: Iterable[Condition], after: Iterable[Condition], writes: Iterable[Written]
) -> tuple[Notice, ...]:
    """What is worth an Event: writes first, then the conditions that they led to."""
    known = {condition.type: condition for condition in before}
    moved = [
        notice
        for condition in after
        if _moved(known.get(condition.type), condition)
        and (notice := _of_condition(condition)) is not None
    ]
    return (*_of_writes(writes), *moved)


_STEPS: dict[type, str] = {
    Restart: reasons.RESTARTING_POD,
    MoveWrites: reasons.WRITES_MOVED,
    RestoreWrites: reasons.WRITES_RESTORED,
    PushSettings: reasons.SETTINGS_PUSHED,
    RemoveReplica: reasons.REPLICA_REMOVED,
    StopWrites: reasons.GROUP_LEAVING,
    NoteDrained: reasons.GROUP_DRAINED,
    RemoveBroker: reasons.GROUP_REMOVED,
    ReturnWrites: reasons.GROUP_KEPT,
    CopyMetadata: reasons.COPYING_METADATA,
    Open: reasons.GROUP_OPENED,
    GrowClaim: reasons.VOLUME_GROWN,
}


def step_notices(done: Iterable[Done], message: str) -> tuple[Notice, ...]:
    """Each step that users should hear of; `message` says what it is a part of."""
    return tuple(
        Notice("Normal", _STEPS[type(one.step)], _of_step(one.step, message))
        if not one.failure
        else Notice("Warning", reasons.STEP_FAILED, f"{message or 'a step'}: {one.failure}")
        for one in done
        # A volume that must not grow is a condition, not an Event at each try.
        if type(one.step) in _STEPS and not (one.failure and isinstance(one.step, GrowClaim))
    )


def _of_step(step: object, message: str) -> str:
    match step:
        case PushSettings(pod, _, changes):
            told = ", ".join(f"{key}={value}" for key, value in sorted(changes.items()))
            return f"told {pod}: {told}"
        case CopyMetadata(pod=pod, source=source):
            return f"{pod} gets the topics and groups of {source}"
        case Open(pod=pod, why=why):
            return f"{pod} is open to clients: {why}"
        case GrowClaim(_, claim, _, size):
            return f"{claim} asks for {size}"
        case _:
            return _of_leaving(step) or message


def _of_leaving(step: object) -> str:
    match step:
        case StopWrites(pod):
            return f"the group of {pod} leaves: producers are sent to other groups"
        case NoteDrained(pod):
            return f"{pod} holds nothing for anybody; it is looked at once more"
        case RemoveBroker(pod, _, _, given_up):
            return f"removed {pod}: not wanted any more" + (f"; {given_up}" if given_up else "")
        case ReturnWrites(pod):
            return f"the group of {pod} is wanted again: producers may use it"
        case _:
            return ""


def _of_writes(writes: Iterable[Written]) -> Iterable[Notice]:
    for action, lines in groupby(writes, key=lambda line: line.action):
        yield Notice("Normal", _REASONS[action], "; ".join(map(_words, lines)))


def _words(line: Written) -> str:
    return f"{line.ref} ({', '.join(line.paths)})" if line.paths else f"{line.ref}"


def _moved(old: Condition | None, new: Condition) -> bool:
    # The message may name another pod, or count differently: that is no news of its own. A new
    # generation with the same trouble is: the user has tried to mend it.
    return old is None or _essence(old) != _essence(new)


def _essence(condition: Condition) -> tuple[object, ...]:
    bad = condition.type == reasons.DEGRADED and condition.status == "True"
    generation = condition.observed_generation if bad else None
    return condition.status, condition.reason, generation


def _of_condition(condition: Condition) -> Notice | None:
    if condition.type == reasons.READY and condition.status == "True":
        return Notice("Normal", reasons.READY, condition.message)
    if condition.type == reasons.DEGRADED and condition.status == "True":
        return Notice("Warning", condition.reason, condition.message)
    if condition.reason == reasons.IDENTITY_KEYS_IGNORED:
        return Notice("Warning", condition.reason, condition.message)
    return None
