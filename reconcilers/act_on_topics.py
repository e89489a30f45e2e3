"""Does what a transfer decided, and tells what went wrong. It decides nothing.

Each effect may be done twice. A deletion is the only one that cannot be taken back: the ends of the
queues are read once more just before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from reconcilers.steps.settings import PERMISSION
from reconcilers.transfer.effects import (
    DeleteGroup,
    DeleteRoute,
    DeleteTopic,
    Effect,
    Register,
    SaveGroup,
    SaveTopic,
    SetOffset,
    SetOrder,
)
from reconcilers.transfer.facts import Side
from rocketmq.admin import Admin
from rocketmq.errors import RocketmqError
from rocketmq.messages.name_servers import ORDER_TOPIC_NAMESPACE

AT_ONCE = 8
"""Effects of one kind at a time."""


class Failed(msgspec.Struct, frozen=True):
    """An effect that was not done; `refused`: trying again alone will not help."""

    effect: Effect
    message: str
    refused: bool


async def act_on_topics(
    admins: Mapping[Side, Admin], asked_at: Callable[[str], str], effects: tuple[Effect, ...]
) -> tuple[Failed, ...]:
    """Do all, one kind after the other in the order given; what failed."""
    failed: list[Failed] = []
    slots = asyncio.Semaphore(AT_ONCE)

    async def run(effect: Effect) -> None:
        async with slots:
            try:
                await _do(admins[effect.side], asked_at, effect)
            except RocketmqError as error:
                failed.append(Failed(effect, str(error), refused=not error.retriable))

    for kind in dict.fromkeys(type(effect) for effect in effects):
        async with asyncio.TaskGroup() as group:
            for effect in effects:
                if type(effect) is kind:
                    group.create_task(run(effect))
        if failed:
            break
    return tuple(failed)


async def _do(admin: Admin, asked_at: Callable[[str], str], effect: Effect) -> None:
    match effect:
        case DeleteRoute(server=server, topic=topic, cluster=cluster):
            await admin.name_servers.delete_topic(asked_at(server), topic, cluster=cluster)
        case SetOrder():
            await _set_order(admin, asked_at(effect.server), effect)
        case SaveGroup(address=address, config=config, replaced=replaced):
            await admin.groups.save(address, config, replaced=replaced)
        case DeleteGroup(address=address, group=group):
            await admin.groups.delete(address, group, with_offsets=True)
        case SaveTopic() | DeleteTopic() | SetOffset() | Register():
            await _do_at_topic(admin, effect)


async def _do_at_topic(
    admin: Admin, effect: SaveTopic | DeleteTopic | SetOffset | Register
) -> None:
    match effect:
        case SaveTopic(address=address, config=config, replaced=replaced):
            await admin.topics.save(address, config, replaced=replaced)
        case DeleteTopic():
            await _delete_topic(admin, effect)
        case SetOffset(address=address, group=group, topic=topic, queue=queue, offset=offset):
            await admin.offsets.commit(address, group, topic, queue, offset=offset)
        case Register(address=address):
            # Pushed as it is: at this setting alone a broker tells name servers of all it has.
            settings = await admin.brokers.settings(address)
            known = settings.values.get(PERMISSION, "6")
            await admin.brokers.update_settings(address, {PERMISSION: known})


async def _delete_topic(admin: Admin, effect: DeleteTopic) -> None:
    for queue, end in sorted(effect.ends.items()):
        now = await admin.topics.max_offset(effect.address, effect.topic, queue)
        if now > end:
            message = f"{effect.topic} got messages in queue {queue}; it is not deleted"
            raise MessagesCameError(message, address=effect.address)
    await admin.topics.delete(effect.address, effect.topic)


class MessagesCameError(RocketmqError):
    """Something was stored between the decision and the deletion."""

    retriable = True


async def _set_order(admin: Admin, address: str, effect: SetOrder) -> None:
    names = admin.name_servers
    if effect.value:
        await names.put_pair(address, ORDER_TOPIC_NAMESPACE, effect.topic, effect.value)
    else:
        await names.delete_pair(address, ORDER_TOPIC_NAMESPACE, effect.topic)
