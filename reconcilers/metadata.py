"""Reads the topics and groups that people made on brokers, and writes them to others.

It decides nothing. Whoever copies reads both again afterwards: what was written is no evidence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from reconcilers.ask import ask_each
from reconcilers.facts import Metadata, Silence
from reconcilers.steps.decision import CopyMetadata
from rocketmq.admin import Admin
from rocketmq.errors import ResponseError, RocketmqError, UnsupportedError
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig
from rocketmq.system_names import user_groups, user_topics

READ_WITHIN_S = 15.0
"""For tables of tens of thousands of records."""

COPY_FOR_S = 15.0
"""What has not been begun by then is left to the next step, so that a status can tell."""

_AT_ONCE = 8
"""Records that are written at a time: a broker writes its file for one after the other."""

_MANY = 1000
"""Records of one request."""

T = TypeVar("T", TopicConfig, SubscriptionGroup)


async def ask_metadata(admin: Admin, addresses: Mapping[str, str]) -> dict[str, Metadata | Silence]:
    """What each broker has, by the keys of `addresses`."""

    async def ask(address: str) -> Metadata:
        listed = await admin.topics.system_topics(address)
        table = await admin.topics.all(address)
        groups = (await admin.groups.all(address)).subscription_group_table
        static = table.topic_queue_mapping_detail_map or {}
        topics = user_topics(table.topic_config_table, listed=listed)
        return Metadata(
            topics={name: table.topic_config_table[name] for name in topics if name not in static},
            groups={name: groups[name] for name in user_groups(groups)},
            static=tuple(name for name in topics if name in static),
        )

    return await ask_each(addresses, ask, within_s=READ_WITHIN_S)


async def copy_metadata(admin: Admin, step: CopyMetadata, for_s: float = COPY_FOR_S) -> None:
    """Write as much as the time allows. Raises RocketmqError when something was not taken."""
    address, until = step.address, asyncio.get_running_loop().time() + for_s

    async def create_topics(topics: Sequence[TopicConfig]) -> None:
        await admin.topics.create_all(address, topics)

    async def save_topic(topic: TopicConfig, there: TopicConfig | None) -> None:
        try:
            await admin.topics.save(address, topic, replaced=there)
        except ResponseError as error:
            raise _named(f"topic {topic.topic_name}", error) from error

    async def create_groups(groups: Sequence[SubscriptionGroup]) -> None:
        await admin.groups.create_all(address, groups)

    async def save_group(group: SubscriptionGroup, there: SubscriptionGroup | None) -> None:
        try:
            await admin.groups.save(address, group, replaced=there)
        except ResponseError as error:
            raise _named(f"group {group.group_name}", error) from error

    await _copied(step.groups, create_groups, save_group, until)
    await _copied(step.topics, create_topics, save_topic, until)


class _RefusedError(RocketmqError):
    """One record was; the others may be taken."""


def _named(what: str, error: ResponseError) -> _RefusedError:
    return _RefusedError(f"{what}: {error.reason}", address=error.address)


async def _copied(
    changes: Sequence[tuple[T, T | None]],
    create: Callable[[Sequence[T]], Awaitable[None]],
    save: Callable[[T, T | None], Awaitable[None]],
    until: float,
) -> None:
    """New records many at a time where the version can, the others one by one."""
    now = asyncio.get_running_loop().time
    single = [one for one in changes if one[1] is not None]
    new = [one for one in changes if one[1] is None]
    for begin in range(0, len(new), _MANY):
        if now() >= until:
            break
        try:
            await create([record for record, _ in new[begin : begin + _MANY]])
        except UnsupportedError:
            single += new[begin:]
            break
        except ResponseError:
            single += new[begin : begin + _MANY]  # one is refused: alone it says which
    await _saved(iter(single), save, until)


async def _saved(
    waiting: Iterator[tuple[T, T | None]],
    save: Callable[[T, T | None], Awaitable[None]],
    until: float,
) -> None:
    errors: list[RocketmqError] = []

    async def work() -> None:
        for record, there in waiting:
            if asyncio.get_running_loop().time() >= until:
                return
            try:
                await save(record, there)
            except RocketmqError as error:
                errors.append(error)
                if not isinstance(error, _RefusedError):
                    return  # the broker is away or slow, and would be for the next one

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work())
    if errors:
        raise errors[0]
