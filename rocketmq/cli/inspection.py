"""Commands that only look."""

from __future__ import annotations

import argparse

from rocketmq.cli.output import Cell, Output, problems_of
from rocketmq.clusters import Clusters
from rocketmq.errors import ProtocolError
from rocketmq.fanout import Results, each
from rocketmq.messages.brokers import RuntimeInfo
from rocketmq.messages.topics import TopicStats
from rocketmq.system_names import is_group_topic, user_groups, user_topics


async def cluster(clusters: Clusters, options: argparse.Namespace) -> Output:
    """Each broker's place and figures; a broker that does not answer has its place alone."""
    view = await clusters.view(options.cluster)
    rows = [
        (one.cluster, one.broker_name, id_, address, *_figures(view.brokers.values.get(address)))
        for one in view.info.broker_sets(options.cluster)
        for id_, address in sorted(one.broker_addrs.items())
    ]
    problems = problems_of(view.name_servers.errors | view.brokers.errors)
    for found in view.disagreements:
        where = f"{found.broker_name} {found.broker_id}"
        told = ", ".join(
            f"{server}: {addr or 'unknown'}" for server, addr in found.addresses.items()
        )
        problems[where] = f"{where}: name servers disagree ({told})"
    columns = ("cluster", "broker", "id", "address", "version", "in_tps", "out_tps", "disk", "end")
    return Output(columns, tuple(rows), problems)


async def topic_list(clusters: Clusters, options: argparse.Namespace) -> Output:
    """Topic names."""
    names = await clusters.topics()
    if not options.all:
        info = await clusters.info()
        listed = await clusters.system_topics()
        names = user_topics(names, clusters=info.clusters, listed=listed)
    return Output(("topic",), tuple((name,) for name in names))


async def topic_route(clusters: Clusters, options: argparse.Namespace) -> Output:
    """A topic's queues on each broker set."""
    route = await clusters.topic_route(options.topic)
    sets = {one.broker_name: one for one in route.broker_datas}
    rows: list[tuple[Cell, ...]] = []
    for queue in route.queue_datas:
        found = sets.get(queue.broker_name)
        place = (found.cluster, ";".join(found.addresses)) if found else (None, None)
        numbers = (queue.read_queue_nums, queue.write_queue_nums, queue.perm)
        rows.append((queue.broker_name, *place, *numbers))
    columns = ("broker", "cluster", "addresses", "read_queues", "write_queues", "perm")
    return Output(columns, tuple(rows))


async def topic_stats(clusters: Clusters, options: argparse.Namespace) -> Output:
    """Offsets of each queue, from the masters of the route."""
    masters = (await clusters.topic_route(options.topic)).masters
    found: Results[TopicStats] = await each(
        masters, lambda one: clusters.admin.topics.stats(one, options.topic)
    )
    rows = sorted(
        (queue.broker_name, queue.queue_id, state.min_offset, state.max_offset)
        for stats in found.values.values()
        for queue, state in stats.offset_table.items()
    )
    columns = ("broker", "queue", "min_offset", "max_offset")
    return Output(columns, tuple(rows), problems_of(found.errors))


async def topic_show(clusters: Clusters, options: argparse.Namespace) -> Output:
    """A topic's record on each master that has it."""
    masters = (await clusters.topic_route(options.topic)).masters
    found = await each(masters, lambda one: clusters.admin.topics.get(one, options.topic))
    rows = tuple(
        (
            address,
            config.read_queue_nums,
            config.write_queue_nums,
            config.perm,
            config.topic_filter_type,
            config.order,
            ",".join(f"{key}={value}" for key, value in sorted(config.attributes.items())),
        )
        for address, config in found.values.items()
    )
    columns = (
        "address",
        "read_queues",
        "write_queues",
        "perm",
        "filter_type",
        "order",
        "attributes",
    )
    return Output(columns, rows, problems_of(found.errors))


async def group_list(clusters: Clusters, options: argparse.Namespace) -> Output:
    """Group names, from all masters."""
    found = await each((await clusters.info()).masters(), clusters.admin.groups.all)
    names = {name for table in found.values.values() for name in table.subscription_group_table}
    shown = tuple(sorted(names)) if options.all else user_groups(names)
    return Output(("group",), tuple((name,) for name in shown), problems_of(found.errors))


async def group_show(clusters: Clusters, options: argparse.Namespace) -> Output:
    """A group's record on each master that has it."""
    info = await clusters.info()
    found = await each(info.masters(), lambda one: clusters.admin.groups.get(one, options.group))
    rows = tuple(
        (
            address,
            group.consume_enable,
            group.consume_broadcast_enable,
            group.retry_queue_nums,
            group.retry_max_times,
        )
        for address, group in found.values.items()
    )
    columns = ("address", "consume", "broadcast", "retry_queues", "retries")
    return Output(columns, rows, problems_of(found.errors))


async def group_clients(clusters: Clusters, options: argparse.Namespace) -> Output:
    """The group's connected consumers, broker by broker."""
    found = await each(
        (await clusters.info()).addresses(),
        lambda one: clusters.admin.groups.consumer_connection(one, options.group),
    )
    rows: list[tuple[Cell, ...]] = []
    for broker, connected in found.values.items():
        if connected is None:
            continue
        topics = ",".join(sorted(one for one in connected.subscription_table if _plain(one)))
        rows += [
            (one.client_id, one.client_addr, broker, one.language, topics)
            for one in connected.connection_set
        ]
    columns = ("client", "client_address", "broker", "language", "topics")
    return Output(columns, tuple(sorted(rows, key=str)), problems_of(found.errors))


async def lag(clusters: Clusters, options: argparse.Namespace) -> Output:
    """How far the group is in each queue."""
    progress = await clusters.progress(options.group, topic=options.topic)
    rows = sorted(
        (
            queue.topic,
            queue.broker_name,
            queue.queue_id,
            state.broker_offset,
            state.consumer_offset,
            state.lag,
        )
        for queue, state in progress.stats.offset_table.items()
    )
    columns = ("topic", "broker", "queue", "broker_offset", "consumer_offset", "lag")
    return Output(columns, tuple(rows), problems_of(progress.errors))


def _figures(info: RuntimeInfo | None) -> tuple[Cell, ...]:
    if info is None:
        return (None,) * 5
    try:
        figures = (info.put_tps, info.get_tps, info.commit_log_disk_ratio)
        end = info.commit_log_max_offset
    except ProtocolError:  # one odd figure must not hide the other brokers
        return (info.table.get("brokerVersionDesc"), *(None,) * 4)
    return (info.version, *figures, end)


def _plain(topic: str) -> bool:
    return not is_group_topic(topic)
