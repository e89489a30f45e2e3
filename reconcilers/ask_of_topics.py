"""Asks name servers and brokers what a transfer of a topic has to know. It decides nothing.

The order of the questions matters: what a broker holds back is asked for first, then offsets, then
the ends of queues. So a message that moves while it is asked is counted, maybe twice, and never
missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import TypeVar

import msgspec

from reconcilers.api.topic_transfer import Stage, TopicTransfer
from reconcilers.api.transfer_record import TransferRecord
from reconcilers.desired.transfer_servers import TransferServers
from reconcilers.facts import Silence
from reconcilers.hidden_messages import ask_all, ask_hidden
from reconcilers.transfer.draining import asks_for_hidden
from reconcilers.transfer.facts import (
    Consumers,
    Look,
    Queues,
    ServerLook,
    Side,
    SideFacts,
    TransferFacts,
)
from reconcilers.transfer.groups_going import going_topics
from reconcilers.transfer.record import wanted_topic
from rocketmq.admin import Admin
from rocketmq.backlog import is_a_users_group
from rocketmq.errors import RocketmqError, TopicNotExistError
from rocketmq.messages.groups import ConsumerConnection, GroupTable
from rocketmq.messages.name_servers import ORDER_TOPIC_NAMESPACE
from rocketmq.messages.offsets import CommittedOffsets
from rocketmq.messages.topics import QueueOffsets, TopicConfig, TopicTable
from rocketmq.routes import TopicRoute, merged
from rocketmq.system_names import (
    dead_letter_topic,
    is_group_topic,
    is_system_topic,
    retry_topic,
)

ANSWER_WITHIN_S = 20.0
"""All questions to one server; a broker with many groups needs some."""

_SINCE_FIVE = "timerWheelEnable"
"""A setting that every 5.x broker has and no older one. Its figures (28) would tell the version,
but a broker walks its whole timer wheel for them: up to a second, at each look."""


T = TypeVar("T")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of one side."""

    admin: Admin
    servers: tuple[str, ...]
    asked_at: Callable[[str], str]
    """Where to ask the server of an address: by the IP of its pod, where it is one of ours."""
    cluster: str
    topic: str
    groups: Collection[str] = ()
    """Groups that are of interest whether or not a broker names them."""
    brokers: Collection[str] = ()
    """Broker sets that are of interest whether or not a name server knows them."""
    route_topics: Collection[str] = ()
    """Topics whose routes are asked for beside that of the topic."""
    hidden: bool = False
    queues: int = 0
    """How many queues to look for where the topic is not there: `Look.remains`."""
    every_group: bool = False
    """Whether the consumers of every group are asked for: 5.3.3 names the topic where it should
    name those that consume it, and who never committed is found by nothing else."""


async def ask_transfer(
    cr: TopicTransfer,
    servers: TransferServers,
    admins: Mapping[Side, Admin],
    asked_at: Callable[[str], str],
    rival: str = "",
) -> TransferFacts:
    """What both sides say, as far as the stage of the transfer needs it."""
    record = cr.status.record or TransferRecord()
    begun = cr.status.stage not in ("", "Recorded")
    making = cr.status.phase == "Transferring"

    def question(side: Side, groups: Collection[str]) -> Question:
        rows = record.source if side == "source" else record.target
        mine = _STAGES[side]
        going = cr.status.stage in mine.going
        return Question(
            admin=admins[side],
            servers=servers.source if side == "source" else servers.target,
            asked_at=asked_at,
            cluster=cr.spec.source_cluster if side == "source" else cr.spec.target_cluster,
            topic=cr.spec.topic,
            groups=groups,
            brokers=[row.broker for row in rows],
            route_topics=tuple(going_topics(cr, record.groups)) if going else (),
            hidden=cr.status.stage in mine.drained and asks_for_hidden(cr),
            queues=_queues_to_be_made(record) if side == "target" and making else 0,
            every_group=not begun or asks_for_hidden(cr),
        )

    known = {one.name for one in record.groups}
    source = await ask_side(question("source", known))
    found = known.union(*(look.found for look in source.looks.values()))
    if found > known:
        # What one broker knows of, the others have to be asked for, too.
        source = await ask_side(question("source", found))
    target = await ask_side(question("target", found))
    own = frozenset() if begun else await ask_system_topics(question("source", ()))
    return TransferFacts(
        source=source,
        target=target,
        shared_servers=servers.shared,
        system_topics=own,
        rival=rival,
    )


class _Stages(msgspec.Struct, frozen=True):
    """The stages in which a side is emptied, and in which its groups go."""

    drained: tuple[Stage, ...]
    going: tuple[Stage, ...]


_STAGES: Mapping[Side, _Stages] = {
    "source": _Stages(("Drain", "OpenTarget", "DeleteTopic"), ("DeleteGroups",)),
    "target": _Stages(("DrainTarget", "DeleteTarget"), ("DeleteTargetGroups",)),
}


def _queues_to_be_made(record: TransferRecord) -> int:
    wanted = wanted_topic(record)
    return 0 if wanted is None else max(wanted.read_queue_nums, wanted.write_queue_nums)


async def ask_side(question: Question) -> SideFacts:
    """What one side says."""
    servers = await _each(question.servers, lambda one: _server(question, one))
    known = [one for one in servers.values() if isinstance(one, ServerLook)]
    names = {name for one in known for name in one.clusters.get(question.cluster, ())}
    masters: dict[str, str] = {}
    for one in known:
        masters = {**one.masters, **masters}

    async def ask(name: str) -> Look | Silence:
        if name not in masters:
            return Silence("no name server knows its master")
        return await _broker(question, name, masters[name])

    wanted = sorted(names | set(question.brokers))
    return SideFacts(cluster=question.cluster, servers=servers, brokers=await _each(wanted, ask))


async def ask_system_topics(question: Question) -> frozenset[str]:
    """The names of clusters and brokers, which are topics, as far as name servers answer."""
    names = question.admin.name_servers

    async def ask(server: str) -> tuple[str, ...]:
        return await names.system_topics(question.asked_at(server))

    found = await _each(question.servers, ask)
    return frozenset(
        topic for one in found.values() if not isinstance(one, Silence) for topic in one
    )


async def _server(question: Question, server: str) -> ServerLook:
    address, names = question.asked_at(server), question.admin.name_servers
    info = await names.cluster_info(address)
    topics = dict.fromkeys((question.topic, *question.route_topics))
    return ServerLook(
        clusters={
            cluster: frozenset(sets) for cluster, sets in info.cluster_addr_table.items() if sets
        },
        masters={one.broker_name: one.master for one in merged([info]).broker_sets() if one.master},
        routes={topic: await _route(question.admin, address, topic) for topic in topics},
        order=await names.pair(address, ORDER_TOPIC_NAMESPACE, question.topic) or "",
        version=await names.version(address),
    )


async def _route(admin: Admin, address: str, topic: str) -> TopicRoute | None:
    try:
        return await admin.name_servers.topic_route(address, topic)
    except TopicNotExistError:
        return None


async def _broker(question: Question, name: str, address: str) -> Look | Silence:
    admin, topic, at = question.admin, question.topic, question.asked_at(address)
    settings = (await admin.brokers.settings(at)).values
    if settings.get("brokerName") != name:
        # An address may have come to another broker since name servers heard of it.
        return Silence(f"{at} is {settings.get('brokerName')}")
    hidden = await ask_hidden(admin, at, settings) if question.hidden else None
    table = await admin.topics.all(at)
    groups = await admin.groups.all(at)
    named = await admin.topics.groups(at, topic)
    offsets = await admin.offsets.all(at)
    found = _groups_of(topic, named, offsets, groups)
    consumers = await _ask_consumers(question, at, found, groups)
    found |= {name for name, one in consumers.items() if one and topic in one.subscription_table}
    wanted = sorted(found.union(question.groups))
    related = {
        name: table.topic_config_table[name]
        for group in wanted
        for name in _own_topics(group, topic)
        if name in table.topic_config_table
    }
    here = table.topic_config_table.get(topic)
    looked_at = related | ({topic: here} if here is not None else {})
    remains = await _ends(admin, at, topic, question.queues) if here is None else {}
    queues = await ask_all(
        looked_at, lambda one: _queues(admin, at, looked_at[one], _width(looked_at[one], offsets))
    )
    return Look(
        address=at,
        keeps_offsets=_SINCE_FIVE not in settings,
        topic=here,
        mapped=topic in (table.topic_queue_mapping_detail_map or {}),
        groups={
            name: groups.subscription_group_table[name]
            for name in wanted
            if name in groups.subscription_group_table
        },
        topics=related,
        offsets={
            name: _offsets_in(name, offsets, wanted)
            for name in (topic, *related, *map(retry_topic, wanted))
        },
        queues=queues,
        remains=remains,
        consumers={name: _consumers(consumers[name]) for name in wanted},
        shared=frozenset(_shared(topic, wanted, offsets, consumers, table)),
        found=frozenset(found),
        hidden=hidden,
    )


async def _ask_consumers(
    question: Question, at: str, found: Collection[str], groups: GroupTable
) -> dict[str, ConsumerConnection | None]:
    """Who is connected, of these groups or of every one."""
    scanned = (
        filter(is_a_users_group, groups.subscription_group_table) if question.every_group else ()
    )
    ask = question.admin.groups.consumer_connection
    return await ask_all({*found, *question.groups, *scanned}, lambda one: ask(at, one))


def _groups_of(
    topic: str, named: Iterable[str], offsets: CommittedOffsets, groups: GroupTable
) -> set[str]:
    committed = {
        key.partition("@")[2] for key in offsets.offset_table if key.partition("@")[0] == topic
    }
    bound = {
        one.group_name
        for one in groups.subscription_group_table.values()
        if topic in {each.topic for each in one.subscription_data_set or ()}
    }
    known = groups.subscription_group_table.keys() & set(named)
    return {group for group in {*known, *committed, *bound} if is_a_users_group(group)}


def _own_topics(group: str, topic: str) -> tuple[str, ...]:
    retry = retry_topic(group)
    return retry, f"{retry}_{topic}", f"{retry}+{topic}", dead_letter_topic(group)


def _offsets_in(
    topic: str, offsets: CommittedOffsets, groups: Iterable[str]
) -> dict[str, Mapping[int, int]]:
    found = {group: offsets.of(topic, group) for group in groups}
    return {group: by_queue for group, by_queue in found.items() if by_queue}


def _width(config: TopicConfig, offsets: CommittedOffsets) -> int:
    """Queues that may hold messages: also those that producers do not use any more."""
    committed = [
        queue + 1
        for key, by_queue in offsets.offset_table.items()
        if key.partition("@")[0] == config.topic_name
        for queue in by_queue
    ]
    return max([config.read_queue_nums, config.write_queue_nums, *committed])


async def _queues(admin: Admin, address: str, config: TopicConfig, width: int) -> Queues:
    topic = config.topic_name
    stats = await admin.topics.stats(address, topic)
    known = {queue.queue_id: found for queue, found in stats.offset_table.items()}
    for queue in range(width):
        if queue not in known:
            first = await admin.topics.min_offset(address, topic, queue)
            end = await admin.topics.max_offset(address, topic, queue)
            known[queue] = QueueOffsets(first, end)
    return {
        queue: QueueOffsets(max(0, one.min_offset), max(0, one.max_offset))
        for queue, one in sorted(known.items())
    }


async def _ends(admin: Admin, address: str, topic: str, width: int) -> dict[int, int]:
    ends = {queue: await admin.topics.max_offset(address, topic, queue) for queue in range(width)}
    return {queue: end for queue, end in ends.items() if end > 0}


def _consumers(found: ConsumerConnection | None) -> Consumers | None:
    if found is None or not found.connection_set:
        return None
    topics = frozenset(found.subscription_table)
    return Consumers(topics, broadcasting=found.broadcasting)


def _shared(
    topic: str,
    groups: Iterable[str],
    offsets: CommittedOffsets,
    consumers: Mapping[str, ConsumerConnection | None],
    table: TopicTable,
) -> Iterable[str]:
    """Groups that consume another topic that is there, now or once."""
    others = {
        name
        for name in table.topic_config_table
        if name != topic and not is_group_topic(name) and not is_system_topic(name)
    }
    committed: dict[str, set[str]] = {}
    for key in offsets.offset_table:
        name, _, group = key.partition("@")
        committed.setdefault(group, set()).add(name)
    for group in groups:
        found = consumers.get(group)
        subscribed = set() if found is None else set(found.subscription_table)
        own = {name for name in subscribed if name != topic and not is_group_topic(name)}
        if own or committed.get(group, set()) & others:
            yield group


async def _each(
    names: Iterable[str], call: Callable[[str], Awaitable[T | Silence]]
) -> dict[str, T | Silence]:
    """What each server says; a `Silence` for one that does not."""

    async def ask(name: str) -> T | Silence:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await call(name)
        except TimeoutError:
            return Silence(f"no answer within {ANSWER_WITHIN_S:.0f} s")
        except RocketmqError as error:
            return Silence(error.reason)

    async with asyncio.TaskGroup() as group:
        asked = {name: group.create_task(ask(name)) for name in dict.fromkeys(names)}
    return {name: task.result() for name, task in asked.items()}
