"""The record of a transfer: everything that it changes, as it was before. Pure.

It is taken once, and amended by what was not there then: a broker that joined a cluster, a group
that has come since. What stands in it is never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec

from controller.plan import without_nulls
from reconcilers.api.meta import Opaque
from reconcilers.api.transfer_record import (
    GroupPart,
    GroupRecord,
    OffsetRow,
    TopicRow,
    TransferRecord,
)
from reconcilers.transfer.facts import Look, Side, SideFacts, TransferFacts
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig
from rocketmq.system_names import is_system_group, retry_topic

LIMIT_BYTES = 400_000
"""An object of the API server may have about 1.5 MB, and the status is not all of it."""

T = TypeVar("T", bound=msgspec.Struct)


def taken(topic: str, facts: TransferFacts) -> TransferRecord:
    """What there is now."""
    empty = TransferRecord(source_order=_order(facts.source), target_order=_order(facts.target))
    return amended(topic, empty, facts)


def amended(topic: str, record: TransferRecord, facts: TransferFacts) -> TransferRecord:
    """The record with what it has no row of yet."""
    found = {group for look in facts.source.looks.values() for group in look.found}
    known = {one.name: one for one in record.groups}
    groups = [
        _group(topic, known.get(name) or GroupRecord(name=name), facts)
        for name in sorted(known.keys() | found)
    ]
    return msgspec.structs.replace(
        record,
        source=tuple(_topics(record.source, facts.source, only_holders=True)),
        target=tuple(_topics(record.target, facts.target, only_holders=False)),
        groups=tuple(groups),
    )


def size_bytes(record: TransferRecord) -> int:
    """How much of the object it takes."""
    return len(msgspec.json.encode(record))


def topic_of(row: TopicRow) -> TopicConfig | None:
    """The topic as it was."""
    return _decoded(row.config, TopicConfig)


def group_of(part: GroupPart) -> SubscriptionGroup | None:
    """The group as it was."""
    return _decoded(part.config, SubscriptionGroup)


def retry_of(part: GroupPart) -> TopicConfig | None:
    """The group's retry topic as it was."""
    return _decoded(part.retry_topic, TopicConfig)


def wanted_topic(record: TransferRecord) -> TopicConfig | None:
    """The topic as the target should have it: where source brokers differ, the most queues."""
    found = [config for config in map(topic_of, record.source) if config is not None]
    if not found:
        return None
    permission = 0
    for one in found:
        permission |= one.perm
    return msgspec.structs.replace(
        found[0],
        perm=permission,
        read_queue_nums=max(one.read_queue_nums for one in found),
        write_queue_nums=max(one.write_queue_nums for one in found),
        order=any(one.order for one in found),
    )


def wanted_group(group: GroupRecord) -> SubscriptionGroup | None:
    """The group as the target should have it; None: no source broker has a record of it."""
    found = (group_of(part) for part in group.source)
    return next((config for config in found if config is not None), None)


def wanted_retry(group: GroupRecord) -> TopicConfig | None:
    """The group's retry topic as the target should have it."""
    found = (retry_of(part) for part in group.source)
    return next((config for config in found if config is not None), None)


def made_on_target(record: TransferRecord) -> frozenset[str]:
    """The target's brokers that did not have the topic."""
    return frozenset(row.broker for row in record.target if not row.config)


def parts(group: GroupRecord, side: Side) -> Mapping[str, GroupPart]:
    """The group on each broker of a side."""
    return {part.broker: part for part in (group.source if side == "source" else group.target)}


def belongs_to_servers(group: str) -> bool:
    """Whether every broker has the group by itself, so that it is never deleted."""
    return is_system_group(group)


def _topics(
    rows: tuple[TopicRow, ...], side: SideFacts, *, only_holders: bool
) -> Iterator[TopicRow]:
    yield from rows
    known = {row.broker for row in rows}
    for name, look in sorted(side.looks.items()):
        if name not in known and (look.topic is not None or not only_holders):
            yield TopicRow(broker=name, config=_encoded(look.topic))


def _group(topic: str, group: GroupRecord, facts: TransferFacts) -> GroupRecord:
    return msgspec.structs.replace(
        group,
        source=(*group.source, *_parts(group.name, group.source, facts.source.looks)),
        target=(
            *group.target,
            *_parts(group.name, group.target, facts.target.looks, offsets_of=topic),
        ),
    )


def _parts(
    name: str, known: Iterable[GroupPart], looks: Mapping[str, Look], *, offsets_of: str = ""
) -> Iterator[GroupPart]:
    recorded = {part.broker for part in known}
    for broker, look in sorted(looks.items()):
        if broker not in recorded:
            offsets = look.offsets.get(offsets_of, {}).get(name, {})
            yield GroupPart(
                broker=broker,
                config=_encoded(look.groups.get(name)),
                retry_topic=_encoded(look.topics.get(retry_topic(name))),
                offsets=tuple(
                    OffsetRow(queue=queue, offset=at) for queue, at in sorted(offsets.items())
                ),
            )


def _order(side: SideFacts) -> str:
    return next((one.order for one in side.server_looks.values() if one.order), "")


def _encoded(config: msgspec.Struct | None) -> Opaque:
    encoded: Opaque = {} if config is None else without_nulls(msgspec.to_builtins(config))
    return encoded


def _decoded(config: Opaque, kind: type[T]) -> T | None:
    return msgspec.convert(config, kind) if config else None
