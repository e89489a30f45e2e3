"""A network of scripted servers without sockets: what `Pool` and `Connection` see of asyncio.

Each line is a transport that reads whole requests and gives them to the script of its network; the
script answers, stays silent, or cuts, at times of the loop's clock. Lines remember what reached
them and how they ended, which is what tests look at.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from rocketmq.connection import Connection
from rocketmq.errors import ConnectError
from rocketmq.frames import Frame, FrameReader, frame_bytes

Script = Callable[["Wire", Frame], None]


def echo(wire: Wire, request: Frame) -> None:
    """Success at once, with the request's body."""
    wire.answer(request, body=request.body)


def silence(_wire: Wire, _request: Frame) -> None:
    """Nothing, ever."""


class Wire(asyncio.Transport):
    """The client's end of one line; `requests` are those that reached the server."""

    def __init__(self, connection: Connection, script: Script) -> None:
        super().__init__()
        self._connection = connection
        self._script = script
        self._reader = FrameReader()
        self._loop = asyncio.get_running_loop()
        self._stuck = bytearray()
        self.reading = True
        self.requests: list[Frame] = []
        self.ended = ""

    def answer(
        self, request: Frame, *, after_s: float = 0, code: int = 0, body: bytes = b""
    ) -> None:
        """A response to this request."""
        frame = Frame(code, request.opaque, 1, remark=f"code {code}", body=body)
        self.give(frame_bytes(frame), after_s=after_s)

    def give(self, data: bytes, *, after_s: float = 0) -> None:
        """Bytes from the server."""
        self._loop.call_later(after_s, self._received, data)

    def cut(self, *, after_s: float = 0) -> None:
        """The server's end goes away."""
        self._loop.call_later(after_s, self._lost, "cut")

    def stop_reading(self) -> None:
        """The server takes nothing more: what is written stays, and the client is told to pause."""
        self.reading = False
        self._connection.pause_writing()

    def read_again(self) -> None:
        """The server takes what stayed, and what comes."""
        self.reading = True
        self._connection.resume_writing()
        stuck, self._stuck = bytes(self._stuck), bytearray()
        self.write(stuck)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.ended:
            return
        if not self.reading:
            self._stuck += data
            return
        self._reader.receive_data(bytes(data))
        while (frame := self._reader.next_frame()) is not None:
            self.requests.append(frame)
            self._script(self, frame)

    def get_write_buffer_size(self) -> int:
        return len(self._stuck)

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        if self.reading:  # else asyncio waits for the buffer to empty, for ever
            self._loop.call_soon(self._lost, "closed")

    def abort(self) -> None:
        self._loop.call_soon(self._lost, "aborted")

    def _received(self, data: bytes) -> None:
        if not self.ended:
            self._connection.data_received(data)

    def _lost(self, how: str) -> None:
        if not self.ended:
            self.ended = how
            self._connection.connection_lost(None)


class Network:
    """An `Opener`: each line takes `connect_s` to open, then `script` serves it."""

    def __init__(self, script: Script = echo, *, connect_s: float = 0.0) -> None:
        self.script = script
        self.connect_s = connect_s
        self.refusing: set[str] = set()
        self.attempts: list[str] = []
        self.wires: list[Wire] = []

    async def __call__(
        self, connection: Connection, address: str, _tls: ssl.SSLContext | None
    ) -> None:
        self.attempts.append(address)
        await asyncio.sleep(self.connect_s)
        if address in self.refusing:
            raise ConnectError("refused", address=address)
        wire = Wire(connection, self._serve)
        self.wires.append(wire)
        connection.connection_made(wire)

    @property
    def open_wires(self) -> list[Wire]:
        """Lines that nobody ended."""
        return [wire for wire in self.wires if not wire.ended]

    def _serve(self, wire: Wire, request: Frame) -> None:
        self.script(wire, request)
