"""What a new group and a group that leaves cost: its topics and groups, written and looked at.

`python hack/bench/rocketmq_groups.py [--version V] [--topics N] [--groups N]` starts a name server
and a master of RocketMQ as processes on loopback, gives the master all topics and groups as a
scale-out does, reads them back, and then looks what it holds as a scale-in does every few seconds.
Ratios are to one small call to the same master in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fakes.rocketmq_client import soon
from fakes.rocketmq_processes import (
    BROKER,
    HOST,
    NAME_SERVER,
    Program,
    ServerProcess,
    free_port_blocks,
    release,
    running,
)
from reconcilers.facts import Silence
from reconcilers.metadata import ask_metadata, copy_metadata
from reconcilers.steps.decision import CopyMetadata
from rocketmq.admin import Admin
from rocketmq.draining import read_backlog
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig
from rocketmq.pool import ClientSettings, Pool

HEAP_MIB = 512
CALLS = 50
LOOKS = 3
WRITE_FOR_S = 3600.0
READY_S = 60.0


@contextmanager
def master(version: str, folder: Path) -> Iterator[str]:
    """The address of a master that is registered nowhere else."""
    found = release(version)
    ports = free_port_blocks(2)
    names = ServerProcess(
        found, _large(NAME_SERVER), folder / "names", {"listenPort": str(ports[0] + 2)}
    )
    store = folder / "store"
    settings = {
        "brokerClusterName": "bench",
        "brokerName": "bench",
        "brokerId": "0",
        "listenPort": str(ports[1] + 2),
        "haListenPort": str(ports[1] + 3),
        "namesrvAddr": f"{HOST}:{ports[0] + 2}",
        "storePathRootDir": str(store),
        "storePathCommitLog": str(store / "commitlog"),
        "mappedFileSizeCommitLog": "4194304",
    }
    with running((names, ServerProcess(found, _large(BROKER), folder / "master", settings))):
        yield f"{HOST}:{ports[1] + 2}"


def _large(program: Program) -> Program:
    return Program(program.main_class, HEAP_MIB, program.boot_line)


async def measure(address: str, topics: int, groups: int) -> list[tuple[str, float, float]]:
    """What was done, its seconds, and how many calls or records that is."""
    step = CopyMetadata(
        pod="bench",
        uid="",
        address=address,
        source="",
        topics=tuple((TopicConfig(f"topic-{number:05}"), None) for number in range(topics)),
        groups=tuple((SubscriptionGroup(f"group-{number:04}"), None) for number in range(groups)),
    )
    async with Pool(ClientSettings()) as pool:
        admin = Admin(pool)
        await soon(lambda: admin.brokers.runtime_info(address), within_s=READY_S)
        started = time.perf_counter()
        for _ in range(CALLS):
            await admin.topics.system_topics(address)
        called = time.perf_counter()
        await copy_metadata(admin, step, WRITE_FOR_S)
        written = time.perf_counter()
        there = (await ask_metadata(admin, {"bench": address}))["bench"]
        read = time.perf_counter()
        if isinstance(there, Silence) or (len(there.topics), len(there.groups)) != (topics, groups):
            raise SystemExit(f"not all is there: {there}"[:300])
        for _ in range(LOOKS):
            await read_backlog(admin, address)
        looked = time.perf_counter()
    return [
        ("one small call", (called - started) / CALLS, 1),
        ("all topics and groups written", written - called, topics + groups),
        ("read back", read - written, topics + groups),
        ("one look", (looked - read) / LOOKS, topics + groups),
    ]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default="5.3.3")
    parser.add_argument("--topics", type=int, default=5000)
    parser.add_argument("--groups", type=int, default=500)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        master(options.version, Path(folder)) as address,
    ):
        figures = asyncio.run(measure(address, options.topics, options.groups))
    print(f"RocketMQ {options.version}, {options.topics} topics, {options.groups} groups")
    call_s = figures[0][1]
    for what, seconds, records in figures:
        print(
            f"{what}: {seconds:.4f} s, {seconds / call_s:.0f} x a small call, "
            f"{seconds / records / call_s:.2f} for each record"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
