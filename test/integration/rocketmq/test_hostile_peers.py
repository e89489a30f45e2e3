"""Servers that misbehave, on real sockets: bounded time, bounded memory, and an error that says it.

Each test's pool must end all its lines, for an unclosed socket is a warning and thus a failure.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest

from rocketmq.calls import Request
from rocketmq.codes import RequestCode
from rocketmq.errors import (
    ConnectError,
    ConnectionLostError,
    NoAnswerError,
    ProtocolError,
    RocketmqError,
)
from rocketmq.frames import Frame, FrameReader, frame_bytes
from rocketmq.pool import ClientSettings, Pool

READ = Request(RequestCode.GET_BROKER_CONFIG)
SETTINGS = ClientSettings(connect_timeout_s=0.4, close_grace_s=0.2)

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(behaviour: Behaviour) -> AsyncIterator[str]:
    """A server's address; its lines end with the block."""
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        try:
            with suppress(OSError):
                await behaviour(reader, writer)
        finally:
            writer.transport.abort()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        host, port = listener.sockets[0].getsockname()
        yield f"{host}:{port}"
    finally:
        listener.close()
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await asyncio.sleep(0.01)  # for the transports to go


@contextmanager
def limits(*, time_s: float, memory_bytes: int) -> Iterator[None]:
    tracemalloc.start()
    start = time.monotonic()
    try:
        yield
        assert time.monotonic() - start < time_s
        assert tracemalloc.get_traced_memory()[1] < memory_bytes
    finally:
        tracemalloc.stop()


async def error_of(behaviour: Behaviour, *, timeout_s: float = 0.3) -> RocketmqError:
    """What a read comes to; checks time and memory, and that the pool is whole afterwards."""
    async with server(behaviour) as address, server(well_behaved) as other:
        with limits(time_s=5, memory_bytes=8_000_000):
            async with Pool(SETTINGS) as pool:
                with pytest.raises(RocketmqError, match=rf"^{address}: .") as caught:
                    await pool.call(address, READ, timeout_s=timeout_s)
                assert (await pool.call(other, READ)).body == b"fine"
    return caught.value


async def well_behaved(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    frames = FrameReader()
    while data := await reader.read(65536):
        frames.receive_data(data)
        while (frame := frames.next_frame()) is not None:
            writer.write(frame_bytes(Frame(0, frame.opaque, 1, body=b"fine")))


async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def test_a_server_that_never_answers_costs_the_time_of_the_call() -> None:
    assert type(await error_of(hang)) is NoAnswerError


async def test_a_server_that_closes_at_once_breaks_the_line() -> None:
    async def close(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        pass

    assert isinstance(await error_of(close), ConnectError | ConnectionLostError)


async def test_a_server_that_closes_after_half_an_answer_breaks_the_line() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(frame_bytes(Frame(0, 1, 1, body=bytes(100)))[:-1])
        await writer.drain()
        writer.write_eof()
        await reader.read()

    error = await error_of(half)

    assert isinstance(error, ConnectionLostError)
    assert error.answer_begun


async def test_half_an_answer_and_then_nothing_costs_the_time_of_the_call() -> None:
    async def half(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame_bytes(Frame(0, 1, 1, body=bytes(100)))[:-1])
        await asyncio.sleep(60)

    assert type(await error_of(half)) is NoAnswerError


async def test_an_answer_that_drips_costs_the_time_of_the_call() -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in frame_bytes(Frame(0, 1, 1, body=bytes(10_000))):
            writer.write(bytes([byte]))
            await asyncio.sleep(0.005)

    assert type(await error_of(drip)) is NoAnswerError


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(struct.pack(">I", 2**31 - 1) + bytes(2_000_000), id="2 GiB announced"),
        pytest.param(struct.pack(">I", 0), id="no length"),
        pytest.param(struct.pack(">II", 20, 2**24 - 1), id="header beyond the frame"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="HTTP"),
        pytest.param(struct.pack(">II", 9, 5) + b"[[[[[", id="no JSON"),
        pytest.param(struct.pack(">II", 9, 1 << 24 | 5) + b"\xff" * 5, id="no binary header"),
    ],
)
async def test_garbage_is_a_protocol_error(garbage: bytes) -> None:
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)
        await asyncio.sleep(60)

    # The line may be open, and refused, before the call is on it.
    assert isinstance(await error_of(speak), ProtocolError | ConnectError)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(Frame(0, 2**30, 1, body=bytes(1000)), id="answers to nothing"),
        pytest.param(Frame(40, 1, 2, body=bytes(1000)), id="notices"),
        pytest.param(Frame(307, 1, 0), id="requests that want an answer"),
    ],
)
async def test_a_flood_nobody_asked_for_takes_no_memory(frame: Frame) -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = frame_bytes(frame) * 50
        while True:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0)

    assert type(await error_of(flood)) is NoAnswerError


async def test_an_answer_as_long_as_allowed_is_read_and_one_byte_more_is_refused() -> None:
    async def long(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader()
        while data := await reader.read(65536):
            frames.receive_data(data)
            while (frame := frames.next_frame()) is not None:
                empty = len(frame_bytes(Frame(0, frame.opaque, 1))) - 4
                body = bytes(1_000_000 - empty + int(frame.body))
                writer.write(frame_bytes(Frame(0, frame.opaque, 1, body=body)))

    settings = ClientSettings(frame_limit_bytes=1_000_000)
    async with server(long) as address, Pool(settings) as pool:
        allowed = await pool.call(address, Request(26, body=b"0"))
        with pytest.raises(ProtocolError, match="a frame of 1000001 bytes is announced"):
            await pool.call(address, Request(26, body=b"1"))

    assert len(allowed.body) > 999_000


async def test_a_server_that_accepts_nothing_is_given_up() -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):  # they fill the queue, and nobody accepts
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with limits(time_s=3, memory_bytes=1_000_000):
            async with Pool(SETTINGS) as pool:
                with pytest.raises(ConnectError, match=r"cannot connect within 0\.4 s"):
                    await pool.call(address, READ)


@pytest.mark.parametrize(
    "address", ["", "host", "host:", ":1", "host:0", "host:65536", "host:x", "ho\0st:1", "[::1]"]
)
async def test_what_is_no_address_is_a_connect_error(address: str) -> None:
    async with Pool(SETTINGS) as pool:
        with pytest.raises(ConnectError):
            await pool.call(address, READ)


async def test_nobody_listening_is_a_connect_error_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with limits(time_s=2, memory_bytes=1_000_000):
            async with Pool(SETTINGS) as pool:
                with pytest.raises(ConnectError, match="cannot connect: "):
                    await pool.call(address, READ)


async def test_a_server_that_stops_reading_holds_neither_calls_nor_memory() -> None:
    big = Request(RequestCode.UPDATE_BROKER_CONFIG, body=bytes(1_000_000))

    async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(60)

    async with server(deaf) as address:
        with limits(time_s=5, memory_bytes=60_000_000):
            async with Pool(SETTINGS) as pool:
                for _ in range(3):
                    results = await asyncio.gather(
                        *(pool.call(address, big, timeout_s=0.3) for _ in range(20)),
                        return_exceptions=True,
                    )
                    # The first one whose time is over closes the line under those behind it.
                    assert {type(result) for result in results} <= {
                        NoAnswerError,
                        ConnectionLostError,
                    }
