"""Lines to any number of servers: one per address, opened when first needed, closed when idle.

What is asked of an address at once is bounded. When a line breaks, a call is made a second time on
a new line if the request certainly did not leave, or if it is one of `codes.READS` and no part of
an answer had come: servers close idle lines, and a request may cross with that. A write is never
repeated, even where writing twice looks harmless: another writer may have come between. Waiting and
trying again belong to the caller.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Collection
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from rocketmq.acl import Credentials, signed
from rocketmq.calls import Request, Response
from rocketmq.codes import READS, ResponseCode
from rocketmq.connection import Connection, open_line
from rocketmq.errors import ConnectError, ConnectionLostError, NoAnswerError, for_code
from rocketmq.frames import FRAME_LIMIT_BYTES

T = TypeVar("T")

Opener = Callable[[Connection, str, ssl.SSLContext | None], Awaitable[None]]
"""Gives the connection a transport to the address. Raises ConnectError."""


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to call; the defaults suit an operator inside the cluster."""

    credentials: Credentials | None = None
    tls: ssl.SSLContext | None = None
    frame_limit_bytes: int = FRAME_LIMIT_BYTES
    connect_timeout_s: float = 3.0
    idle_close_s: float = 60.0
    """Must stay below the servers' own 120 s, lest requests meet a line that is being closed."""
    calls_per_address: int = 32
    """More wait for their turn, within their own time."""
    one_way_timeout_s: float = 5.0
    close_grace_s: float = 1.0
    """For what is written but not sent when the pool closes."""


class _Line:
    """What the pool knows of one address; it lives while somebody uses it or it is connected."""

    def __init__(self, address: str, calls: int) -> None:
        self.address = address
        self.slots = asyncio.Semaphore(calls)
        self.opening = asyncio.Lock()
        self.connection: Connection | None = None
        self.failures = 0
        self.failure: ConnectError | None = None
        self.users = 0
        self.last_used = 0.0
        self.idle_timer: asyncio.TimerHandle | None = None

    def failed(self, error: ConnectError) -> ConnectError:
        """The error, noted for those who wait for the same attempt."""
        self.failures += 1
        self.failure = error
        return error


class Pool:
    """A Caller that keeps its lines; enter it (`async with`) and close it from the same loop."""

    def __init__(self, settings: ClientSettings, *, opener: Opener = open_line) -> None:
        self._settings = settings
        self._opener = opener
        self._lines: dict[str, _Line] = {}
        self._connections: set[Connection] = set()
        self._open = False

    def __repr__(self) -> str:
        return f"<Pool of {len(self._lines)} addresses, {sorted(map(repr, self._connections))}>"

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all lines; calls that still wait fail. Returns when every socket is gone."""
        self._open = False
        for line in list(self._lines.values()):
            self._forget(line)
        connections = list(self._connections)
        for connection in connections:
            connection.close()
        try:
            async with asyncio.timeout(self._settings.close_grace_s):
                for connection in connections:
                    await connection.wait_closed()
        except TimeoutError:
            pass
        finally:
            for connection in connections:
                connection.abort()
        for connection in connections:
            await connection.wait_closed()

    async def call(
        self,
        address: str,
        request: Request,
        *,
        timeout_s: float = 5.0,
        allow: Collection[int] = (),
    ) -> Response:
        """As Caller promises."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        response = await self._exchange(
            address, self._signed(request), deadline, lambda line, what: line.call(what, deadline)
        )
        if response.code != ResponseCode.SUCCESS and response.code not in allow:
            raise for_code(response.code, response.remark, address)
        return response

    async def send_one_way(self, address: str, request: Request) -> None:
        """As Caller promises, within the settings' `one_way_timeout_s`."""
        deadline = asyncio.get_running_loop().time() + self._settings.one_way_timeout_s
        await self._exchange(
            address,
            self._signed(request),
            deadline,
            lambda line, what: line.send_one_way(what, deadline),
        )

    def _signed(self, request: Request) -> Request:
        credentials = self._settings.credentials
        return request if credentials is None else signed(request, credentials)

    async def _exchange(
        self,
        address: str,
        request: Request,
        deadline: float,
        send: Callable[[Connection, Request], Awaitable[T]],
    ) -> T:
        line = self._used(address)
        try:
            await _wait_turn(line, deadline)
            try:
                try:
                    return await send(await self._connected(line, deadline), request)
                except ConnectionLostError as lost:
                    if not self._open or not _may_repeat(request.code, lost):
                        raise
                return await send(await self._connected(line, deadline), request)
            finally:
                line.slots.release()
        finally:
            self._unused(line)

    async def _connected(self, line: _Line, deadline: float) -> Connection:
        if line.connection is not None and line.connection.usable:
            return line.connection
        failures = line.failures
        try:
            async with asyncio.timeout_at(deadline), line.opening:
                if line.connection is not None and line.connection.usable:
                    return line.connection
                if line.failure is not None and line.failures != failures:
                    # The attempt we waited for failed: that is our answer too, not another wait.
                    raise ConnectError(line.failure.reason, address=line.address)
                return await self._opened(line)
        except TimeoutError:
            raise NoAnswerError("the time ran out while connecting", address=line.address) from None

    async def _opened(self, line: _Line) -> Connection:
        if not self._open:
            raise ConnectError("the pool was closed", address=line.address)
        connection = Connection(
            line.address,
            frame_limit_bytes=self._settings.frame_limit_bytes,
            on_lost=self._connections.discard,
        )
        self._connections.add(connection)
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await self._opener(connection, line.address, self._settings.tls)
            if connection.usable:
                line.connection = connection
        except ConnectError as error:
            raise line.failed(error) from error.__cause__
        except TimeoutError:
            within = f"cannot connect within {self._settings.connect_timeout_s:g} s"
            raise line.failed(ConnectError(within, address=line.address)) from None
        finally:
            # Also when cancelled: a line that nobody will be given must not stay open.
            if line.connection is not connection:
                connection.abort()
        if line.connection is not connection:
            raise ConnectError("closed as soon as it was open", address=line.address)
        return connection

    def _used(self, address: str) -> _Line:
        if not self._open:
            raise RuntimeError("a pool must be entered before it is used, and not be closed")
        line = self._lines.get(address)
        if line is None:
            line = self._lines[address] = _Line(address, self._settings.calls_per_address)
        line.users += 1
        return line

    def _unused(self, line: _Line) -> None:
        line.users -= 1
        if line.users or self._lines.get(line.address) is not line:
            return
        if line.connection is None:
            self._forget(line)
            return
        loop = asyncio.get_running_loop()
        line.last_used = loop.time()
        if line.idle_timer is None:
            line.idle_timer = loop.call_later(self._settings.idle_close_s, self._close_idle, line)

    def _close_idle(self, line: _Line) -> None:
        line.idle_timer = None
        if line.users:
            return
        loop = asyncio.get_running_loop()
        due = line.last_used + self._settings.idle_close_s
        if loop.time() < due:
            line.idle_timer = loop.call_at(due, self._close_idle, line)
            return
        self._forget(line)
        if line.connection is not None:
            line.connection.close_idle()

    def _forget(self, line: _Line) -> None:
        self._lines.pop(line.address, None)
        if line.idle_timer is not None:
            line.idle_timer.cancel()
            line.idle_timer = None


async def _wait_turn(line: _Line, deadline: float) -> None:
    try:
        if line.slots.locked():
            async with asyncio.timeout_at(deadline):
                await line.slots.acquire()
        else:
            await line.slots.acquire()  # does not wait
    except TimeoutError:
        message = "the time ran out before its turn"
        raise NoAnswerError(message, address=line.address) from None


def _may_repeat(code: int, lost: ConnectionLostError) -> bool:
    return not lost.sent or (code in READS and not lost.answer_begun)
