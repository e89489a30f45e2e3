"""Our answers and those of mqadmin, the servers' own tool, of the same version: field by field.

Figures move while two programs ask for them one after the other, and the tool gives up sooner than
we do: each comparison is made again until it holds.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from fakes.rocketmq_client import heartbeat, sent, soon
from fakes.rocketmq_processes import mqadmin
from fakes.rocketmq_servers import Servers
from rocketmq.admin import Admin
from rocketmq.clusters import Clusters
from rocketmq.messages.brokers import RuntimeInfo
from rocketmq.messages.clients import Pull
from rocketmq.messages.groups import ConsumeStats

_WITHIN_S = 90.0


async def test_the_cluster_list(servers: Servers, admin: Admin, tmp_path: Path) -> None:
    async def equal() -> None:
        name_server = servers.name_servers[0]
        rows = _rows(await _mqadmin(servers, tmp_path, "clusterList", "-n", name_server))
        view = await Clusters(admin, (name_server,)).view()
        ours = {
            (one.cluster, one.broker_name, str(id_), address): view.brokers.values.get(address)
            for one in view.info.broker_sets()
            for id_, address in one.broker_addrs.items()
        }
        assert {tuple(row[:4]) for row in rows} == set(ours)
        # The tool has no figures of a broker that refuses it, and prints nothings instead.
        known = {place: info for place, info in ours.items() if info is not None}
        assert len(known) == len(ours) - 2
        theirs = {tuple(row[:4]): tuple(row[4:]) for row in rows}
        five = servers.release.five
        for place, info in known.items():
            *figures, hours, disk, active = theirs[place] if five else (*theirs[place], None)
            assert tuple(figures) == _figures(info, five=five)
            assert float(hours or 0) == pytest.approx(_hours_kept(info), abs=0.1)
            assert float(disk or 0) == pytest.approx(info.commit_log_disk_ratio, abs=0.00005)
            assert active == (info.table["brokerActive"] if five else None)

    await soon(equal, within_s=_WITHIN_S)


async def test_a_topic_route(servers: Servers, admin: Admin, topic: str, tmp_path: Path) -> None:
    name_server = servers.name_servers[0]
    printed = await soon(
        lambda: _mqadmin(servers, tmp_path, "topicRoute", "-n", name_server, "-t", topic)
    )
    theirs = json.loads(re.sub(r"([{,]\s*)(\d+):", r'\1"\2":', printed))
    ours = await admin.name_servers.topic_route(name_server, topic)
    acting = {"enableActingMaster": False} if servers.release.five else {}
    assert theirs == {
        "brokerDatas": [
            {
                "brokerName": one.broker_name,
                "cluster": one.cluster,
                "brokerAddrs": {str(id_): address for id_, address in one.broker_addrs.items()},
                **acting,
            }
            for one in ours.broker_datas
        ],
        "filterServerTable": {},
        "queueDatas": [
            {
                "brokerName": one.broker_name,
                "perm": one.perm,
                "readQueueNums": one.read_queue_nums,
                "writeQueueNums": one.write_queue_nums,
                "topicSysFlag": one.sys_flag,
            }
            for one in ours.queue_datas
        ],
    }
    assert [one.enable_acting_master for one in ours.broker_datas] == [False]


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
    await admin.clients.pull(
        servers.master, Pull(group=group, topic=topic, queue_id=0, offset=0, suspend_ms=2000)
    )
    five, name_server = servers.release.five, servers.name_servers[0]

    async def equal() -> None:
        printed = await _mqadmin(
            servers, tmp_path, "consumerProgress", "-n", name_server, "-g", group
        )
        stats = (await clusters.progress(group)).stats
        theirs = {tuple(row) for row in _rows(printed) if row[0].endswith((topic, group))}
        assert theirs == _progress_rows(stats, five=five)
        totals = {name: int(total) for name, total in re.findall(r"(\w+) Total: (\d+)", printed)}
        in_flight = {"Inflight": _in_flight(stats)} if five else {}
        assert totals == {"Diff": stats.lag, **in_flight}

    await soon(equal, within_s=_WITHIN_S)


async def test_a_broker_s_settings(servers: Servers, admin: Admin, tmp_path: Path) -> None:
    name_server, broker = servers.name_servers[0], servers.master

    async def equal() -> None:
        printed = await _mqadmin(
            servers, tmp_path, "getBrokerConfig", "-n", name_server, "-b", broker
        )
        pairs = (re.fullmatch(r"(\S+)\s*=  ?(.*)", line) for line in printed.splitlines())
        theirs = {found[1]: found[2].strip() for found in pairs if found}
        ours = (await admin.brokers.settings(broker)).values
        assert len(theirs) > 100
        assert {key: value.strip() for key, value in ours.items()} == theirs

    await soon(equal, within_s=_WITHIN_S)


def _figures(info: RuntimeInfo, *, five: bool) -> tuple[str, ...]:
    """Version, rates with queues, timer, page cache: the columns that only a broker knows."""
    table = info.table

    def queue(name: str) -> str:
        size, wait_ms = f"{name}ThreadPoolQueueSize", f"{name}ThreadPoolQueueHeadWaitTimeMills"
        return f"{table[size]},{table[wait_ms]}ms"

    acknowledged = f"|{queue('ack')}" if five else ""
    cells = [
        info.version,
        f"{info.put_tps:.2f}({queue('send')})",
        f"{info.get_tps:.2f}({queue('pull')}{acknowledged})",
    ]
    if five:
        behind = f"{table['timerReadBehind']}-{table['timerOffsetBehind']}"
        congested = int(table["timerCongestNum"]) / 10_000
        in_tps, out_tps = float(table["timerEnqueueTps"]), float(table["timerDequeueTps"])
        cells += f"{behind}({congested:.1f}w, {in_tps:.1f}, {out_tps:.1f})".split()
    return (*cells, table["pageCacheLockTimeMills"])


def _hours_kept(info: RuntimeInfo) -> float:
    return (time.time() - int(info.table["earliestMessageTimeStamp"]) / 1000) / 3600


def _progress_rows(stats: ConsumeStats, *, five: bool) -> set[tuple[str, ...]]:
    """The tool's rows: topic, broker, queue, offsets, lag, in flight (5.x), time of the last."""
    return {
        (
            *map(str, queue),
            str(state.broker_offset),
            str(state.consumer_offset),
            str(state.lag),
            *((str((state.pull_offset or 0) - state.consumer_offset),) if five else ()),
            *_moment(state.last_timestamp).split(),
        )
        for queue, state in stats.offset_table.items()
    }


def _in_flight(stats: ConsumeStats) -> int:
    states = stats.offset_table.values()
    return sum((state.pull_offset or 0) - state.consumer_offset for state in states)


def _moment(timestamp_ms: int) -> str:
    if timestamp_ms <= 0:
        return "N/A"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(timestamp_ms / 1000))


def _rows(printed: str) -> list[list[str]]:
    """The cells of a table of mqadmin without its headings, which begin with #."""
    lines = (line.split() for line in printed.splitlines())
    return [cells for cells in lines if len(cells) > 3 and not cells[0].startswith("#")]


async def _mqadmin(servers: Servers, folder: Path, *arguments: str) -> str:
    return await asyncio.to_thread(_printed, servers, folder, arguments)


def _printed(servers: Servers, folder: Path, arguments: Sequence[str]) -> str:
    return mqadmin(servers.release, folder, arguments)
