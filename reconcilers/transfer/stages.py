"""What each stage is for, and when it is over. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import msgspec

from controller.conditions import rfc3339
from reconcilers.api.topic_transfer import Stage, TopicTransfer
from reconcilers.api.transfer_record import TransferProgress
from reconcilers.transfer import effects, groups_going
from reconcilers.transfer.clock import seconds_since
from reconcilers.transfer.coming_back import reclaim
from reconcilers.transfer.draining import drain, only
from reconcilers.transfer.effects import Effect
from reconcilers.transfer.facts import Side, SideFacts
from reconcilers.transfer.lags import stored
from reconcilers.transfer.outcome import Move, Outcome, Wait
from reconcilers.transfer.record import wanted_topic
from reconcilers.transfer.stand import Stand
from rocketmq.routes import READ, WRITE

_WORDS: Mapping[Stage, str] = MappingProxyType(
    {
        "Recorded": "how everything is has been recorded",
        "CreateGroups": "1/7 groups are made on {target}",
        "CreateTopic": "2/7 the topic is made on {target}, to be read only",
        "AwaitConsumers": "2/7 consumers get time to find the topic on {target}",
        "OpenTarget": "2/7 producers are sent to {target}",
        "CloseSource": "3/7 the topic takes no more messages on {source}",
        "Drain": "4/7 the rest is consumed on {source}",
        "DeleteTopic": "5/7 the topic is deleted on {source}",
        "DeleteGroups": "6/7 groups of this topic alone are deleted on {source}",
        "CreateRetryTopics": "7/7 retry topics are made on {target}",
        "RestoreSource": "rolling back: the topic is as it was on {source}",
        "CloseTarget": "rolling back: the topic takes no more messages on {target}",
        "DrainTarget": "rolling back: the rest is consumed on {target}",
        "DeleteTarget": "rolling back: the topic is deleted on {target}",
        "DeleteTargetGroups": "rolling back: groups are deleted on {target}",
    }
)


def announcement(stage: Stage, cr: TopicTransfer) -> str:
    """What the stage does."""
    words = _WORDS.get(stage, "")
    return words.format(source=cr.spec.source_cluster, target=cr.spec.target_cluster)


def entered(stand: Stand, stage: Stage) -> TransferProgress:
    """What is known when a stage begins."""
    before = stand.cr.status.progress
    after = TransferProgress(since=rfc3339(stand.now), opened=before.opened)
    if stage == "OpenTarget":
        after = msgspec.structs.replace(after, opened=True)
    if stage in ("CloseSource", "CloseTarget", "RestoreSource"):
        return after
    return msgspec.structs.replace(
        after,
        stored=before.stored,
        still_since=before.still_since,
        empty_since=before.empty_since,
        marked_at=before.marked_at,
        marks=before.marks,
        half_seen=before.half_seen,
    )


def work(stand: Stand) -> Outcome | None:
    """The next thing to do in this stage; None when it is over."""
    back = stand.cr.status.phase == "RollingBack"
    ensured = tuple(_ensured_back(stand) if back else _ensured(stand))
    doing = announcement(stand.stage, stand.cr)
    outcome: Outcome | None = (
        stand.act(ensured, doing) or stand.silence() or _verified(stand) or _own(stand)
    )
    if isinstance(outcome, Wait):
        return msgspec.structs.replace(outcome, words=f"{doing}: {outcome.words}")
    return outcome


def _own(stand: Stand) -> Outcome | None:
    own = _OWN.get(stand.stage)
    return None if own is None else own(stand)


def _ensured(stand: Stand) -> Iterator[Effect]:
    """What this stage and those before it are for, where it is not so."""
    making = stand.stage in ("CreateGroups", "CreateTopic")
    yield from effects.make_groups(stand.record, stand.target, exactly=making)
    if stand.reached("CreateTopic"):
        permission = stand.target_permission
        yield from effects.make_topic(
            stand.record,
            stand.target,
            permission=permission if stand.reached("OpenTarget") else effects.readable(permission),
            exactly=stand.stage == "CreateTopic",
        )
    if stand.reached("CloseSource") and not stand.reached("DeleteTopic"):
        yield from effects.close_topic("source", stand.source, stand.source.brokers)
    yield from _orders(stand)


def _orders(stand: Stand) -> Iterator[Effect]:
    """Producers obey an order configuration whatever the permissions: it goes and comes with them.

    Where both sides have the same name servers, it is one and the same.
    """
    before = stand.record.source_order
    wanted = wanted_topic(stand.record)
    if not before or wanted is None:
        return
    moved = effects.order_of(stand.target, wanted)
    if stand.reached("OpenTarget"):
        yield from effects.set_orders("target", stand.topic, stand.target, moved)
        if stand.facts.shared_servers:
            return
    if stand.reached("CloseSource"):
        yield from effects.set_orders("source", stand.topic, stand.source, "")


def _ensured_back(stand: Stand) -> Iterator[Effect]:
    record = stand.record
    if stand.reached("RestoreSource"):
        yield from effects.restore_source(
            record, stand.source, reopen=stand.stage_s >= stand.refresh_s
        )
        if record.source_order:
            yield from effects.set_orders("source", stand.topic, stand.source, record.source_order)
    elif record.source_order and stand.facts.shared_servers:
        yield from effects.set_orders("target", stand.topic, stand.target, "")
    if stand.reached("CloseTarget"):
        if not stand.reached("DeleteTarget"):
            yield from effects.close_topic("target", stand.target, stand.made)
        if record.source_order and not stand.facts.shared_servers:
            yield from effects.set_orders("target", stand.topic, stand.target, record.target_order)


def _verified(stand: Stand) -> Outcome | None:
    """Whether every name server shows it."""
    if stand.cr.status.phase == "RollingBack":
        found: Outcome | None = _until_let_go(stand)
        if found is None and stand.reached("RestoreSource"):
            found = stand.verified("source", stand.source_permissions())
        if found is None and stand.stage in ("CloseTarget", "DrainTarget"):
            found = stand.verified("target", dict.fromkeys(stand.made, (0, WRITE)))
        return found
    found = None
    if stand.reached("CreateTopic"):
        needed = READ if not stand.reached("OpenTarget") else stand.target_permission & 6
        found = stand.verified("target", dict.fromkeys(_recorded_target(stand), (needed, 0)))
    if found is None and stand.reached("CloseSource") and not stand.reached("DeleteTopic"):
        found = stand.verified("source", dict.fromkeys(stand.source.brokers, (0, WRITE)))
    return found


def _until_let_go(stand: Stand) -> Wait | None:
    """What was deleted and is there again takes messages when nobody holds an old place in it.

    Beyond the end of a new queue, or retry topic, a consumer would be set to its end.
    """
    left_s = stand.refresh_s - stand.stage_s
    closed = [one for one in stand.source.holders().values() if one.topic and not one.topic.perm]
    if left_s <= 0 or not closed or not stand.reached("RestoreSource"):
        return None
    words = f"consumers get {stand.refresh_s:.0f} s to let go of what was deleted"
    return Wait(words=words, again_after_s=max(1.0, min(5.0, left_s)))


def _recorded_target(stand: Stand) -> frozenset[str]:
    """Brokers of the target that are there: one that joined late is none of this transfer's."""
    return frozenset(row.broker for row in stand.record.target)


def _await_consumers(stand: Stand) -> Outcome | None:
    left_s = stand.refresh_s - stand.stage_s
    if left_s <= 0:
        return None
    return Wait(words=f"{stand.refresh_s:.0f} s in all", again_after_s=max(1.0, min(5.0, left_s)))


def _open_target(stand: Stand) -> Outcome | None:
    # Where producers waited for the source to be empty, the next stage deletes: it must still be.
    in_order = stand.order.index("OpenTarget") > stand.order.index("CloseSource")
    return drain(stand.cr, stand.record, stand.source, stand.now) if in_order else None


def _drain(stand: Stand) -> Outcome | None:
    return drain(stand.cr, stand.record, stand.source, stand.now)


def _delete_topic(stand: Stand) -> Outcome | None:
    return _retire(stand, "source", stand.source)


def _retire(stand: Stand, side: Side, facts: SideFacts) -> Outcome | None:
    """Delete the topic on these brokers, and see that nobody brings it back.

    A producer with an old route may: brokers make topics for producers. What it sent is consumed
    like everything before, and then it is deleted again.
    """
    if facts.holders():
        back = reclaim(stand, side, facts)
        if back is not None:
            return back
        found = drain(stand.cr, stand.record, facts, stand.now) if _used(stand, facts) else None
        deleted = effects.delete_topic(side, stand.cr, facts, facts.brokers)
        return found or stand.act(deleted, f"the topic is deleted on {facts.cluster}")
    routes = tuple(effects.delete_routes(side, facts, (stand.topic,)))
    left = stand.facts.side(side).holders()
    if routes and left:
        # The whole cluster's part of the route goes; who keeps the topic tells of it again.
        routes += tuple(effects.nudges(side, stand.facts.side(side), left))
    forgotten = stand.act(routes, f"the topic is forgotten on {facts.cluster}")
    return forgotten or _until_forgotten(stand, side, facts)


def _until_forgotten(stand: Stand, side: Side, facts: SideFacts) -> Outcome | None:
    """Wait until clients know; the offsets that a 4.x broker keeps go at once, and once more then.

    A consumer that knows no other route goes on committing as long as it is connected.
    """
    progress = stand.cr.status.progress
    offsets = tuple(effects.forget_offsets(side, stand.cr, stand.record, facts))
    act = stand.act(offsets, f"offsets of the topic are forgotten on {facts.cluster}")
    if not progress.attempted_at:
        after = msgspec.structs.replace(progress, attempted_at=rfc3339(stand.now))
        return act or Move(progress=after, words=f"the topic is deleted on {facts.cluster}")
    gone_s = seconds_since(progress.attempted_at, stand.now)
    wanted_s = stand.refresh_s if side == "source" or progress.opened else 0.0
    if gone_s < wanted_s:
        words = f"clients get {wanted_s:.0f} s to see that it is gone"
        return Wait(words=words, again_after_s=max(1.0, min(5.0, wanted_s - gone_s)))
    if offsets and not progress.forgotten_at:
        after = msgspec.structs.replace(progress, forgotten_at=rfc3339(stand.now))
        return Move(progress=after, words=f"clients know that it is gone from {facts.cluster}")
    if seconds_since(progress.forgotten_at, stand.now) < groups_going.ATTEMPT_S:
        return act
    held = groups_going.connected(facts)
    left = (
        one
        for one in offsets
        if isinstance(one, effects.SetOffset) and (one.address, one.group) not in held
    )
    return stand.act(left, f"offsets of the topic are forgotten on {facts.cluster}")


def _used(stand: Stand, facts: SideFacts) -> bool:
    """Whether somebody may have sent something there."""
    messages = sum(stored(stand.topic, look) for look in facts.holders().values())
    return stand.cr.status.progress.opened or bool(messages)


def _delete_groups(stand: Stand) -> Outcome | None:
    return _again(stand) or groups_going.delete(stand, "source")


def _again(stand: Stand) -> Move | None:
    """Back to the deletion of a topic that somebody brought back."""
    if not stand.source.holders():
        return None
    return Move(
        progress=TransferProgress(since=rfc3339(stand.now), opened=True),
        stage="DeleteTopic",
        words=f"the topic has come back on {stand.source.cluster}",
    )


def _create_retry_topics(stand: Stand) -> Outcome | None:
    made = effects.make_retry_topics(stand.record, stand.target)
    return _again(stand) or stand.act(made, announcement(stand.stage, stand.cr))


def _drain_target(stand: Stand) -> Outcome | None:
    facts = only(stand.target, stand.made)
    if not facts.holders() or not _used(stand, facts):
        return None
    return drain(stand.cr, stand.record, facts, stand.now)


def _delete_target(stand: Stand) -> Outcome | None:
    return _retire(stand, "target", only(stand.target, stand.made))


def _delete_target_groups(stand: Stand) -> Outcome | None:
    return groups_going.delete(stand, "target")


_OWN: Mapping[Stage, Callable[[Stand], Outcome | None]] = MappingProxyType(
    {
        "AwaitConsumers": _await_consumers,
        "OpenTarget": _open_target,
        "Drain": _drain,
        "DeleteTopic": _delete_topic,
        "DeleteGroups": _delete_groups,
        "CreateRetryTopics": _create_retry_topics,
        "DrainTarget": _drain_target,
        "DeleteTarget": _delete_target,
        "DeleteTargetGroups": _delete_target_groups,
    }
)
