"""One line to one server: many calls at once, each with its deadline.

A call is one write and one wait, so cancelling it leaves the line as it was: a request is on its
way whole or not at all, and its answer is dropped. The transport calls in (`asyncio.Protocol`),
hence no task reads; whoever opened the connection closes it. Requests wait while the server does
not read, so what it leaves lying cannot fill the memory.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from rocketmq.calls import Request, Response
from rocketmq.codes import request_name
from rocketmq.errors import (
    ConnectError,
    ConnectionLostError,
    NoAnswerError,
    ProtocolError,
    RocketmqError,
)
from rocketmq.frames import FRAME_LIMIT_BYTES
from rocketmq.session import Answer, Session

_TLS_GOODBYE_S = 2.0
"""How long a closing TLS line waits for the peer's own goodbye."""


class Connection(asyncio.Protocol):
    """A line that `open_line` has given a transport; `usable` until it closes or goes silent.

    `on_lost` is called when the transport is gone (or ended before there was one). Deadlines are
    times of the loop's clock.
    """

    def __init__(
        self,
        address: str,
        *,
        frame_limit_bytes: int = FRAME_LIMIT_BYTES,
        on_lost: Callable[[Connection], object] = lambda _: None,
    ) -> None:
        self._address = address
        self._on_lost = on_lost
        self._session = Session(frame_limit_bytes=frame_limit_bytes)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, asyncio.Future[Response | RocketmqError]] = {}
        self._writable = asyncio.Event()
        self._ended = ""
        self._silent = False
        self._closed = asyncio.Event()

    def __repr__(self) -> str:
        state = self._ended or ("silent" if self._silent else "usable" if self.usable else "new")
        return f"<Connection to {self._address}, {state}, {len(self._waiting)} calls>"

    @property
    def usable(self) -> bool:
        """New calls may go on this line."""
        return self._transport is not None and not self._ended and not self._silent

    async def call(self, request: Request, deadline: float) -> Response:
        """The answer, whatever its code.

        Raises ConnectionLostError, ProtocolError, or NoAnswerError when the deadline comes first.
        """
        transport = await self._wait_writable(deadline)
        opaque, data = self._session.send(request)
        answer: asyncio.Future[Response | RocketmqError] = self._loop.create_future()
        self._waiting[opaque] = answer
        heard = self._session.frames_received
        timer = self._loop.call_at(deadline, self._expire, answer, request.code, heard)
        try:
            transport.write(data)
            outcome = await answer
        finally:
            timer.cancel()
            self._session.forget(opaque)
            self._waiting.pop(opaque, None)
            if self._silent and not self._waiting:
                self.abort()
        if isinstance(outcome, RocketmqError):
            raise outcome
        return outcome

    async def send_one_way(self, request: Request, deadline: float) -> None:
        """Give the request to the transport. Raises as `call` does."""
        transport = await self._wait_writable(deadline)
        transport.write(self._session.send_one_way(request))

    def close(self) -> None:
        """Send what was written, then end; calls that wait fail now."""
        self._end("closed by this side")
        if self._transport is not None:
            self._transport.close()
        else:
            self._gone()

    def abort(self) -> None:
        """End at once, whatever was not sent yet."""
        self._end("closed by this side")
        if self._transport is not None:
            self._transport.abort()
        else:
            self._gone()

    def close_idle(self) -> None:
        """Close a line that nobody uses: what a peer has not read by now, it never will."""
        if self._transport is not None and self._transport.get_write_buffer_size():
            self.abort()
        else:
            self.close()

    async def wait_closed(self) -> None:
        """Return when the transport is gone."""
        await self._closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there (asyncio calls this)."""
        self._transport = cast("asyncio.Transport", transport)
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Bytes came (asyncio calls this): hand the answers out, refuse what the peer asks."""
        if self._ended or self._transport is None:
            return
        self._session.receive_data(data)
        try:
            while (event := self._session.next_event()) is not None:
                if isinstance(event, Answer):
                    self._settle(event.opaque, event.response)
                elif self._writable.is_set():
                    # A peer that asks and does not read gets no answers: they would pile up here.
                    self._transport.write(event.data)
        except ProtocolError as error:
            self._end(str(error), ProtocolError)
            self._transport.abort()

    def pause_writing(self) -> None:
        """The peer reads too slowly (asyncio calls this)."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The peer reads again (asyncio calls this)."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone (asyncio calls this)."""
        self._end(f"the line broke: {exc}" if exc else "the server closed the line")
        self._transport = None
        self._gone()

    def _gone(self) -> None:
        self._closed.set()
        self._on_lost(self)

    async def _wait_writable(self, deadline: float) -> asyncio.Transport:
        try:
            while not self._writable.is_set():  # again, for who woke first may have filled it
                async with asyncio.timeout_at(deadline):
                    await self._writable.wait()
        except TimeoutError:
            self._silent = True
            if not self._waiting:
                self.abort()
            message = "the time ran out before the server read the request"
            raise NoAnswerError(message, address=self._address) from None
        if self._transport is None or self._ended:
            raise ConnectionLostError(
                self._ended or "never connected", address=self._address, sent=False
            )
        return self._transport

    def _settle(self, opaque: int, outcome: Response) -> None:
        answer = self._waiting.get(opaque)
        if answer is not None and not answer.done():
            answer.set_result(outcome)

    def _expire(
        self, answer: asyncio.Future[Response | RocketmqError], code: int, heard: int
    ) -> None:
        if answer.done():
            return
        # Not a frame since the request went: the line may be dead and only the network knows.
        self._silent = self._silent or self._session.frames_received == heard
        answer.set_result(
            NoAnswerError(f"no answer to {request_name(code)} in time", address=self._address)
        )

    def _end(self, reason: str, error: type[ProtocolError] | None = None) -> None:
        """Settle all calls, once; by results, for an exception nobody fetches would be logged."""
        if self._ended:
            return
        self._ended = reason
        self._writable.set()
        begun = self._session.answer_begun
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(
                    error(reason, address=self._address)
                    if error
                    else ConnectionLostError(
                        reason, address=self._address, sent=True, answer_begun=begun
                    )
                )


async def open_line(connection: Connection, address: str, tls: ssl.SSLContext | None) -> None:
    """Connect to `address` (`host:port`, `[v6]:port`). Raises ConnectError."""
    host, port = host_and_port(address)
    loop = asyncio.get_running_loop()
    try:
        await loop.create_connection(
            lambda: connection,
            host,
            port,
            ssl=tls,
            server_hostname=host if tls else None,
            ssl_shutdown_timeout=_TLS_GOODBYE_S if tls else None,
        )
    except (OSError, ValueError) as error:  # ValueError: no name can be like that
        raise ConnectError(f"cannot connect: {error}", address=address) from error


def host_and_port(address: str) -> tuple[str, int]:
    """The two parts of `host:port` or `[v6]:port`. Raises ConnectError."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 2**16:
        raise ConnectError("is not host:port", address=address)
    return host, int(port)
