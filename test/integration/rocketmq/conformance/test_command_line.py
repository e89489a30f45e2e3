"""`python -m rocketmq` against real servers, each run a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from fakes.control_plane import ROOT
from fakes.rocketmq_client import fresh, soon
from fakes.rocketmq_servers import SUPER_USER, Servers
from rocketmq.admin import Admin


class _Ended(msgspec.Struct, frozen=True):
    status: int
    output: str
    errors: str

    @property
    def rows(self) -> list[dict[str, object]]:
        """What `--json` printed."""
        rows: list[dict[str, object]] = json.loads(self.output)["rows"]
        return rows


async def test_a_topic_from_its_making_to_its_end(servers: Servers, admin: Admin) -> None:
    topic = fresh("cli-topic")
    made = await _run(servers, "topic", "save", topic, "--cluster", "plain", "--write-queues", "2")
    assert (made.status, made.output.split()) == (
        0,
        ["ADDRESS", "RESULT", servers.master, "saved"],
    )
    await soon(lambda: admin.name_servers.topic_route(servers.name_servers[0], topic))
    sent = await _run(servers, "--json", "send", topic, "käse", "--queue", "1", "--tag", "a")
    assert [(row["queue"], row["offset"]) for row in sent.rows] == [(1, 0)]

    async def pulled() -> None:
        read = await _run(servers, "--json", "pull", topic)
        assert [(row["queue"], row["tags"], row["body"]) for row in read.rows] == [(1, "a", "käse")]

    await soon(pulled)
    changed = await _run(servers, "topic", "save", topic, "--cluster", "plain", "--perm", "4")
    assert changed.status == 0
    shown = await _run(servers, "--json", "topic", "show", topic)
    assert [(row["write_queues"], row["perm"]) for row in shown.rows] == [(2, 4)]

    async def read_only() -> None:
        route = await admin.name_servers.topic_route(servers.name_servers[0], topic)
        assert {one.perm for one in route.queue_datas} == {4}

    await soon(read_only)
    refused = await _run(servers, "send", topic, "x")
    assert (refused.status, "takes writes" in refused.errors) == (1, True)
    gone = await _run(servers, "topic", "delete", topic, "--cluster", "plain")
    assert gone.status == 0
    assert topic not in (await _run(servers, "topic", "list")).output


async def test_the_cluster_has_a_row_for_each_broker_and_tells_who_does_not_answer(
    servers: Servers,
) -> None:
    whole = await _run(servers, "--json", "cluster")
    assert whole.status == 1  # the guarded and the sealed broker refuse
    assert servers.guarded in whole.errors
    assert {row["address"] for row in whole.rows} >= {servers.master, servers.slave}
    plain = await _run(servers, "cluster", "plain")
    assert plain.status == 0
    assert plain.output.splitlines()[0].split()[:5] == [
        "CLUSTER",
        "BROKER",
        "ID",
        "ADDRESS",
        "VERSION",
    ]


async def test_groups_and_their_lag(servers: Servers, admin: Admin, topic: str) -> None:
    group = fresh("cli-group")
    made = await _run(servers, "group", "save", group, "--cluster", "plain", "--retries", "3")
    assert made.status == 0
    shown = await _run(servers, "--json", "group", "show", group)
    assert [row["retries"] for row in shown.rows if row["address"] == servers.master] == [3]
    await _run(servers, "send", topic, "x", "--queue", "0")
    await admin.offsets.commit(servers.master, group, topic, 0, offset=0)

    async def behind() -> None:
        lag = await _run(servers, "--json", "lag", group)
        assert [row["lag"] for row in lag.rows if row["queue"] == 0] == [1]

    await soon(behind)
    assert (await _run(servers, "group", "clients", group)).output == ""


async def test_settings_with_an_account_from_a_file(servers: Servers, tmp_path: Path) -> None:
    account = tmp_path / "account"
    account.write_text(
        f"accessKey={SUPER_USER.access_key}\nsecretKey={SUPER_USER.secret_key}\n", encoding="utf-8"
    )
    options = ("--credentials-file", str(account), "--json")
    anonymous = await _run(servers, "config", "get", servers.guarded)
    assert (anonymous.status, servers.guarded in anonymous.errors) == (1, True)
    changed = await _run(servers, *options, "config", "set", servers.guarded, "fileReservedTime=70")
    assert (changed.status, changed.rows) == (0, [{"key": "fileReservedTime", "value": "70"}])
    refused = await _run(servers, *options, "config", "set", servers.guarded, "noSuchKey=1")
    assert (refused.status, "noSuchKey was not taken" in refused.errors) == (1, True)
    whole = await _run(servers, *options, "config", "get", servers.guarded)
    assert len(whole.rows) > 100
    assert SUPER_USER.secret_key not in whole.output + whole.errors


async def _run(servers: Servers, *arguments: str) -> _Ended:
    environment: Mapping[str, str] = {
        "ROCKETMQ_NAME_SERVERS": ";".join(servers.name_servers),
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rocketmq",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return _Ended(process.returncode or 0, output.decode(), errors.decode())
