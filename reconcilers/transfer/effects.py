"""What a transfer does to servers, each as a value: one call, or a call and its check. Pure.

All of them may be done twice. Records are written whole, so what is not meant to change is as it
was seen.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping

import msgspec

from reconcilers.api.topic_transfer import TopicTransfer
from reconcilers.api.transfer_record import GroupPart, GroupRecord, TransferRecord
from reconcilers.transfer.facts import Look, Side, SideFacts
from reconcilers.transfer.lags import retry_topics
from reconcilers.transfer.record import (
    belongs_to_servers,
    group_of,
    parts,
    retry_of,
    topic_of,
    wanted_group,
    wanted_topic,
)
from reconcilers.transfer.same import same_group, same_topic
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig
from rocketmq.routes import READ, WRITE
from rocketmq.system_names import dead_letter_topic, retry_topic

CLOSED = 0
"""Permission of a topic that is being made: no route shows its queues to anybody."""


class SaveTopic(msgspec.Struct, frozen=True, kw_only=True):
    """Write a topic's record on a broker."""

    side: Side
    address: str
    config: TopicConfig
    replaced: TopicConfig | None = None


class DeleteTopic(msgspec.Struct, frozen=True, kw_only=True):
    """Delete a topic on a broker, if its queues end where they did when it was decided."""

    side: Side
    address: str
    topic: str
    ends: Mapping[int, int] = {}


class SaveGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Write a group's record on a broker."""

    side: Side
    address: str
    config: SubscriptionGroup
    replaced: SubscriptionGroup | None = None


class DeleteGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Delete a group and its offsets on a broker."""

    side: Side
    address: str
    group: str


class SetOffset(msgspec.Struct, frozen=True, kw_only=True):
    """Commit an offset for a group on a broker."""

    side: Side
    address: str
    group: str
    topic: str
    queue: int
    offset: int


class DeleteRoute(msgspec.Struct, frozen=True, kw_only=True):
    """Have a name server forget a topic of a cluster."""

    side: Side
    server: str
    topic: str
    cluster: str


class SetOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Set, or (empty) drop, the order configuration of a topic at a name server."""

    side: Side
    server: str
    topic: str
    value: str


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """Have a broker tell its name servers of everything: one of them missed a change."""

    side: Side
    address: str


Effect = (
    SaveTopic
    | DeleteTopic
    | SaveGroup
    | DeleteGroup
    | SetOffset
    | DeleteRoute
    | SetOrder
    | Register
)


def make_groups(record: TransferRecord, target: SideFacts, *, exactly: bool) -> Iterator[Effect]:
    """Groups that the target lacks, as on the source.

    `exactly`: also those that a consumer made there meanwhile, with the broker's defaults.
    """
    for group in record.groups:
        wanted = wanted_group(group)
        if wanted is None or belongs_to_servers(group.name):
            continue
        before = parts(group, "target")
        for name, look in target.looks.items():
            there = look.groups.get(group.name)
            was = group_of(before[name]) if name in before else None
            if there is None or (exactly and was is None and not same_group(there, wanted)):
                yield SaveGroup(side="target", address=look.address, config=wanted, replaced=there)


def make_topic(
    record: TransferRecord, target: SideFacts, *, permission: int, exactly: bool
) -> Iterator[Effect]:
    """The topic on brokers of the target that lacked it: closed (`exactly`: after what an earlier
    one left), then with the offsets of all groups at its beginning, then with its permission."""
    wanted = wanted_topic(record)
    made = {row.broker for row in record.target if not row.config}
    if wanted is None:
        return
    if exactly:
        yield from clear_remains(made, wanted.topic_name, target)
    for name, look in target.looks.items():
        if name not in made:
            continue
        if look.topic is None:
            config = msgspec.structs.replace(wanted, perm=CLOSED)
            yield SaveTopic(side="target", address=look.address, config=config)
        elif look.topic.perm == CLOSED and wanted.perm != CLOSED:
            offsets = tuple(beginnings(record.groups, wanted.topic_name, "target", look))
            yield from offsets or _change(look, wanted, permission, exactly=exactly)
        else:
            yield from _change(look, wanted, permission, exactly=exactly)


def clear_remains(brokers: Container[str], topic: str, target: SideFacts) -> Iterator[Effect]:
    """What an earlier topic of this name left goes: groups would receive it again."""
    for name, look in target.looks.items():
        if name in brokers and look.topic is None and look.remains:
            yield DeleteTopic(side="target", address=look.address, topic=topic, ends=look.remains)


def _change(look: Look, wanted: TopicConfig, permission: int, *, exactly: bool) -> Iterator[Effect]:
    there = look.topic
    assert there is not None  # noqa: S101 - its caller has looked
    base = wanted if exactly else there
    config = msgspec.structs.replace(base, perm=permission)
    if not same_topic(there, config, look):
        yield SaveTopic(side="target", address=look.address, config=config, replaced=there)


def beginnings(
    groups: Iterable[GroupRecord], topic: str, side: Side, look: Look
) -> Iterator[Effect]:
    """Every group begins at the beginning of a topic that was just made.

    A 4.x broker may still have the offsets of a topic of that name; and who has none may begin at
    the end, behind messages that came before it did.
    """
    queues = look.queues.get(topic, {})
    for group in groups:
        if group.name not in look.groups:
            continue
        for number, queue in sorted(queues.items()):
            at = look.offset(topic, group.name, number)
            if at is None or at > queue.max_offset:
                yield SetOffset(
                    side=side,
                    address=look.address,
                    group=group.name,
                    topic=topic,
                    queue=number,
                    offset=queue.min_offset,
                )


def close_topic(side: Side, facts: SideFacts, brokers: Iterable[str]) -> Iterator[Effect]:
    """Take the write permission of the topic, and nothing else."""
    wanted = set(brokers)
    for name, look in facts.holders().items():
        there = look.topic
        if there is not None and name in wanted and there.perm & WRITE:
            config = msgspec.structs.replace(there, perm=there.perm & ~WRITE)
            yield SaveTopic(side=side, address=look.address, config=config, replaced=there)


def restore_source(record: TransferRecord, source: SideFacts, *, reopen: bool) -> Iterator[Effect]:
    """Groups, the topic and its permission as the record has them.

    What was deleted is made again closed, and stays so until `reopen`.
    """
    for group in record.groups:
        yield from _restore_group(group, source)
    for row in record.source:
        was, look = topic_of(row), source.looks.get(row.broker)
        if was is None or look is None:
            continue
        if look.topic is None:
            config = msgspec.structs.replace(was, perm=CLOSED)
            yield SaveTopic(side="source", address=look.address, config=config)
        elif look.topic.perm == CLOSED and was.perm != CLOSED:
            offsets = tuple(beginnings(record.groups, was.topic_name, "source", look))
            yield from offsets or (_reopen(look, was) if reopen else ())
        else:
            yield from _reopen(look, was)


def _reopen(look: Look, was: TopicConfig) -> Iterator[Effect]:
    there = look.topic
    if there is not None and there.perm != was.perm:
        config = msgspec.structs.replace(there, perm=was.perm)
        yield SaveTopic(side="source", address=look.address, config=config, replaced=there)


def _restore_group(group: GroupRecord, source: SideFacts) -> Iterator[Effect]:
    for part in group.source:
        look = source.looks.get(part.broker)
        if look is None:
            continue
        config, retry = group_of(part), retry_of(part)
        there = look.groups.get(group.name)
        if config is not None and there is None and not belongs_to_servers(group.name):
            yield SaveGroup(side="source", address=look.address, config=config)
        if retry is not None and retry.topic_name not in look.topics:
            yield SaveTopic(side="source", address=look.address, config=retry)


def delete_topic(
    side: Side, cr: TopicTransfer, facts: SideFacts, brokers: Iterable[str]
) -> Iterator[Effect]:
    """The topic on these brokers."""
    wanted = set(brokers)
    for name, look in facts.holders().items():
        if name in wanted:
            queues = look.queues.get(cr.spec.topic, {})
            ends = {number: queue.max_offset for number, queue in queues.items()}
            yield DeleteTopic(side=side, address=look.address, topic=cr.spec.topic, ends=ends)


def delete_routes(side: Side, facts: SideFacts, topics: Iterable[str]) -> Iterator[Effect]:
    """Routes of topics that none of the brokers has (any more)."""
    for topic in topics:
        if any(_has(look, topic) for look in facts.looks.values()):
            continue
        for server, permissions in facts.routed(topic):
            if permissions:
                yield DeleteRoute(side=side, server=server, topic=topic, cluster=facts.cluster)


def _has(look: Look, topic: str) -> bool:
    own = look.topic is not None and look.topic.topic_name == topic
    return own or topic in look.topics


def forget_offsets(
    side: Side, cr: TopicTransfer, record: TransferRecord, facts: SideFacts
) -> Iterator[Effect]:
    """Offsets that a 4.x broker keeps for a deleted topic: as before it, or at the beginning."""
    for group in record.groups:
        before = parts(group, side)
        for name, look in facts.looks.items():
            if look.topic is not None or not look.keeps_offsets:
                continue
            known = before.get(name)
            was = {row.queue: row.offset for row in known.offsets} if known else {}
            there = look.offsets.get(cr.spec.topic, {}).get(group.name, {})
            for queue, at in sorted(there.items()):
                wanted = was.get(queue, 0) if side == "target" else 0
                if at != wanted:
                    yield SetOffset(
                        side=side,
                        address=look.address,
                        group=group.name,
                        topic=cr.spec.topic,
                        queue=queue,
                        offset=wanted,
                    )


def set_orders(side: Side, topic: str, facts: SideFacts, value: str) -> Iterator[Effect]:
    """The order configuration at every name server of a side."""
    for server, look in facts.server_looks.items():
        if look.order != value:
            yield SetOrder(side=side, server=server, topic=topic, value=value)


def order_of(facts: SideFacts, topic: TopicConfig) -> str:
    """The order configuration of a topic on these brokers."""
    names = sorted(facts.brokers)
    return ";".join(f"{name}:{topic.write_queue_nums}" for name in names)


def make_retry_topics(record: TransferRecord, target: SideFacts) -> Iterator[Effect]:
    """Retry topics that the groups had on the source and lack on the target."""
    for group in record.groups:
        found = next((one for one in map(retry_of, group.source) if one is not None), None)
        for look in target.looks.values():
            if found is not None and found.topic_name not in look.topics:
                yield SaveTopic(side="target", address=look.address, config=found)


def delete_groups(
    side: Side, cr: TopicTransfer, groups: Iterable[GroupRecord], look: Look, broker: str
) -> Iterator[Effect]:
    """Groups on one broker, with their retry and dead-letter topics as far as these are empty."""
    for group in groups:
        part = parts(group, side).get(broker)
        for topic in surplus_topics(side, group.name, cr.spec.topic, look, part):
            if is_consumed(topic, group.name, look):
                yield DeleteTopic(
                    side=side,
                    address=look.address,
                    topic=topic,
                    ends={at: one.max_offset for at, one in look.queues.get(topic, {}).items()},
                )
        if group.name in look.groups and not stays(side, part):
            yield DeleteGroup(side=side, address=look.address, group=group.name)
        elif group.name in look.groups and look.keeps_offsets:
            yield from _forget_retries(side, group.name, look)


def _forget_retries(side: Side, group: str, look: Look) -> Iterator[Effect]:
    """A retry topic that comes again must not be begun behind its first messages."""
    topic = retry_topic(group)
    there = look.offsets.get(topic, {}).get(group, {})
    for queue, at in sorted(there.items()):
        if at and topic not in look.topics:
            yield SetOffset(
                side=side, address=look.address, group=group, topic=topic, queue=queue, offset=0
            )


def stays(side: Side, part: GroupPart | None) -> bool:
    """Whether a group that is not needed any more was there before the transfer."""
    return side == "target" and part is not None and bool(part.config)


def surplus_topics(
    side: Side, group: str, topic: str, look: Look, part: GroupPart | None
) -> Iterator[str]:
    """A group's own topics that are not needed any more, or were not there before."""
    retry = retry_of(part) if side == "target" and part is not None else None
    for name in retry_topics(group, topic, look):
        if retry is None or name != retry.topic_name:
            yield name
    if dead_letter_topic(group) in look.topics and not stays(side, part):
        yield dead_letter_topic(group)


def is_consumed(topic: str, group: str, look: Look) -> bool:
    """Whether nothing is left in a topic of the group; of dead letters, nothing at all."""
    dead = topic == dead_letter_topic(group)
    return all(
        queue.max_offset <= max(queue.min_offset, 0 if dead else look.offset(topic, group, at) or 0)
        for at, queue in look.queues.get(topic, {}).items()
    )


def group_topics(groups: Iterable[str]) -> Iterator[str]:
    """The retry and dead-letter topics of groups."""
    for group in groups:
        yield retry_topic(group)
        yield dead_letter_topic(group)


def nudges(side: Side, facts: SideFacts, brokers: Iterable[str]) -> Iterator[Effect]:
    """Brokers that a name server has not heard of a change of."""
    for name in brokers:
        look = facts.looks.get(name)
        if look is not None:
            yield Register(side=side, address=look.address)


def readable(permission: int) -> int:
    """A permission without the right to write."""
    return permission & ~WRITE | READ
