"""Who stored, consumed and lost which message. Pure.

A message is lost for a group when its producer was told that it is stored, the group never had it,
and no queue that the group reads will ever give it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec


class Place(msgspec.Struct, frozen=True, order=True):
    """A queue of one broker set."""

    broker_name: str
    topic: str
    queue_id: int


class Consumed(msgspec.Struct, frozen=True):
    """A message that a group had."""

    id: str
    key: str
    place: Place
    offset: int
    at: float


class Ledger(msgspec.Struct):
    """Everything that happened to messages."""

    acknowledged: dict[str, str] = {}
    """By message: its topic."""
    given_up: set[str] = set()
    """Half messages that were rolled back: nobody may have them."""
    stored: list[tuple[str, Place]] = []
    consumed: dict[str, list[Consumed]] = {}
    """By group, in the order of consumption."""

    def ids(self, group: str) -> set[str]:
        """What a group had at least once."""
        return {one.id for one in self.consumed.get(group, ())}

    def missing(self, group: str, topics: Iterable[str]) -> set[str]:
        """What was acknowledged in these topics and the group did not have (yet)."""
        wanted = set(topics)
        had = self.ids(group)
        return {
            id_
            for id_, topic in self.acknowledged.items()
            if topic in wanted and id_ not in had and id_ not in self.given_up
        }

    def duplicates(self, group: str) -> int:
        """How often the group had a message once more."""
        counts = Counter(one.id for one in self.consumed.get(group, ()))
        return sum(count - 1 for count in counts.values())

    def stored_twice(self) -> int:
        """How often a message was stored once more, by a producer that heard no answer."""
        counts = Counter(id_ for id_, _ in self.stored)
        return sum(count - 1 for count in counts.values())

    def disorder(self, group: str) -> list[str]:
        """Where a queue's messages came for the first time in another order than they are in."""
        reached: dict[Place, int] = {}
        seen: set[tuple[Place, str]] = set()
        found = []
        for one in self.consumed.get(group, ()):
            if (one.place, one.id) in seen:
                continue
            seen.add((one.place, one.id))
            if one.offset < reached.get(one.place, -1):
                found.append(f"{one.id} at {one.offset} of {one.place}")
            reached[one.place] = one.offset
        return found

    def key_disorder(self, group: str) -> list[str]:
        """Where the messages of a key came for the first time in another order than sent.

        Ids of a key end in a number that rises.
        """
        reached: dict[str, int] = {}
        seen: set[str] = set()
        found = []
        for one in self.consumed.get(group, ()):
            if not one.key or one.id in seen:
                continue
            seen.add(one.id)
            number = int(one.id.rpartition("-")[2])
            if number < reached.get(one.key, -1):
                found.append(f"{one.id} after {reached[one.key]} of {one.key}")
            reached[one.key] = max(number, reached.get(one.key, -1))
        return found
