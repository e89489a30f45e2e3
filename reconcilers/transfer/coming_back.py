"""A topic that was deleted, or is about to be, and takes messages again. Pure.

Brokers make topics for producers, so one with an old route brings the topic back, with messages. A
consumer that still holds its old place in a queue is beyond them, and would never look back: only
who takes a queue anew asks where to begin. So nobody may read for a while, until all consumers have
let go; then every group begins at the beginning; then it is consumed as everything before.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from controller.conditions import rfc3339
from reconcilers.api.transfer_record import TransferProgress
from reconcilers.transfer.clock import seconds_since
from reconcilers.transfer.effects import CLOSED, Effect, SaveGroup, SaveTopic, SetOffset
from reconcilers.transfer.facts import Look, Side, SideFacts
from reconcilers.transfer.outcome import Act, Move, Outcome, Wait
from reconcilers.transfer.record import belongs_to_servers, wanted_group
from reconcilers.transfer.stand import Stand
from rocketmq.routes import READ, WRITE


def reclaim(stand: Stand, side: Side, facts: SideFacts) -> Outcome | None:
    """The next thing to do about it; None: all that is there was closed before, or is again."""
    progress = stand.cr.status.progress
    holders = facts.holders()
    opened = tuple(_closing(side, holders))
    if opened:
        return Act(effects=opened, words=f"the topic has come back on {facts.cluster}")
    closed = {name: one for name, one in holders.items() if _permission(one) == CLOSED}
    anew = TransferProgress(since=rfc3339(stand.now), opened=progress.opened)
    if not closed:
        words = f"what came back on {facts.cluster} is consumed"
        return Move(progress=anew, words=words) if progress.reclaimed_at else None
    if not progress.reclaimed_at:
        after = msgspec.structs.replace(anew, reclaimed_at=rfc3339(stand.now))
        return Move(progress=after, words=f"the topic has come back on {facts.cluster}")
    shown = stand.verified(side, dict.fromkeys(closed, (0, READ | WRITE)))
    if shown is not None:
        return shown
    left_s = stand.refresh_s - seconds_since(progress.reclaimed_at, stand.now)
    if left_s > 0:
        words = "the topic has come back; consumers let go of it, and will begin anew"
        return Wait(words=words, again_after_s=max(1.0, min(5.0, left_s)))
    effects = tuple(one for look in closed.values() for one in _beginning(stand, side, look))
    return stand.act(effects, f"what came back on {facts.cluster} is given to all groups")


def _permission(look: Look) -> int:
    return CLOSED if look.topic is None else look.topic.perm


def _closing(side: Side, holders: dict[str, Look]) -> Iterator[Effect]:
    for look in holders.values():
        there = look.topic
        if there is not None and there.perm & WRITE:
            config = msgspec.structs.replace(there, perm=CLOSED)
            yield SaveTopic(side=side, address=look.address, config=config, replaced=there)


def _beginning(stand: Stand, side: Side, look: Look) -> Iterator[Effect]:
    """Groups, then their offsets, then the permission to read: one kind after the other."""
    groups = tuple(_groups(stand, side, look))
    offsets = groups or tuple(_offsets(stand, side, look))
    if offsets:
        yield from offsets
    elif look.topic is not None:
        config = msgspec.structs.replace(look.topic, perm=READ)
        yield SaveTopic(side=side, address=look.address, config=config, replaced=look.topic)


def _groups(stand: Stand, side: Side, look: Look) -> Iterator[Effect]:
    for group in stand.record.groups:
        config = wanted_group(group)
        absent = group.name not in look.groups and not belongs_to_servers(group.name)
        if config is not None and absent:
            yield SaveGroup(side=side, address=look.address, config=config)


def _offsets(stand: Stand, side: Side, look: Look) -> Iterator[Effect]:
    for group in stand.record.groups:
        for number, queue in sorted(look.queues.get(stand.topic, {}).items()):
            at = look.offset(stand.topic, group.name, number)
            if group.name in look.groups and at != queue.min_offset:
                yield SetOffset(
                    side=side,
                    address=look.address,
                    group=group.name,
                    topic=stand.topic,
                    queue=number,
                    offset=queue.min_offset,
                )
