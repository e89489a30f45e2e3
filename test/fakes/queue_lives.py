"""Queues that were deleted and made anew while somebody read them. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator


def lives(receptions: Iterable[tuple[Hashable, int, int]]) -> Iterator[int]:
    """For each how often its queue was made anew before: another message stood at a known place.

    A reception is the queue, the offset and the number of the message.
    """
    placed: defaultdict[Hashable, dict[int, int]] = defaultdict(dict)
    found: Counter[Hashable] = Counter()
    for queue, offset, number in receptions:
        numbers = placed[queue]
        if numbers.get(offset, number) != number:
            numbers.clear()
            found[queue] += 1
        numbers[offset] = number
        yield found[queue]
