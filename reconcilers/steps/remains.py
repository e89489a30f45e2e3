"""What a broker that leaves would take with it, and what of it has to be waited for. Pure.

Everything has, except what the spec gives up by name, what it gives up of consumers that are
offline for too long, and dead letters that stay on a volume that stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from reconcilers.api.broker import BrokerSpec, ScaleIn
from reconcilers.rounding import rounded
from rocketmq.backlog import Backlog, Left, Waiting
from rocketmq.system_names import dead_letter_topic, retry_topic

_NAMED = 3


class Remains(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be waited for."""

    online: tuple[Waiting, ...] = ()
    offline: tuple[Waiting, ...] = ()
    unread: tuple[Left, ...] = ()
    dead_letters: tuple[Left, ...] = ()
    delayed: int = 0
    """Delayed and timer messages."""
    half: int = 0
    offline_until: datetime | None = None
    """When those of offline consumers are given up."""

    @property
    def nothing(self) -> bool:
        """Whether there is none."""
        return not (self._moves or self.offline or self.unread or self.dead_letters)

    @property
    def held(self) -> bool:
        """Whether it will not get less without somebody's help."""
        waits = self._moves or (self.offline and self.offline_until is not None)
        return not self.nothing and not waits

    @property
    def _moves(self) -> bool:
        return bool(self.online or self.delayed or self.half)

    @property
    def words(self) -> str:
        """All of it in a sentence; numbers are rounded, for words that change are written."""
        return "; ".join(filter(None, self._parts()))

    def _parts(self) -> Iterable[str]:
        if self.online:
            yield f"{_sum(self.online)} for {_groups(self.online)}"
        if self.delayed:
            yield f"{_count(self.delayed)} that are delayed"
        if self.half:
            yield f"{_count(self.half)} of open transactions"
        if self.offline:
            until = self.offline_until
            help_ = (
                f"offline: given up at {until.strftime('%Y-%m-%d %H:%M:%S')} UTC"
                if until is not None
                else "offline: bring consumers back, or list it in spec.scaleIn.ignoreGroups"
            )
            yield f"{_sum(self.offline)} for {_groups(self.offline)} ({help_})"
        if self.unread:
            topics = _listed(sorted(one.topic for one in self.unread))
            yield (
                f"{_count(sum(one.messages for one in self.unread))} of {topics}, which no group "
                "consumed (consume them, or list it in spec.scaleIn.ignoreTopics)"
            )
        if self.dead_letters:
            topics = _listed(sorted(one.topic for one in self.dead_letters))
            yield (
                f"{_count(sum(one.messages for one in self.dead_letters))} of {topics}, which go "
                "with the volume (read them, or list it in spec.scaleIn.ignoreTopics)"
            )


def remains(backlog: Backlog, spec: BrokerSpec, began: datetime, now: datetime) -> Remains:
    """What has to be waited for of a group whose writes were taken away when it `began`."""
    given_up = spec.scale_in
    rows = [row for row in backlog.waiting if not _is_given_up(row.topic, row.group, given_up)]
    deadline = given_up.offline_deadline_seconds
    until = None if deadline is None else began + timedelta(seconds=deadline)
    waits_for_offline = until is None or now < until
    return Remains(
        online=tuple(row for row in rows if row.online),
        offline=tuple(row for row in rows if not row.online and waits_for_offline),
        unread=_kept(backlog.unread, given_up),
        dead_letters=_kept(backlog.dead_letters, given_up) if loses_volume(spec) else (),
        delayed=backlog.delayed + backlog.timed,
        half=backlog.half,
        offline_until=until,
    )


def loses_volume(spec: BrokerSpec) -> bool:
    """Whether what a broker stored is gone with it."""
    if spec.storage_mode == "HostPath":
        return False
    return spec.storage_mode == "EmptyDir" or spec.pvc_retention_policy == "Delete"


def lost_words(backlog: Backlog | None, *, forced: bool) -> str:
    """What goes with a broker that is removed now, in words; empty: nothing."""
    if backlog is None:
        return "gives up whatever it held: nobody could look"
    found = []
    if backlog.messages:
        found.append(f"gives up {_count(backlog.messages)} that somebody has yet to be given")
        found.append("forced by the annotation" if forced else "as spec.scaleIn says")
    dead = sum(one.messages for one in backlog.dead_letters)
    if dead:
        found.append(f"{_count(dead, 'dead letter')} stay where it stored them")
    return ", ".join(found)


def _kept(found: Iterable[Left], given_up: ScaleIn) -> tuple[Left, ...]:
    return tuple(one for one in found if not _is_given_up(one.topic, "", given_up))


def _is_given_up(topic: str, group: str, given_up: ScaleIn) -> bool:
    """A group's own topics go with it: those of its retries and its dead letters."""
    own = {of(name) for name in given_up.ignore_groups for of in (retry_topic, dead_letter_topic)}
    popped = tuple(
        retry_topic(name) + mark for name in given_up.ignore_groups for mark in ("_", "+")
    )
    return (
        group in given_up.ignore_groups
        or topic in given_up.ignore_topics
        or topic in own
        or (not group and bool(popped) and topic.startswith(popped))
    )


def _sum(rows: Iterable[Waiting]) -> str:
    return _count(sum(row.messages for row in rows))


def _count(messages: int, noun: str = "message") -> str:
    found = rounded(messages)
    exactly = "" if found == messages == 1 else "at least "
    return f"{exactly}{found} {noun}{'' if found == 1 else 's'}"


def _groups(rows: Iterable[Waiting]) -> str:
    return _listed(sorted({row.group for row in rows}))


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
