"""A network between an operator and RocketMQ's servers that can be cut, and that counts requests.

Each server has a port of the proxy before it. Whoever begins at a proxied name server stays behind
the proxy: in every answer the addresses of the servers are replaced by those of their proxies, so
brokers and other clients need not know of it. A `Judge` sees each request and says what becomes of
it; a server that is cut off refuses lines and loses those it has.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

import msgspec

from rocketmq.errors import ProtocolError
from rocketmq.frames import Frame, FrameReader, frame_bytes

_HOST = "127.0.0.1"


class Asked(msgspec.Struct, frozen=True):
    """One request on its way; `number` counts from 1 since the proxy began."""

    number: int
    address: str
    """The server's own."""
    code: int
    fields: dict[str, str]


class Fate(Enum):
    """What becomes of a request."""

    PASS = auto()
    CUT = auto()
    """It does not reach the server, and its line breaks."""
    LOSE = auto()
    """The server does it; its answer does not come back, and the line breaks."""


Judge = Callable[[Asked], Fate]


def let_pass(_: Asked) -> Fate:
    """Nothing goes wrong."""
    return Fate.PASS


class _Over(Exception):  # noqa: N818 - no error: one direction has ended, and so shall the other
    """A line has ended."""


class RemotingProxy:
    """The running proxy, as tests use it: from another thread than the one that serves.

    `lost` is called when the answer to a request that was to be lost has come, before the line
    breaks.
    """

    def __init__(self, addresses: Iterable[str]) -> None:
        self._addresses = tuple(addresses)
        self._proxies: dict[str, str] = {}
        self._cut: set[str] = set()
        self._lines: dict[str, set[asyncio.StreamWriter]] = {one: set() for one in self._addresses}
        self._judge: Judge = let_pass
        self._lost: Callable[[], None] = lambda: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self.seen: list[Asked] = []

    def proxied(self, address: str) -> str:
        """Where to reach a server through the proxy."""
        return self._proxies[address]

    def judge(self, judge: Judge, lost: Callable[[], None] = lambda: None) -> None:
        """Let this decide from now on."""
        self._judge, self._lost = judge, lost

    def heal(self) -> None:
        """Let everything through again."""
        self._judge, self._lost = let_pass, lambda: None
        self._call(self._cut.clear)

    def cut(self, *addresses: str) -> None:
        """These servers are out of reach, until `heal`."""

        def run() -> None:
            self._cut.update(addresses)
            for address in addresses:
                for line in self._lines[address]:
                    line.transport.abort()

        self._call(run)

    async def serve(self, started: threading.Event) -> None:
        """Run until `stop`; the loop and its thread are the caller's (`remoting_proxy`)."""
        self._loop = asyncio.get_running_loop()
        servers = []
        for address in self._addresses:
            server = await asyncio.start_server(self._accepted(address), _HOST, 0)
            self._proxies[address] = f"{_HOST}:{server.sockets[0].getsockname()[1]}"
            servers.append(server)
        started.set()
        await self._stopping.wait()
        for server in servers:
            server.close()
        for lines in self._lines.values():
            for line in lines:
                line.transport.abort()
        await asyncio.sleep(0.1)

    def stop(self) -> None:
        """Let `serve` return."""
        self._call(self._stopping.set)

    def _call(self, action: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            action()
            done.set()

        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(run)
            done.wait(10)

    def _accepted(
        self, address: str
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]:
        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if address in self._cut:
                writer.transport.abort()
                return
            host, _, port = address.rpartition(":")
            lines = self._lines[address]
            lines.add(writer)
            try:
                back_reader, back_writer = await asyncio.open_connection(host, int(port))
                lines.add(back_writer)
                await self._between(address, (reader, writer), (back_reader, back_writer))
                lines.discard(back_writer)
                back_writer.transport.abort()
            except OSError:
                pass
            finally:
                lines.discard(writer)
                writer.transport.abort()

        return accepted

    async def _between(
        self,
        address: str,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        losing: set[int] = set()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_then_over(self._forth(address, client[0], server[1], losing)))
                both.create_task(_then_over(self._back(server[0], client[1], losing)))
        except* (_Over, OSError, ProtocolError):
            pass

    async def _forth(
        self,
        address: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        losing: set[int],
    ) -> None:
        frames = FrameReader()
        while data := await reader.read(1 << 16):
            frames.receive_data(data)
            while (frame := frames.next_frame()) is not None:
                asked = Asked(len(self.seen) + 1, address, frame.code, frame.ext_fields)
                self.seen.append(asked)
                fate = self._judge(asked)
                if fate is Fate.CUT:
                    return
                if fate is Fate.LOSE:
                    losing.add(frame.opaque)
                writer.write(frame_bytes(frame))
            await writer.drain()

    async def _back(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: set[int]
    ) -> None:
        frames = FrameReader()
        while data := await reader.read(1 << 16):
            frames.receive_data(data)
            while (frame := frames.next_frame()) is not None:
                if frame.is_response and frame.opaque in losing:
                    self._lost()
                    return
                writer.write(frame_bytes(self._redirected(frame)))
            await writer.drain()

    def _redirected(self, frame: Frame) -> Frame:
        body = frame.body
        for address, proxy in self._proxies.items():
            body = body.replace(f'"{address}"'.encode(), f'"{proxy}"'.encode())
        return msgspec.structs.replace(frame, body=body)


async def _then_over(direction: Awaitable[None]) -> None:
    await direction
    raise _Over


@contextmanager
def remoting_proxy(addresses: Iterable[str]) -> Iterator[RemotingProxy]:
    """A proxy before these servers, served by a thread of its own."""
    proxy, started = RemotingProxy(addresses), threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(proxy.serve(started)), name="remoting proxy", daemon=True
    )
    thread.start()
    try:
        assert started.wait(10), "the proxy did not start"
        yield proxy
    finally:
        proxy.stop()
        thread.join(10)
