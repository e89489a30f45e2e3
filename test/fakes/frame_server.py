"""A server on loopback that answers each request of the remoting protocol with scripted bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Iterator

Answer = bytes | None
"""A frame; None: the connection stays silent."""


def frame(code: int, body: bytes = b"", *, binary: bool = False) -> bytes:
    if binary:
        header = struct.pack(">hbhiiii", code, 0, 0, 1, 1, 0, 0)
    else:
        header = b'{"code":%d,"flag":1,"language":"JAVA","opaque":1,"version":479}' % code
    kind = 1 if binary else 0
    length = (kind << 24) | len(header)
    return struct.pack(">II", 4 + len(header) + len(body), length) + header + body


class Server:
    """Answers a request by its code, in pieces of so many bytes; keeps the codes it was asked.

    It pauses before each piece. `answers` may be changed at any time.
    """

    def __init__(
        self, answers: dict[int, Answer], piece: int = 1 << 20, pause_s: float = 0.0
    ) -> None:
        self.asked: list[int] = []
        self._connections: list[asyncio.Event] = []
        self.answers = answers
        self._piece = piece
        self._pause_s = pause_s

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        total, header_length = struct.unpack(">II", await reader.readexactly(8))
        code = json.loads(await reader.readexactly(header_length))["code"]
        self.asked.append(code if total == 4 + header_length else -1)
        answer = self.answers.get(code) or b""
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(answer), self._piece):
                await asyncio.sleep(self._pause_s)
                writer.write(answer[start : start + self._piece])
                await writer.drain()
            await reader.read()  # as a real server, open until the probe closes

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done = asyncio.Event()
        self._connections.append(done)
        try:
            await self.serve(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            done.set()

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()
        for done in self._connections:
            await done.wait()


@contextlib.contextmanager
def swallowing() -> Iterator[int]:
    """A port that answers no connect, as a dead node: its backlog of none is full."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    held = [socket.socket() for _ in range(4)]
    for one in held:
        one.setblocking(False)
        one.connect_ex(full.getsockname())
    port: int = full.getsockname()[1]
    yield port
    for one in (*held, full):
        one.close()
