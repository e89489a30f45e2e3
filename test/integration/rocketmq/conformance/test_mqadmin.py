"""Our answers and those of mqadmin, the servers' own tool, of the same version: field by field."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path

from fakes.rocketmq_client import heartbeat, sent, soon
from fakes.rocketmq_processes import mqadmin
from fakes.rocketmq_servers import Servers
from rocketmq.admin import Admin
from rocketmq.clusters import Clusters


async def test_the_cluster_list(servers: Servers, admin: Admin, tmp_path: Path) -> None:
    printed = await _mqadmin(servers, tmp_path, "clusterList", "-n", servers.name_servers[0])
    # Cluster, broker, id and address; a broker that refuses the tool has no further columns.
    theirs = {tuple(row[:4]) for row in _rows(printed)}
    view = await Clusters(admin, servers.name_servers[:1]).view()
    ours = {
        (one.cluster, one.broker_name, str(id_), address)
        for one in view.info.broker_sets()
        for id_, address in one.broker_addrs.items()
    }
    assert ours == theirs
    versions = {row[3]: row[4] for row in _rows(printed) if len(row) > 5 and row[4][:1] == "V"}
    assert servers.master in versions
    assert {
        address: info.version
        for address, info in view.brokers.values.items()
        if address in versions
    } == versions


async def test_a_topic_route(servers: Servers, admin: Admin, topic: str, tmp_path: Path) -> None:
    name_server = servers.name_servers[0]
    printed = await _mqadmin(servers, tmp_path, "topicRoute", "-n", name_server, "-t", topic)
    theirs = json.loads(re.sub(r"([{,]\s*)(\d+):", r'\1"\2":', printed))
    ours = await admin.name_servers.topic_route(name_server, topic)
    assert [
        {
            "brokerName": one.broker_name,
            "cluster": one.cluster,
            "brokerAddrs": {str(id_): address for id_, address in one.broker_addrs.items()},
        }
        for one in ours.broker_datas
    ] == [
        {key: one[key] for key in ("brokerName", "cluster", "brokerAddrs")}
        for one in theirs["brokerDatas"]
    ]
    assert [
        {
            "brokerName": one.broker_name,
            "perm": one.perm,
            "readQueueNums": one.read_queue_nums,
            "writeQueueNums": one.write_queue_nums,
            "topicSysFlag": one.sys_flag,
        }
        for one in ours.queue_datas
    ] == theirs["queueDatas"]


async def test_a_consumer_s_progress(
    servers: Servers, admin: Admin, topic: str, group: str, tmp_path: Path
) -> None:
    await sent(admin, servers.master, topic, b"1", b"2", b"3")
    await admin.offsets.commit(servers.master, group, topic, 0, offset=1)
    # The tool asks for the route of the retry topic first: a heartbeat makes it.
    await admin.clients.heartbeat(servers.master, heartbeat("client", group, topic))
    clusters = Clusters(admin, servers.name_servers)
    await soon(lambda: clusters.topic_route(f"%RETRY%{group}"))
    await admin.clients.unregister(servers.master, "client", consumer_group=group)
    name_server = servers.name_servers[0]
    printed = await _mqadmin(servers, tmp_path, "consumerProgress", "-n", name_server, "-g", group)
    theirs = {
        (row[0], row[1], int(row[2])): (int(row[3]), int(row[4]))
        for row in _rows(printed)
        if row[0].endswith((topic, group))
    }
    progress = await clusters.progress(group)
    ours = {
        (queue.topic, queue.broker_name, queue.queue_id): (
            state.broker_offset,
            state.consumer_offset,
        )
        for queue, state in progress.stats.offset_table.items()
    }
    assert ours == theirs
    assert re.search(r"Diff Total:\s*(\d+)", printed)
    assert progress.stats.lag == int(re.findall(r"Diff Total:\s*(\d+)", printed)[0])


async def test_a_broker_s_settings(servers: Servers, admin: Admin, tmp_path: Path) -> None:
    name_server, broker = servers.name_servers[0], servers.master
    printed = await _mqadmin(servers, tmp_path, "getBrokerConfig", "-n", name_server, "-b", broker)
    pairs = (re.fullmatch(r"(\S+)\s*=  ?(.*)", line) for line in printed.splitlines())
    theirs = {found[1]: found[2].strip() for found in pairs if found}
    ours = (await admin.brokers.settings(broker)).values
    assert len(theirs) > 100
    assert {key: value.strip() for key, value in ours.items()} == theirs


def _rows(printed: str) -> list[list[str]]:
    """The cells of a table of mqadmin without its headings, which begin with #."""
    lines = (line.split() for line in printed.splitlines())
    return [cells for cells in lines if len(cells) > 3 and not cells[0].startswith("#")]


async def _mqadmin(servers: Servers, folder: Path, *arguments: str) -> str:
    return await asyncio.to_thread(_printed, servers, folder, arguments)


def _printed(servers: Servers, folder: Path, arguments: Sequence[str]) -> str:
    return mqadmin(servers.release, folder, arguments)
