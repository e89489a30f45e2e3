"""How long a view of many brokers takes: every broker's state, one call to each.

`python hack/bench/rocketmq_cluster_view.py [--brokers N]` starts scripted peers in a process of its
own on loopback: one name server, and one port for each broker (half of them slaves). Each of three
rounds opens all lines anew, as an operator does after its start, and then asks once more over the
open lines. The bar is one second for a thousand brokers; 1 is returned when it is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rocketmq.admin import Admin
from rocketmq.clusters import Clusters, ClusterView
from rocketmq.codes import RequestCode
from rocketmq.frames import Frame, FrameReader, frame_bytes
from rocketmq.pool import ClientSettings, Pool

ROUNDS = 3
BAR_S = 1.0
_INFO = ",".join(f'"figure{number}":"some value {number}"' for number in range(90))
RUNTIME = f'{{"table":{{{_INFO},"brokerVersionDesc":"V5_3_3","commitLogMaxOffset":"1"}}}}'.encode()


class Peer(asyncio.Protocol):
    """A server that gives each code its body."""

    def __init__(self, bodies: dict[int, bytes]) -> None:
        self._bodies = bodies
        self._frames = FrameReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A line is there."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what servers get
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer what has come whole."""
        self._frames.receive_data(data)
        while (frame := self._frames.next_frame()) is not None:
            body = self._bodies[frame.code]
            self._transport.write(frame_bytes(Frame(0, frame.opaque, 1, body=body)))


async def serve(brokers: int) -> None:
    """All peers in one process; prints the name server's port and ends with its stdin."""
    loop = asyncio.get_running_loop()
    bodies = {int(RequestCode.GET_BROKER_RUNTIME_INFO): RUNTIME}
    ports = [await _listen(bodies) for _ in range(brokers)]
    clusters = _cluster_body([f"127.0.0.1:{port}" for port in ports])
    print(await _listen({int(RequestCode.GET_BROKER_CLUSTER_INFO): clusters}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


async def _listen(bodies: dict[int, bytes]) -> int:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Peer(bodies), "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    return port


def _cluster_body(addresses: list[str]) -> bytes:
    pairs = zip(addresses[::2], addresses[1::2], strict=True)
    sets = {f"broker-{number:04}": pair for number, pair in enumerate(pairs)}
    tables = ",".join(
        f'"{name}":{{"brokerAddrs":{{0:"{master}",1:"{slave}"}},'
        f'"brokerName":"{name}","cluster":"C1"}}'
        for name, (master, slave) in sets.items()
    )
    names = ",".join(f'"{name}"' for name in sets)
    return f'{{"brokerAddrTable":{{{tables}}},"clusterAddrTable":{{"C1":[{names}]}}}}'.encode()


async def measure(name_server: str, brokers: int) -> tuple[float, float]:
    """Seconds of the best first view, lines opened anew, and of the best one over open lines."""
    firsts, seconds = [], []
    for _ in range(ROUNDS):
        async with Pool(ClientSettings()) as pool:
            clusters = Clusters(Admin(pool), (name_server,))
            firsts.append(await _timed(clusters, brokers))
            seconds.append(await _timed(clusters, brokers))
    return min(firsts), min(seconds)


async def _timed(clusters: Clusters, brokers: int) -> float:
    started = time.perf_counter()
    view: ClusterView = await clusters.view()
    took = time.perf_counter() - started
    if len(view.brokers.values) != brokers or not view.brokers.complete:
        raise SystemExit(f"only {len(view.brokers.values)} answered: {view.brokers.errors}")
    return took


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", type=int, default=1000)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.serve is not None:
        asyncio.run(serve(options.serve))
        return 0
    command = [sys.executable, __file__, "--serve", str(options.brokers)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as peers:
        assert peers.stdout is not None  # noqa: S101 - it is a pipe
        address = f"127.0.0.1:{int(peers.stdout.readline())}"
        first, second = asyncio.run(measure(address, options.brokers))
        peers.communicate()
    print(f"view of {options.brokers} brokers: {first:.3f} s, over open lines {second:.3f} s")
    return 0 if first <= BAR_S else 1


if __name__ == "__main__":
    sys.exit(main())
