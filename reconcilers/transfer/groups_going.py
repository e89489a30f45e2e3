"""The end of groups that are not needed any more on one side. Pure.

A consumer that is connected brings its group and retry topic back at every heartbeat, and it is
connected as long as a route names the broker: so the topics go first, then the groups that nobody
is connected for. Who stays connected for other reasons keeps its group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from controller.conditions import rfc3339
from reconcilers.api.topic_transfer import TopicTransfer
from reconcilers.api.transfer_record import GroupRecord, TransferRecord
from reconcilers.transfer.clock import seconds_since
from reconcilers.transfer.effects import (
    DeleteGroup,
    DeleteRoute,
    DeleteTopic,
    Effect,
    SetOffset,
    delete_groups,
    delete_routes,
    group_topics,
    is_consumed,
)
from reconcilers.transfer.facts import Side, SideFacts
from reconcilers.transfer.outcome import Act, Move, Outcome, Wait
from reconcilers.transfer.record import belongs_to_servers
from reconcilers.transfer.stand import Stand
from rocketmq.system_names import retry_topic

ATTEMPT_S = 15.0
"""So long after all groups of connected consumers have been deleted once, they are deleted again;
then they are left to them."""

_NAMED = 3


def going(stand: Stand, side: Side) -> tuple[GroupRecord, ...]:
    """The groups that have no use on this side after the transfer."""
    facts = stand.facts.side(side)
    shared = {name for look in facts.looks.values() for name in look.shared}
    return tuple(
        group
        for group in stand.record.groups
        if not belongs_to_servers(group.name) and (side == "target" or group.name not in shared)
    )


def delete(stand: Stand, side: Side) -> Outcome | None:
    """The next thing to do; None when they are gone, or left to their consumers."""
    progress = stand.cr.status.progress
    if not progress.attempted_at:
        after = msgspec.structs.replace(progress, attempted_at=rfc3339(stand.now))
        return Move(progress=after, words="groups that nobody needs any more are deleted")
    facts = stand.facts.side(side)
    elapsed_s = seconds_since(progress.attempted_at, stand.now)
    patience_s = 2 * stand.refresh_s
    held = connected(facts)
    wanted = tuple(_effects(stand, side))
    free = tuple(one for one in wanted if not _is_held(one, held))
    now = free
    if elapsed_s >= patience_s and wanted and not progress.forgotten_at:
        after = msgspec.structs.replace(progress, forgotten_at=rfc3339(stand.now))
        words = f"groups of connected consumers go on {facts.cluster}"
        return Act(effects=wanted, words=words, after=after)
    if elapsed_s >= patience_s:
        trying = seconds_since(progress.forgotten_at, stand.now) < ATTEMPT_S
        now = wanted if trying else tuple(one for one in free if not _comes_back(one, held))
    if now:
        return Act(effects=now, words=f"groups are deleted on {facts.cluster}")
    if wanted and elapsed_s < patience_s:
        names = ", ".join(sorted({name for _, name in held})[:_NAMED])
        return Wait(words=f"consumers of {names} are still connected to {facts.cluster}")
    return None


def _effects(stand: Stand, side: Side) -> Iterator[Effect]:
    facts, groups = stand.facts.side(side), going(stand, side)
    for name, look in facts.looks.items():
        yield from delete_groups(side, stand.cr, groups, look, name)
    yield from delete_routes(side, facts, going_topics(stand.cr, groups))


def going_topics(cr: TopicTransfer, groups: Iterable[GroupRecord]) -> Iterator[str]:
    """All topics that groups may have had for themselves."""
    for group in groups:
        yield from group_topics((group.name,))
        yield from (f"{retry_topic(group.name)}{mark}{cr.spec.topic}" for mark in "_+")


def connected(facts: SideFacts) -> frozenset[tuple[str, str]]:
    """The brokers' addresses and the groups that have a consumer there."""
    return frozenset(
        (look.address, name)
        for look in facts.looks.values()
        for name, found in look.consumers.items()
        if found
    )


def _is_held(effect: Effect, held: frozenset[tuple[str, str]]) -> bool:
    return isinstance(effect, DeleteGroup) and (effect.address, effect.group) in held


def _comes_back(effect: Effect, held: frozenset[tuple[str, str]]) -> bool:
    """Whether it is about a topic that a connected consumer brings back."""
    topic = effect.topic if isinstance(effect, DeleteTopic | DeleteRoute | SetOffset) else ""
    return topic in set(group_topics(name for _, name in held))


def kept(
    cr: TopicTransfer, record: TransferRecord | None, facts: SideFacts, side: Side
) -> Iterator[str]:
    """What stays on a side, and why, in words."""
    shared = {name for look in facts.looks.values() for name in look.shared}
    for group in () if record is None else record.groups:
        if side == "source" and group.name in shared:
            yield f"group {group.name}: it consumes other topics of {facts.cluster} as well"
        if side == "target" and any(part.config for part in group.target):
            continue  # it was there before
        for topic in going_topics(cr, (group,)):
            messages = sum(
                queue.max_offset - queue.min_offset
                for look in facts.looks.values()
                if not is_consumed(topic, group.name, look)
                for queue in look.queues.get(topic, {}).values()
            )
            if messages:
                yield f"{topic} on {facts.cluster}: it has {messages} messages"
