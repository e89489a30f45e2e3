"""What a load of one topic shows: what was lost, came twice or out of order. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from itertools import pairwise

import msgspec

from fakes.queue_lives import lives

_SHOWN = 10


class Acknowledged(msgspec.Struct, frozen=True):
    """A message that a broker has stored; a delayed one at another place than `queue` says."""

    number: int
    key: int
    broker: str
    queue: int
    offset: int
    delayed: bool
    at: float


class Received(msgspec.Struct, frozen=True):
    """A message that a group had."""

    group: str
    number: int
    broker: str
    topic: str
    queue: int
    offset: int
    at: float


class Report(msgspec.Struct, frozen=True):
    """Everything that was written down."""

    groups: tuple[str, ...]
    acknowledged: tuple[Acknowledged, ...]
    received: tuple[Received, ...]
    failures: tuple[str, ...]

    def missing(self, group: str) -> set[int]:
        """What was acknowledged and the group has not had (yet)."""
        had = {one.number for one in self.received if one.group == group}
        return {one.number for one in self.acknowledged} - had

    @property
    def all_missing(self) -> dict[str, set[int]]:
        """The same for every group that misses something."""
        found = {group: self.missing(group) for group in self.groups}
        return {group: numbers for group, numbers in found.items() if numbers}

    @property
    def duplicates(self) -> dict[str, int]:
        """How often each group had a message once more."""
        counts = Counter((one.group, one.number) for one in self.received)
        found = Counter(dict.fromkeys(self.groups, 0))
        for (group, _), times in counts.items():
            found[group] += times - 1
        return dict(found)

    @property
    def reordered(self) -> list[Received]:
        """What came for the first time after a later message of its queue.

        A topic that was deleted and is back has its queues anew: at a place that the group knows
        stands another message.
        """
        places = [
            ((one.group, one.broker, one.topic, one.queue), one.offset, one.number)
            for one in self.received
        ]
        seen: set[tuple[Hashable, int, int]] = set()
        reached: dict[tuple[Hashable, int], int] = {}
        late = []
        for one, (queue, offset, _), life in zip(self.received, places, lives(places), strict=True):
            if (queue, life, offset) in seen:
                continue
            seen.add((queue, life, offset))
            if offset < reached.get((queue, life), -1):
                late.append(one)
            reached[queue, life] = max(offset, reached.get((queue, life), -1))
        return late

    def key_disorder(self, group: str) -> list[int]:
        """Numbers that the group had for the first time after a later one of the same key."""
        keys = {one.number: one.key for one in self.acknowledged}
        reached: dict[int, int] = {}
        seen: set[int] = set()
        late = []
        for one in self.received:
            key = keys.get(one.number, -1)
            if one.group != group or key < 0 or one.number in seen:
                continue
            seen.add(one.number)
            if one.number < reached.get(key, -1):
                late.append(one.number)
            reached[key] = max(one.number, reached.get(key, -1))
        return late

    @property
    def by_broker(self) -> dict[str, int]:
        """Acknowledged messages by broker."""
        return dict(Counter(one.broker for one in self.acknowledged))

    @property
    def longest_send_gap_s(self) -> float:
        """The longest time in which no message was acknowledged."""
        return max((b.at - a.at for a, b in pairwise(self.acknowledged)), default=0.0)

    def __str__(self) -> str:
        """One paragraph for a report."""
        missing = {group: _some(numbers) for group, numbers in self.all_missing.items()}
        return (
            f"{len(self.acknowledged)} acknowledged {self.by_broker}, {len(self.failures)} "
            f"failures {list(self.failures[:3])}; missing {missing}, duplicates {self.duplicates}, "
            f"{len(self.reordered)} out of order; longest gap {self.longest_send_gap_s:.1f} s"
        )


def _some(numbers: set[int]) -> str:
    ordered = sorted(numbers)
    more = ", ..." if len(ordered) > _SHOWN else ""
    return f"{len(ordered)} ({str(ordered[:_SHOWN])[1:-1]}{more})"
