"""What consumer groups have left of a topic on one side, and what nobody can see yet. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import msgspec

from reconcilers.api.topic_transfer import TopicTransfer
from reconcilers.api.transfer_record import TransferRecord
from reconcilers.transfer.facts import Look, SideFacts
from rocketmq.backlog import lag
from rocketmq.system_names import retry_topic


class QueueLag(msgspec.Struct, frozen=True):
    """Messages of one queue that a group has not consumed."""

    broker: str
    topic: str
    queue: int
    messages: int


class GroupLag(msgspec.Struct, frozen=True, kw_only=True):
    """What a group has left on one side; queues without anything are left out."""

    name: str
    online: bool = False
    broadcasting: bool = False
    shared: bool = False
    ignored: bool = False
    queues: tuple[QueueLag, ...] = ()

    @property
    def messages(self) -> int:
        """In all its queues."""
        return sum(one.messages for one in self.queues)

    @property
    def counts(self) -> bool:
        """Whether the transfer waits for it; of a broadcasting group nobody knows how far it is."""
        return not self.ignored and not self.broadcasting


def group_lags(cr: TopicTransfer, record: TransferRecord, side: SideFacts) -> tuple[GroupLag, ...]:
    """Every group's, the largest first."""
    looks = side.holders()
    rows = [_group_lag(cr, one.name, looks) for one in record.groups]
    return tuple(sorted(rows, key=lambda one: (-one.messages, one.name)))


def left(lags: Collection[GroupLag]) -> int:
    """Messages that the transfer waits for."""
    return sum(one.messages for one in lags if one.counts)


def unread(lags: Collection[GroupLag], side: SideFacts, topic: str) -> int:
    """Messages of a topic that no group ever consumed."""
    if lags:
        return 0
    return sum(
        queue.max_offset - queue.min_offset
        for look in side.holders().values()
        for queue in look.queues.get(topic, {}).values()
    )


def stored(topic: str, look: Look) -> int:
    """Messages ever stored in the topic on a broker."""
    return sum(queue.max_offset for queue in look.queues.get(topic, {}).values())


def retried(cr: TopicTransfer, record: TransferRecord, look: Look) -> int:
    """Messages ever stored in the retry topics of the groups that count."""
    names = {one.name for one in record.groups} - set(cr.spec.ignore_groups)
    return sum(
        queue.max_offset
        for name in names
        for topic in retry_topics(name, cr.spec.topic, look)
        for queue in look.queues.get(topic, {}).values()
    )


def retry_topics(group: str, topic: str, look: Look) -> Iterator[str]:
    """Where a group's messages of the topic are tried again on a broker, popped ones too."""
    own = retry_topic(group)
    for name in (own, f"{own}_{topic}", f"{own}+{topic}"):
        if name in look.topics:
            yield name


def _group_lag(cr: TopicTransfer, name: str, looks: Mapping[str, Look]) -> GroupLag:
    connected = [found for look in looks.values() if (found := look.consumers.get(name))]
    return GroupLag(
        name=name,
        online=bool(connected),
        broadcasting=bool(connected) and all(one.broadcasting for one in connected),
        shared=any(name in look.shared for look in looks.values()),
        ignored=name in cr.spec.ignore_groups,
        queues=tuple(_queue_lags(cr.spec.topic, name, looks)),
    )


def _queue_lags(topic: str, group: str, looks: Mapping[str, Look]) -> Iterator[QueueLag]:
    for broker, look in sorted(looks.items()):
        for name in (topic, *retry_topics(group, topic, look)):
            for queue, offsets in sorted(look.queues.get(name, {}).items()):
                messages = lag(offsets, look.offset(name, group, queue))
                if messages:
                    yield QueueLag(broker, name, queue, messages)
