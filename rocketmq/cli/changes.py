"""Commands that change something, or send and read messages."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection, Iterable

import msgspec

from rocketmq.cli.output import Cell, Output, problems_of
from rocketmq.clusters import Clusters
from rocketmq.errors import SubscriptionGroupNotExistError, TopicNotExistError
from rocketmq.fanout import Results, each
from rocketmq.messages.clients import ANY_QUEUE, Outgoing, Pull, PullStatus
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.settings import Settings, SettingsChange
from rocketmq.messages.stored import Message, uncompressed
from rocketmq.messages.topics import TopicConfig
from rocketmq.routes import BrokerData, TopicRoute

_SECRET_WORDS = ("password", "secret", "credential", "authenticationuser")


class UsageError(Exception):
    """What was asked for does not fit what is there."""


async def topic_save(clusters: Clusters, options: argparse.Namespace) -> Output:
    """Create a topic on every master, or change what the options give and keep the rest."""

    async def save(address: str) -> TopicConfig:
        try:
            before = await clusters.admin.topics.get(address, options.topic)
        except TopicNotExistError:
            before = None
        config = _changed_topic(before or TopicConfig(options.topic), options)
        await clusters.admin.topics.save(address, config, replaced=before)
        return config

    return _told(await each(await _masters(clusters, options.cluster), save), "saved")


async def topic_delete(clusters: Clusters, options: argparse.Namespace) -> Output:
    """Delete a topic on every broker and its route in every name server."""
    await _masters(clusters, options.cluster)
    return _told(await clusters.delete_topic(options.cluster, options.topic), "deleted")


async def group_save(clusters: Clusters, options: argparse.Namespace) -> Output:
    """Create a group on every master, or change what the options give and keep the rest."""

    async def save(address: str) -> None:
        try:
            before = await clusters.admin.groups.get(address, options.group)
        except SubscriptionGroupNotExistError:
            before = None
        config = _changed_group(before or SubscriptionGroup(options.group), options)
        await clusters.admin.groups.save(address, config, replaced=before)

    return _told(await each(await _masters(clusters, options.cluster), save), "saved")


async def group_delete(clusters: Clusters, options: argparse.Namespace) -> Output:
    """Delete a group on every master."""
    await _masters(clusters, options.cluster)
    done = await clusters.delete_group(
        options.cluster, options.group, with_offsets=options.with_offsets
    )
    return _told(done, "deleted")


async def config_get(clusters: Clusters, options: argparse.Namespace) -> Output:
    """Settings of one server; secrets are hidden unless asked for."""
    found = await _settings(clusters, options.server, options.address)
    keys = options.keys or sorted(found.values)
    rows = tuple((key, _shown(key, found.values.get(key), options.show_secrets)) for key in keys)
    return Output(("key", "value"), rows)


async def config_set(clusters: Clusters, options: argparse.Namespace) -> Output:
    """Change settings of one server; what it did not take is a problem."""
    change = await _change(clusters, options.server, options.address, dict(options.changes))
    rows = tuple((key, _shown(key, change.found.get(key), show=False)) for key in change.asked)
    refused = {key: f"{options.address}: {key} was not taken" for key in change.not_taken}
    return Output(("key", "value"), rows, refused)


async def send(clusters: Clusters, options: argparse.Namespace) -> Output:
    """Send one message to the master of a broker set that takes writes."""
    body = sys.stdin.buffer.read() if options.body == "-" else options.body.encode()
    target = _writable(await clusters.topic_route(options.topic), options.broker)
    named = {"TAGS": options.tag, "KEYS": options.key, "WAIT": "true"}
    message = Outgoing(
        topic=options.topic,
        body=body,
        producer_group=options.producer_group,
        born_timestamp=int(time.time() * 1000),
        queue_id=ANY_QUEUE if options.queue is None else options.queue,
        properties={key: value for key, value in named.items() if value is not None},
    )
    sent = await clusters.admin.clients.send(target.master or "", message)
    doubt = sent.doubt.name if sent.doubt is not None else None
    row = (target.broker_name, sent.queue_id, sent.queue_offset, sent.message_id, doubt)
    return Output(("broker", "queue", "offset", "message_id", "doubt"), (row,))


async def pull(clusters: Clusters, options: argparse.Namespace) -> Output:
    """Read messages of the queues that can be read; nothing is committed."""
    route = await clusters.topic_route(options.topic)
    sets = {one.broker_name: one for one in route.broker_datas if one.addresses}
    queues = [
        (one.broker_name, queue_id)
        for one in route.queue_datas
        for queue_id in range(one.read_queue_nums)
        if options.broker in (None, one.broker_name)
        and options.queue in (None, queue_id)
        and one.broker_name in sets
    ]
    if not queues:
        raise UsageError("no such queue in the route")
    rows: list[tuple[Cell, ...]] = []
    for broker, queue_id in queues:
        found = await _pulled(clusters, sets[broker].addresses[0], queue_id, options)
        rows += [_row(broker, message) for message in found]
    return Output(("broker", "queue", "offset", "stored_ms", "tags", "keys", "body"), tuple(rows))


async def _pulled(
    clusters: Clusters, address: str, queue_id: int, options: argparse.Namespace
) -> list[Message]:
    offset = options.offset
    if offset is None:
        offset = await clusters.admin.topics.min_offset(address, options.topic, queue_id)
    found: list[Message] = []
    while len(found) < options.limit:
        asked = Pull(
            group=options.group,
            topic=options.topic,
            queue_id=queue_id,
            offset=offset,
            limit=options.limit - len(found),
        )
        answer = await clusters.admin.clients.pull(address, asked)
        found += answer.messages
        if answer.status == PullStatus.NOTHING_NEW or answer.next_offset == offset:
            break
        offset = answer.next_offset
    return found


async def _masters(clusters: Clusters, cluster: str) -> tuple[str, ...]:
    info = await clusters.info()
    if cluster not in info.clusters:
        raise UsageError(f"no cluster {cluster}; there are: {', '.join(info.clusters) or 'none'}")
    if missing := info.without_master(cluster):
        raise UsageError(f"no master now: {', '.join(missing)}")
    return info.masters(cluster)


async def _settings(clusters: Clusters, server: str, address: str) -> Settings:
    admin = clusters.admin
    readers = {
        "broker": admin.brokers.settings,
        "name-server": admin.name_servers.settings,
        "controller": admin.controllers.settings,
    }
    return await readers[server](address)


async def _change(
    clusters: Clusters, server: str, address: str, changes: dict[str, str]
) -> SettingsChange:
    admin = clusters.admin
    writers = {
        "broker": admin.brokers.update_settings,
        "name-server": admin.name_servers.update_settings,
        "controller": admin.controllers.update_settings,
    }
    return await writers[server](address, changes)


def _changed_topic(config: TopicConfig, options: argparse.Namespace) -> TopicConfig:
    given = {
        "read_queue_nums": options.read_queues,
        "write_queue_nums": options.write_queues,
        "perm": options.perm,
        "order": options.order,
        "attributes": {**config.attributes, **dict(options.attribute)},
    }
    return msgspec.structs.replace(config, **_only_given(given))


def _changed_group(group: SubscriptionGroup, options: argparse.Namespace) -> SubscriptionGroup:
    given = {
        "consume_enable": options.consume,
        "consume_broadcast_enable": options.broadcast,
        "retry_max_times": options.retries,
    }
    return msgspec.structs.replace(group, **_only_given(given))


def _only_given(values: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _writable(route: TopicRoute, broker: str | None) -> BrokerData:
    names = {one.broker_name for one in route.queue_datas if one.writable}
    found: Iterable[BrokerData] = (
        one
        for one in route.broker_datas
        if one.master is not None and one.broker_name in ({broker} if broker else names)
    )
    chosen = next(iter(sorted(found, key=lambda one: one.broker_name)), None)
    if chosen is None:
        raise UsageError("no broker set of the route has a master that takes writes")
    return chosen


def _told(results: Results[TopicConfig] | Results[None], what: str) -> Output:
    rows = tuple((address, what) for address in results.values)
    return Output(("address", "result"), rows, problems_of(results.errors))


def _shown(key: str, value: str | None, show: bool) -> str | None:  # noqa: FBT001 - an option
    return value if show or value is None or not is_secret(key) else "(hidden)"


def is_secret(key: str, words: Collection[str] = _SECRET_WORDS) -> bool:
    """Whether a setting's value must not be shown without being asked for."""
    return any(word in key.lower() for word in words)


def _row(broker: str, message: Message) -> tuple[Cell, ...]:
    if message.compression in (None, "zlib"):
        body = uncompressed(message).decode("utf-8", "backslashreplace")
    else:
        body = f"({len(message.body)} bytes, {message.compression})"
    keys = " ".join(message.keys)
    where = (broker, message.queue_id, message.offset, message.store_timestamp)
    return (*where, message.tags, keys, body)
