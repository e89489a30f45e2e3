"""What happened in the world, and what can be read from it afterwards. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from rocketmq.codes import request_name

What = Literal["started", "serving", "failing", "stopped", "crashed"]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One admin request that reached a server; numbers count from 1. Only the operator asks."""

    number: int
    at: float
    pod: str
    code: int
    ext_fields: dict[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.number}: {request_name(self.code)} to {self.pod}"


class Event(msgspec.Struct, frozen=True):
    """A server's life: `serving` is what a readiness probe would find, `failing` its end while the
    process lives, `stopped` the end by SIGTERM, `crashed` any other (or no start at all)."""

    at: float
    what: What
    pod: str
    group: str
    """Its brokerName; empty for a name server."""
    reason: str = ""


class Outage(msgspec.Struct, frozen=True):
    """From the end of a server that had served until it serves again; `until` None: not yet."""

    pod: str
    group: str
    since: float
    until: float | None


def outages(events: Iterable[Event]) -> list[Outage]:
    """The outages, in the order of their beginning; a `failing` server is not one."""
    found: list[Outage] = []
    served: set[str] = set()
    down: dict[str, int] = {}
    for event in events:
        if event.what in {"stopped", "crashed"} and event.pod in served and event.pod not in down:
            down[event.pod] = len(found)
            found.append(Outage(event.pod, event.group, event.at, None))
        elif event.what == "serving":
            served.add(event.pod)
            if (index := down.pop(event.pod, None)) is not None:
                found[index] = msgspec.structs.replace(found[index], until=event.at)
    return found


def most_at_once(found: Sequence[Outage]) -> int:
    """The largest number of outages that one moment belongs to."""
    beginnings = (one.since for one in found)
    return max((_count_at(found, moment) for moment in beginnings), default=0)


def _count_at(found: Iterable[Outage], moment: float) -> int:
    return sum(one.since <= moment and _before(moment, one.until) for one in found)


def _before(moment: float, until: float | None) -> bool:
    return until is None or moment < until
