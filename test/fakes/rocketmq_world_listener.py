"""Sockets of the world: one listener for each server, frames in and frames out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rocketmq.errors import ProtocolError
from rocketmq.frames import Frame, FrameReader, frame_bytes

Handler = Callable[["Line", Frame], None]


class Line(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, lines: set[Line], handle: Handler) -> None:
        self._lines = lines
        self._handle = handle
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._lines.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        self._transport = None
        self._lines.discard(self)

    def data_received(self, data: bytes) -> None:
        """Some bytes of requests."""
        self._reader.receive_data(data)
        try:
            while (frame := self._reader.next_frame()) is not None:
                self._handle(self, frame)
        except ProtocolError:
            self.cut()

    def send(self, frame: Frame) -> None:
        """Give an answer; nobody may be there to take it."""
        if self._transport is not None:
            self._transport.write(frame_bytes(frame))

    def cut(self) -> None:
        """End the connection without another word."""
        if self._transport is not None:
            self._transport.abort()


class Listener:
    """A port that is open from `open` to `close`."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._lines: set[Line] = set()
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> None:
        """Begin to listen. Raises OSError when somebody else does."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Line(self._lines, self._handle), host, port, backlog=128
        )

    async def close(self) -> None:
        """Close the port and every connection; nothing is answered any more."""
        if self._server is not None:
            self._server.close()
            for line in list(self._lines):
                line.cut()
            await self._server.wait_closed()
            while self._lines:  # noqa: ASYNC110 - aborted transports end in later turns of the loop
                await asyncio.sleep(0)
            self._server = None
