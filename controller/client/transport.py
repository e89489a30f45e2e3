"""Requests over HTTP: send one, or stream the lines of one. The only file that imports aiohttp.

Invariants: every call has a total time-out and every stream a limit of silence; whatever goes wrong
is raised as an ApiError and nothing else (cancellation passes through); credentials are asked for
each request and never come into an exception, a repr or a log. What was not sent when the process
dies is never sent.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol, Self
from urllib.parse import urlencode

import aiohttp
import msgspec
from yarl import URL

from controller.client.config import ClientConfig
from controller.client.requests import HttpRequest
from controller.errors import MalformedError, SilentError, UnreachableError, error_for

CONNECT_TIMEOUT_S = 10.0
MAX_LINE_BYTES = 16 * 1024 * 1024
"""etcd takes objects of 1.5 MiB; what is ten times as long is no watch event."""

CONNECTIONS = 64
"""At most so many calls at a time; streams have connections of their own and never wait."""


class HttpResponse(msgspec.Struct, frozen=True):
    """A good answer (status below 400) and its whole body."""

    status: int
    body: bytes | bytearray


class Transport(Protocol):
    """What a client needs of HTTP."""

    async def send(self, request: HttpRequest, *, timeout_s: float) -> HttpResponse:
        """The answer, complete within `timeout_s`; raises the ApiError that a refusal stands for.

        UnreachableError: no answer, or not in time. Whether a write was done is unknown then.
        """
        ...

    def stream(
        self, request: HttpRequest, *, silence_s: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The lines of an endless answer, each without its line feed.

        The iterator ends when the server ends the answer. SilentError: no byte for `silence_s`;
        UnreachableError: cut, also in mid-line; MalformedError: a line of more than 16 MiB.
        """
        ...


class AiohttpTransport:
    """Transport to the server of one ClientConfig; use it as an asynchronous context manager.

    `agent` follows the program's name in the User-Agent. `before_write` is called when the bytes of
    a write are about to leave, for it may have waited long for its connection; what it raises
    keeps them here, and the caller sees an UnreachableError.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        agent: str = "",
        before_write: Callable[[], None] | None = None,
    ) -> None:
        self._config = config
        self._agent = agent
        self._before_write = before_write
        self._calls: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"<AiohttpTransport to {self._config.server}>"

    async def __aenter__(self) -> Self:
        self._calls = _session(self._config, self._agent, connections=CONNECTIONS)
        self._streams = _session(self._config, self._agent, connections=0)
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in (self._calls, self._streams):
            if session is not None:
                await session.close()

    async def send(self, request: HttpRequest, *, timeout_s: float) -> HttpResponse:
        """See Transport."""
        limits = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        headers = await self._headers(request)
        with _as_api_errors(request):
            async with await self._open(self._calls, request, headers, limits) as response:
                # A list may have tens of megabytes: grown in place, not joined from pieces.
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
        self._check(response, body)
        return HttpResponse(response.status, body)

    @asynccontextmanager
    async def stream(
        self, request: HttpRequest, *, silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """See Transport."""
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=silence_s
        )
        headers = await self._headers(request)
        with _as_api_errors(request):
            response = await self._open(self._streams, request, headers, limits)
        try:
            if response.status >= 400:
                with _as_api_errors(request):
                    body = await response.read()
                self._check(response, body)
            async with aclosing(_lines(response, request)) as lines:
                yield lines
        finally:
            response.close()

    async def _open(
        self,
        session: aiohttp.ClientSession | None,
        request: HttpRequest,
        headers: dict[str, str],
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        if session is None:
            raise RuntimeError("the transport is not open: use it as a context manager")
        query = f"?{urlencode(request.query)}" if request.query else ""
        return await session.request(
            request.method,
            URL(self._config.server + request.path + query, encoded=True),
            data=self._body(request),
            headers=headers,
            timeout=limits,
            allow_redirects=False,
            proxy=self._config.proxy,
            server_hostname=self._config.tls_server_name,
        )

    def _body(self, request: HttpRequest) -> bytes | _GuardedBody | None:
        if request.body is None or self._before_write is None or not request.writes:
            return request.body
        return _GuardedBody(request.body, self._before_write)

    async def _headers(self, request: HttpRequest) -> dict[str, str]:
        headers = dict(request.headers)
        authorization = await self._config.credentials.authorization()
        if authorization:
            headers["Authorization"] = authorization
        return headers

    def _check(self, response: aiohttp.ClientResponse, body: bytes | bytearray) -> None:
        if response.status < 400:
            return
        if response.status == 401:
            self._config.credentials.expire()
        retry_after_s = retry_after(response.headers.get("Retry-After"))
        raise error_for(response.status, bytes(body), retry_after_s=retry_after_s)


class _GuardedBody(aiohttp.BytesPayload):
    """The body of a write. aiohttp holds the headers back until its first bytes."""

    def __init__(self, body: bytes, check: Callable[[], None]) -> None:
        super().__init__(body)
        self._check = check

    async def write_with_length(
        self, writer: aiohttp.abc.AbstractStreamWriter, content_length: int | None
    ) -> None:
        self._check()
        await super().write_with_length(writer, content_length)


def retry_after(value: str | None) -> float | None:
    """The seconds of a Retry-After header; the API server never sends the form with a date."""
    return float(value) if value is not None and value.isdecimal() else None


class LineAssembler:
    """Puts lines together from pieces of any size, each piece looked at once."""

    def __init__(self, limit_bytes: int = MAX_LINE_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._pieces: list[bytes] = []
        self._size_bytes = 0

    @property
    def incomplete(self) -> bool:
        """Whether a line has begun and not ended."""
        return self._size_bytes > 0

    def lines(self, chunk: bytes) -> list[bytes]:
        """The lines that end in this chunk, without empty ones; MalformedError if one is too long.

        The API server never sends an empty line; proxies may, to keep a connection alive.
        """
        *ended, rest = chunk.split(b"\n")
        lines = []
        for end in ended:
            self._add(end)
            line = b"".join(self._pieces)
            self._pieces, self._size_bytes = [], 0
            if line:
                lines.append(line)
        self._add(rest)
        return lines

    def _add(self, piece: bytes) -> None:
        self._size_bytes += len(piece)
        if self._size_bytes > self._limit_bytes:
            raise MalformedError(f"a line of more than {self._limit_bytes} bytes")
        if piece:
            self._pieces.append(piece)


async def _lines(
    response: aiohttp.ClientResponse, request: HttpRequest
) -> AsyncGenerator[bytes, None]:
    assembler = LineAssembler()
    with _as_api_errors(request):
        async for chunk in response.content.iter_any():
            for line in assembler.lines(chunk):
                yield line
    if assembler.incomplete:
        raise UnreachableError(f"{request.method} {request.path}: cut in the middle of a line")


@contextmanager
def _as_api_errors(request: HttpRequest) -> Iterator[None]:
    """Whatever aiohttp and the operating system raise, as errors of ours.

    `from None`: the repr of aiohttp's errors holds the request's headers, and so the token.
    """
    try:
        yield
    except aiohttp.SocketTimeoutError:
        raise SilentError(f"{request.method} {request.path}: no byte in time") from None
    except TimeoutError:
        raise UnreachableError(f"{request.method} {request.path}: no answer in time") from None
    except aiohttp.ClientResponseError as failure:
        raise UnreachableError(f"{request.method} {request.path}: {failure.message}") from None
    except (aiohttp.ClientError, OSError) as failure:
        cause = f"{type(failure).__name__}: {failure}"
        raise UnreachableError(f"{request.method} {request.path}: {cause}") from None


def _session(config: ClientConfig, agent: str, *, connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=connections, ssl=config.tls or True, socket_factory=_guarded_socket
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        # With True every request would look for a .netrc in a thread. The proxy that the
        # environment asks for is found once, by `config`.
        trust_env=False,
        headers={
            "User-Agent": f"rocketmq-operator/{_version()} {agent}".rstrip(),
            "Accept": "application/json",
            # The API server is near: compressing a large list costs both sides more than it saves.
            "Accept-Encoding": "identity",
        },
    )


def _guarded_socket(address: aiohttp.connector.AddrInfoType) -> socket.socket:
    """A socket that notices within about a minute that nobody is there any more.

    And one that takes what it could not send to the grave: otherwise the kernel would go on trying
    for a process that has ended, and its write arrive when another one leads already.
    """
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for name, value in (
        ("TCP_KEEPIDLE", 30),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 60_000),
    ):
        # Not every system has every option.
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return sock


def _version() -> str:
    try:
        return version("rocketmq-operator")
    except PackageNotFoundError:
        return "unknown"
