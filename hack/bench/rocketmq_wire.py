"""What the remoting client costs: calls a second, latency, memory; ratios to a bare socket loop.

`python hack/bench/rocketmq_wire.py [--calls N] [--profile]` starts a scripted server in a process
of its own on loopback and asks it by a bare blocking socket loop, by asyncio's own sockets, and by
`rocketmq.pool`, in turns, three rounds of each; the best round counts, so that what else runs on
the machine counts least. The bare loop writes one finished frame and reads one frame of known
length: nothing that speaks the protocol can do less.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import socket
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rocketmq import fastjson
from rocketmq.calls import Request, Response
from rocketmq.codes import MQVersion, RequestCode
from rocketmq.frames import Frame, FrameReader, frame_bytes, request_frame
from rocketmq.messages.topics import all_topics
from rocketmq.pool import ClientSettings, Pool

ROUNDS = 3
BODY = b'{"table":{' + b",".join(b'"key%d":"some value %d"' % (n, n) for n in range(90)) + b"}}"
"""As long as a broker's run-time information."""


def serve() -> None:
    """The scripted server: every request gets BODY; prints its port and ends with its stdin."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def answer(line: socket.socket) -> None:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        frames = FrameReader()
        while data := line.recv(65536):
            frames.receive_data(data)
            while (frame := frames.next_frame()) is not None:
                line.sendall(frame_bytes(Frame(0, frame.opaque, 1, body=BODY)))

    def accept() -> None:
        while True:
            line, _ = listener.accept()
            threading.Thread(target=answer, args=(line,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


def bare(port: int, calls: int) -> list[float]:
    """Seconds of each call by a blocking socket."""
    request = request_frame(RequestCode.GET_BROKER_RUNTIME_INFO, 1, {}, b"")
    length = len(frame_bytes(Frame(0, 1, 1, body=BODY)))
    taken = []
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(calls):
            start = time.perf_counter()
            line.sendall(request)
            missing = length
            while missing:
                missing -= len(line.recv(65536))
            taken.append(time.perf_counter() - start)
    return taken


async def bare_asyncio(port: int, calls: int) -> list[float]:
    """Seconds of each call by asyncio's streams, without protocol: what any asyncio client pays."""
    request = request_frame(RequestCode.GET_BROKER_RUNTIME_INFO, 1, {}, b"")
    length = len(frame_bytes(Frame(0, 1, 1, body=BODY)))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken = []
    for _ in range(calls):
        start = time.perf_counter()
        writer.write(request)
        await reader.readexactly(length)
        taken.append(time.perf_counter() - start)
    writer.close()
    await writer.wait_closed()
    return taken


async def pooled(port: int, calls: int) -> list[float]:
    """Seconds of each call by the pool, one after the other."""
    request = Request(RequestCode.GET_BROKER_RUNTIME_INFO)
    taken = []
    async with Pool(ClientSettings()) as pool:
        for _ in range(calls):
            start = time.perf_counter()
            await pool.call(f"127.0.0.1:{port}", request)
            taken.append(time.perf_counter() - start)
    return taken


async def pooled_together(port: int, calls: int, at_once: int = 32) -> float:
    """Seconds of all calls by the pool, `at_once` under way."""
    request = Request(RequestCode.GET_BROKER_RUNTIME_INFO)

    async def some(pool: Pool) -> None:
        for _ in range(calls // at_once):
            await pool.call(f"127.0.0.1:{port}", request)

    async with Pool(ClientSettings()) as pool:
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(some(pool))
        return time.perf_counter() - start


def topic_configurations(topics: int) -> bytes:
    """GET_ALL_TOPIC_CONFIG as 5.3.3 writes it."""
    one = (
        '"topic-%d":{"attributes":{"+message.type":"NORMAL"},"order":false,"perm":6,'
        '"readQueueNums":8,"topicFilterType":"SINGLE_TAG","topicName":"topic-%d",'
        '"topicSysFlag":0,"writeQueueNums":8}'
    )
    table = ",".join(one % (n, n) for n in range(topics))
    return f'{{"dataVersion":{{"counter":2}},"topicConfigTable":{{{table}}}}}'.encode()


def consume_stats(queues: int) -> bytes:
    """GET_CONSUME_STATS: objects as keys, hence the slow parser."""
    one = (
        '{"brokerName":"broker-a","queueId":%d,"topic":"t1"}:{"brokerOffset":3,'
        '"consumerOffset":2,"lastTimestamp":1795367560694,"pullOffset":3}'
    )
    return (
        '{"consumeTps":0.0,"offsetTable":{' + ",".join(one % n for n in range(queues)) + "}}"
    ).encode()


def typed_topics(body: bytes) -> object:
    """As the admin client reads it."""
    return all_topics().answer(Response(0, "", {}, body, MQVersion.V5_3_3))


def show_decoding(name: str, body: bytes, decode: Callable[[bytes], object]) -> None:
    """Time and memory of one body, beside its length."""
    best = min(_seconds(lambda: decode(body)) for _ in range(ROUNDS))
    tracemalloc.start()
    value = decode(body)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del value
    print(
        f"{name}: body {len(body) / 1e6:.2f} MB, {best * 1000:.0f} ms, kept {kept / 1e6:.1f} MB "
        f"({kept / len(body):.1f} x body), peak {peak / 1e6:.1f} MB"
    )


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def show_calls(port: int, calls: int) -> None:
    """Throughput and latency, and their ratios to the bare loop."""
    rounds: dict[str, list[list[float]]] = {"bare socket": [], "bare asyncio": [], "pool": []}
    together = []
    for _ in range(ROUNDS):
        rounds["bare socket"].append(bare(port, calls))
        rounds["bare asyncio"].append(asyncio.run(bare_asyncio(port, calls)))
        rounds["pool"].append(asyncio.run(pooled(port, calls)))
        together.append(asyncio.run(pooled_together(port, calls)))
    bare_s, asyncio_s = (min(map(sum, rounds[name])) for name in ("bare socket", "bare asyncio"))

    def ratios(taken_s: float) -> str:
        return f"{taken_s / bare_s:.2f} x bare socket, {taken_s / asyncio_s:.2f} x bare asyncio"

    for name, taken in rounds.items():
        best = min(taken, key=sum)
        median, p99 = statistics.median(best), statistics.quantiles(best, n=100)[98]
        print(
            f"{name}: {calls / sum(best):,.0f} calls/s, median {median * 1e6:.0f} µs, "
            f"p99 {p99 * 1e6:.0f} µs; {ratios(sum(best))}"
        )
    best_s = min(together)
    print(f"pool, 32 at once: {calls / best_s:,.0f} calls/s; {ratios(best_s)}")


def main() -> None:
    """Run all, or be the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true", help="show where the pool's time goes")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        port = int(server.stdout.readline() if server.stdout else b"")
        if options.profile:
            profile = cProfile.Profile()
            profile.runcall(lambda: asyncio.run(pooled(port, options.calls)))
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        else:
            show_calls(port, options.calls)
            topics, queues = topic_configurations(10_000), consume_stats(10_000)
            show_decoding("configuration of 10,000 topics", topics, typed_topics)
            show_decoding("the same without types", topics, fastjson.decode)
            show_decoding("offsets of 10,000 queues without types", queues, fastjson.decode)


if __name__ == "__main__":
    main()
