"""Sending producers elsewhere before a broker stops: what to do next until nobody writes. Pure.

A broker whose `brokerPermission` lacks the write bit registers at once without it; producers notice
when they look for routes again (30 s), and until then the broker still takes what they send
(dossier 6.3). So the wait has two ends: time, and a log that stands still.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from reconcilers.api.broker import Broker
from reconcilers.facts import BrokerAnswer
from reconcilers.steps.decision import MoveWrites, NoteWrites, RestoreWrites, WritesMoved
from reconcilers.steps.members import MemberState
from reconcilers.steps.settings import PERMISSION
from rocketmq.properties import PropertiesError, parsed

READ, WRITE = 4, 2
"""Bits of a permission."""

CLOSED = "1"
"""The permission of a master that has been closed since its start (scripts/closed.sh)."""

STILL_S = 5.0
"""A log that has not grown for this long, or for the refresh time if that is less, is still."""

LOOK_AGAIN_S = 2.0

NEVER_STILL_S = 60.0
"""Delayed messages and the broker's own topics may keep a log growing: this long over twice the
refresh time, and producers are gone all the same."""


Elsewhere = Literal["yes", "unknown", "later", "no"]
"""Whether producers of a group can go to another one: `unknown` while none that is known to take
writes is left but one is slow to answer; `later` when another group would take them, were it not
down or on its own turn; `no` when there is none that ever does."""


class Quieting(msgspec.Struct, frozen=True):
    """What to do, or what to wait for, until producers are gone."""

    step: MoveWrites | NoteWrites | None
    message: str
    again_after_s: float = LOOK_AGAIN_S


def permission_of(answer: BrokerAnswer) -> int:
    """The broker's permission; one that nobody can read counts as all."""
    text = answer.settings.get(PERMISSION, "")
    return int(text) if text.isdecimal() else READ | WRITE


def is_closed(master: MemberState) -> bool:
    """Whether this master lets no client in since its start."""
    if not master.member.is_master or not isinstance(master.answer, BrokerAnswer):
        return False
    return master.answer.settings.get(PERMISSION) == CLOSED


def own_permission(cr: Broker, common_config: str | None) -> str:
    """The permission that a user's configuration gives to brokers, where it can be read."""
    given = cr.spec.config.get(PERMISSION)
    if given is None:
        try:
            given = parsed(common_config or "").get(PERMISSION, "")
        except PropertiesError:
            given = ""  # the broker refuses such a file, and says so
    if given == CLOSED:
        return "0"  # it means the same, and nobody is opened for it
    return given if given.isdecimal() else str(READ | WRITE)


def writes_elsewhere(master: MemberState, states: Iterable[MemberState]) -> Elsewhere:
    """Whether producers of this master can go to another one of these brokers."""
    found = {
        _takes_writes(other)
        for other in states
        if other.member.is_master and other.member.group != master.member.group
    }
    order: tuple[Elsewhere, ...] = ("yes", "unknown", "later")
    return next((answer for answer in order if answer in found), "no")


def _takes_writes(other: MemberState) -> Elsewhere:
    if other.pod is None or not other.pod.ready:
        return "later"
    if not isinstance(other.answer, BrokerAnswer):
        return "unknown"
    if permission_of(other.answer) & WRITE:
        return "yes"
    return "later" if other.note is not None or is_closed(other) else "no"


def quieting(master: MemberState, refresh_s: float, now: datetime) -> Quieting | None:
    """The next step towards a master that nobody writes to; None: nobody does any more.

    `master` has a pod and an answer.
    """
    pod, answer = master.pod, master.answer
    assert pod is not None  # noqa: S101 - for the type checker; the gate has looked
    assert isinstance(answer, BrokerAnswer)  # noqa: S101 - the same
    permission = permission_of(answer)
    note = master.note
    # A note from the future is of a clock that was ahead: nobody knows how long ago it was made.
    if note is None or note.since > now or permission & WRITE:
        before = answer.settings.get(PERMISSION, str(READ | WRITE))
        fresh = WritesMoved(
            since=now,
            permission=before if note is None else note.permission,
            log_end=answer.log_end,
            still_since=now,
        )
        step = MoveWrites(
            master.name, pod.metadata.uid, master.address, fresh, str(permission & READ)
        )
        return Quieting(step, f"producers are sent from {master.name} to other groups")
    return _wait(master.name, pod.metadata.uid, note, answer.log_end, refresh_s, now)


def _wait(
    name: str, uid: str, note: WritesMoved, log_end: int, refresh_s: float, now: datetime
) -> Quieting | None:
    since = (now - note.since) / timedelta(seconds=1)
    still_s = min(STILL_S, refresh_s)
    if since < refresh_s - still_s:
        left = refresh_s - since
        return Quieting(
            None, f"producers have until {_clock(note, refresh_s)} to leave {name}", left
        )
    still = (now - note.still_since) / timedelta(seconds=1)
    if log_end != note.log_end:
        # It counts as never still only if it has just been seen to grow.
        if since >= 2 * refresh_s + NEVER_STILL_S and still <= 2 * STILL_S:
            return None
        fresh = msgspec.structs.replace(note, log_end=log_end, still_since=now)
        return Quieting(NoteWrites(name, uid, fresh), f"{name} is still written to")
    if since < refresh_s or still < still_s:
        return Quieting(None, f"the log of {name} has to stand still for a moment")
    return None


def _clock(note: WritesMoved, refresh_s: float) -> str:
    return (note.since + timedelta(seconds=refresh_s)).strftime("%H:%M:%S")


def restoring(master: MemberState) -> RestoreWrites | None:
    """What gives a master its writes back, if they were moved."""
    if master.note is None or master.pod is None or not isinstance(master.answer, BrokerAnswer):
        return None
    return RestoreWrites(
        master.name, master.pod.metadata.uid, master.address, master.note.permission
    )
