"""Groups that leave as the gate sees them, in few words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from fakes.gate_facts import NOW, Seen, decided, seen
from reconcilers.desired import names
from reconcilers.facts import Look, Silence
from reconcilers.steps.decision import Decision, Leaving
from rocketmq.backlog import Backlog, Waiting

M2 = "broker-2-master-0"
LOG_END = 1000
FORCED = {names.FORCE_SCALE_IN: "true"}
EMPTY = Backlog(log_begin=LOG_END, log_end=LOG_END)


def ago(seconds: float) -> datetime:
    """A moment before now."""
    return NOW - timedelta(seconds=seconds)


def leaving(seconds_ago: float = 100, **changes: Any) -> Leaving:
    """The note on a StatefulSet whose group has left off writes so long ago."""
    note = Leaving(began=ago(seconds_ago), since=ago(seconds_ago), permission="6")
    return msgspec.structs.replace(note, **changes)


def quiet(seconds_ago: float = 100, **changes: Any) -> Seen:
    """A master that takes no writes any more."""
    return seen(permission="4", leaving=leaving(seconds_ago, **changes))


def drained(seconds_ago: float = 40.0) -> Seen:
    """A master that was found to hold nothing so long ago."""
    return quiet(empty_since=ago(seconds_ago), empty_log_end=LOG_END)


def decide(
    found: Mapping[str, Seen],
    backlogs: Mapping[str, Backlog | Silence] | None = None,
    *,
    at: datetime = NOW,
    servers: Mapping[str, Seen] | None = None,
    facts: Mapping[str, Any] | None = None,
    replicas: int = 0,
    **spec: Any,
) -> Decision:
    """About a Broker of one group beside which there are others."""
    looks = {
        pod: one if isinstance(one, Silence) else Look(at, one)
        for pod, one in (backlogs or {}).items()
    }
    more = {"looks": looks, **(facts or {})}
    return decided(servers or {}, 1, replicas, surplus=found, facts=more, **spec)


def row(*, online: bool, topic: str = "t", group: str = "g") -> Waiting:
    """Five messages."""
    return Waiting(topic=topic, group=group, messages=5, online=online)


def held(**changes: Any) -> Backlog:
    """What a master holds: nothing, but for these changes."""
    return msgspec.structs.replace(EMPTY, **changes)
