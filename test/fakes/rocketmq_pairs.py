"""Two clusters of real servers behind the same two name servers: `source` and `target`.

Each has two masters. Their clients look for routes as often as they like, so that what takes half a
minute in the world takes a second here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from fakes.rocketmq_processes import (
    BROKER,
    HOST,
    NAME_SERVER,
    Program,
    Release,
    ServerProcess,
    free_port_blocks,
    running,
)
from fakes.rocketmq_servers import SMALL_BROKER, WITH_TIMERS

SOURCE, TARGET = "source", "target"
_GROUPS = 2


class Pair(msgspec.Struct, frozen=True):
    """Where everything is; brokers by name, such as `source-0`."""

    release: Release
    name_servers: tuple[str, ...]
    brokers: dict[str, str]
    processes: dict[str, ServerProcess]
    """By address."""
    plans: dict[str, tuple[Program, Path, dict[str, str]]]
    """What each was started with."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """All servers."""
        return (*self.name_servers, *self.brokers.values())

    def masters(self, cluster: str) -> tuple[str, ...]:
        """The masters of one cluster, by broker name."""
        return tuple(self.brokers[f"{cluster}-{number}"] for number in range(_GROUPS))

    def kill(self, address: str) -> None:
        """A server ends without a word."""
        self.processes[address].kill()
        self.processes[address].join()

    def begin(self, address: str) -> None:
        """A server that ended starts again with what it had on its disk."""
        program, folder, settings = self.plans[address]
        (folder / "output.log").rename(folder / f"output-{len(list(folder.iterdir()))}.log")
        self.processes[address] = ServerProcess(self.release, program, folder, settings)
        self.processes[address].wait_ready()


@contextmanager
def cluster_pair(release: Release, folder: Path) -> Iterator[Pair]:
    """Start all of them side by side and end them with the block."""
    ports = iter(free_port_blocks(2 + 2 * _GROUPS))
    pair = Pair(release, (), {}, {}, {})
    try:
        names = tuple(_started(pair, NAME_SERVER, folder, next(ports) + 2) for _ in range(2))
        pair = msgspec.structs.replace(pair, name_servers=names)
        for address in names:
            pair.processes[address].wait_ready()  # else a broker tries again ten seconds later
        for cluster in (SOURCE, TARGET):
            for number in range(_GROUPS):
                name = f"{cluster}-{number}"
                own = {"brokerClusterName": cluster, "namesrvAddr": ";".join(names)}
                port = next(ports) + 2
                pair.brokers[name] = _started(pair, BROKER, folder, port, brokerName=name, **own)
    except BaseException:
        for process in pair.processes.values():
            process.kill()
        raise
    with running(tuple(pair.processes.values())):
        yield pair
        for address in pair.processes:
            pair.kill(address)


def _started(pair: Pair, program: Program, folder: Path, port: int, **own: str) -> str:
    home = folder / (own.get("brokerName") or f"name-server-{port}")
    basics = _name_server(home) if program is NAME_SERVER else _broker(home, port)
    settings = {**basics, "listenPort": str(port), **own}
    address = f"{HOST}:{port}"
    pair.plans[address] = (program, home, settings)
    pair.processes[address] = ServerProcess(pair.release, program, home, settings)
    return address


def _name_server(home: Path) -> dict[str, str]:
    return {
        "kvConfigPath": str(home / "kvConfig.json"),
        "configStorePath": str(home / "server.properties"),
        "orderMessageEnable": "true",
    }


def _broker(home: Path, port: int) -> dict[str, str]:
    store = home / "store"
    return {
        **SMALL_BROKER,
        **WITH_TIMERS,
        "brokerId": "0",
        "brokerRole": "ASYNC_MASTER",
        "haListenPort": str(port + 1),
        "storePathRootDir": str(store),
        "storePathCommitLog": str(store / "commitlog"),
        "transactionCheckInterval": "1000",
        "transactionTimeOut": "1000",
    }
