"""Asks a broker for all that `backlog` needs, and for nothing else. It decides nothing.

One look costs a call for each topic and one for each group, `at_once` at a time, and before 5.3 two
for each queue that producers do not use any more. The first error ends it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TypeVar

from rocketmq.admin import Admin
from rocketmq.backlog import (
    LIGHT_PREFIX,
    Backlog,
    Pair,
    Queues,
    Tables,
    backlog,
    consumers_of,
    needed_groups,
    needed_queues,
    needed_topics,
)
from rocketmq.errors import ProtocolError
from rocketmq.fanout import each
from rocketmq.messages.topics import QueueOffsets

T = TypeVar("T")

AT_ONCE = 16
"""Calls to one broker at a time: it serves clients with the same threads."""

_UNSEEN = {
    "popConsumerKVServiceEnable": "popped messages",
    "timerRocksDBEnable": "timer messages",
}
"""Settings of 5.4 and later that keep messages where no operation shows them."""


async def read_backlog(
    admin: Admin,
    address: str,
    *,
    topics: Collection[str] | None = None,
    elsewhere: Collection[Pair] = (),
    at_once: int = AT_ONCE,
) -> Backlog:
    """What a master holds for somebody, of all topics or of these. Raises RocketmqError.

    `elsewhere` are the consumers of other brokers (`read_consumers`): a group that was not online
    since this broker came has left no trace on it. Delayed, timer and half messages are those of
    all topics: brokers do not tell whose they are.
    """
    tables = await read_tables(admin, address, topics=topics, elsewhere=elsewhere, at_once=at_once)
    try:
        return backlog(tables)
    except ProtocolError as error:
        raise ProtocolError(str(error), address=address) from error


async def read_consumers(admin: Admin, addresses: Collection[str]) -> frozenset[Pair]:
    """Who consumes what on these masters, now or once. Raises RocketmqError."""
    found = await _all(addresses, admin.offsets.all, AT_ONCE)
    return frozenset(pair for offsets in found.values() for pair in consumers_of(offsets))


async def read_tables(
    admin: Admin,
    address: str,
    *,
    topics: Collection[str] | None = None,
    elsewhere: Collection[Pair] = (),
    at_once: int = AT_ONCE,
) -> Tables:
    """What the broker says. Raises RocketmqError.

    Committed offsets are asked for last, but for the end of the log: if that has not moved, no
    message has come since its queue was looked at.
    """
    before = await admin.brokers.runtime_info(address)
    await _require_all_to_be_seen(admin, address)
    system_topics = await admin.topics.system_topics(address)
    table = await admin.topics.all(address)
    groups = await admin.groups.all(address)
    offsets = await admin.offsets.all(address)
    widths = needed_queues(table, offsets)
    consumers = await _all(
        needed_groups(groups, offsets, elsewhere),
        lambda group: admin.groups.consumer_connection(address, group),
        at_once,
    )
    queues = await _all(
        needed_topics(table, system_topics, offsets, topics),
        lambda topic: _queues(admin, address, topic, widths[topic]),
        at_once,
    )
    return Tables(
        before=before,
        topics=table,
        system_topics=system_topics,
        groups=groups,
        consumers=consumers,
        queues=queues,
        elsewhere=elsewhere,
        delivered=await admin.offsets.delayed(address),
        offsets=await admin.offsets.all(address),
        after=await admin.brokers.runtime_info(address),
    )


async def _require_all_to_be_seen(admin: Admin, address: str) -> None:
    settings = (await admin.brokers.settings(address)).values
    for key, what in _UNSEEN.items():
        if settings.get(key) == "true":
            raise ProtocolError(f"{key} is true: nobody can ask for its {what}", address=address)


async def _queues(admin: Admin, address: str, topic: str, width: int) -> Queues:
    known: dict[int, QueueOffsets] = {}
    if not topic.startswith(LIGHT_PREFIX):
        stats = await admin.topics.stats(address, topic)
        known = {queue.queue_id: found for queue, found in stats.offset_table.items()}
    for queue_id in range(width):
        if queue_id not in known:
            first = await admin.topics.min_offset(address, topic, queue_id)
            end = await admin.topics.max_offset(address, topic, queue_id)
            known[queue_id] = QueueOffsets(first, end)
    return known


async def _all(
    names: Iterable[str], call: Callable[[str], Awaitable[T]], at_once: int
) -> dict[str, T]:
    """What `call` gives for each. Raises the first error."""
    found = await each(names, call, at_once=at_once)
    for error in found.errors.values():
        raise error
    return found.values
