"""The transport against a small HTTP server on loopback that misbehaves on request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from controller.client.config import ClientConfig
from controller.client.requests import HttpRequest
from controller.client.transport import CONNECTIONS, AiohttpTransport, HttpResponse
from controller.errors import (
    ApiError,
    GoneError,
    MalformedError,
    SilentError,
    ThrottledError,
    UnauthorizedError,
    UnreachableError,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[..., AbstractAsyncContextManager[AiohttpTransport]]

SECRET = "Bearer top-secret"
GET = HttpRequest("GET", "/api/v1/pods", (("labelSelector", "a=b,c in (d e)"), ("watch", "true")))


class Secret:
    """Credentials that remember whether they were refused."""

    def __init__(self) -> None:
        self.expired = 0

    async def authorization(self) -> str:
        return SECRET

    def expire(self) -> None:
        self.expired += 1


@pytest.fixture
def secret() -> Secret:
    return Secret()


@pytest.fixture
def serve(secret: Secret) -> Serve:
    @asynccontextmanager
    async def serving(handler: Handler, **options: Any) -> AsyncIterator[AiohttpTransport]:
        runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        config = ClientConfig(f"http://{host}:{port}", secret)
        async with AiohttpTransport(config, **options) as transport:
            yield transport
        await runner.cleanup()

    return serving


def answering(status: int, body: bytes = b"{}", **headers: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=status, body=body, headers=headers)

    return handler


def streaming(*pieces: bytes | float, cut: bool = False) -> Handler:
    """Writes pieces with pauses in seconds, then ends the answer, or cuts the connection."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            if isinstance(piece, bytes):
                await response.write(piece)
            else:
                await asyncio.sleep(piece)
        if cut and request.transport is not None:
            request.transport.abort()
        return response

    return handler


async def stream(transport: AiohttpTransport, silence_s: float = 5.0) -> list[bytes]:
    async with transport.stream(GET, silence_s=silence_s) as lines:
        return [line async for line in lines]


async def received(transport: AiohttpTransport, silence_s: float = 5.0) -> list[bytes | str]:
    """The lines until the end, and the name of the error if there is one."""
    got: list[bytes | str] = []
    try:
        async with transport.stream(GET, silence_s=silence_s) as lines:
            async for line in lines:
                got.append(line)  # noqa: PERF401 - what came before an error counts
    except ApiError as error:
        got.append(type(error).__name__)
    return got


async def test_a_request_arrives_as_it_was_made(serve: Serve) -> None:
    arrived: list[tuple[object, ...]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        arrived.append(
            (
                request.method,
                request.raw_path.partition("?")[0],
                tuple(request.query.items()),
                await request.read(),
                {n: request.headers.get(n) for n in ("Content-Type", "Authorization", "Accept")},
                request.headers["User-Agent"].partition("/")[0],
            )
        )
        return web.Response(body=b"answer", status=201)

    request = HttpRequest(
        "PATCH",
        "/api/v1/pods/a%2Fb",
        (("fieldManager", "my operator"), ("labelSelector", "a in (b),c=d+e")),
        (("Content-Type", "application/apply-patch+yaml"),),
        b'{"a":1}',
    )
    async with serve(handler) as transport:
        assert await transport.send(request, timeout_s=5.0) == HttpResponse(201, b"answer")
    headers = {
        "Content-Type": "application/apply-patch+yaml",
        "Authorization": SECRET,
        "Accept": "application/json",
    }
    expected = ("PATCH", request.path, request.query, b'{"a":1}', headers, "rocketmq-operator")
    assert arrived == [expected]


async def test_an_answer_of_megabytes_is_complete(serve: Serve) -> None:
    body = b"0123456789" * 500_000
    async with serve(answering(200, body)) as transport:
        assert (await transport.send(GET, timeout_s=10.0)).body == body


async def test_a_refusal_is_the_error_of_its_status(serve: Serve) -> None:
    body = b'{"kind":"Status","reason":"Expired","message":"too old"}'
    async with serve(answering(410, body)) as transport:
        with pytest.raises(GoneError, match=r"^too old$"):
            await transport.send(GET, timeout_s=5.0)
        with pytest.raises(GoneError, match=r"^too old$"):
            await stream(transport)


async def test_a_refusal_says_how_long_to_wait(serve: Serve) -> None:
    async with serve(answering(429, b"slow down", **{"Retry-After": "7"})) as transport:
        with pytest.raises(ThrottledError) as raised:
            await transport.send(GET, timeout_s=5.0)
        assert raised.value.retry_after_s == 7.0


async def test_a_redirection_is_not_followed(serve: Serve) -> None:
    async with serve(answering(302, Location="http://elsewhere.example/")) as transport:
        assert (await transport.send(GET, timeout_s=5.0)).status == 302


async def test_refused_credentials_are_read_again(serve: Serve, secret: Secret) -> None:
    async with serve(answering(401)) as transport:
        with pytest.raises(UnauthorizedError):
            await transport.send(GET, timeout_s=5.0)
        assert secret.expired == 1


async def test_an_answer_that_is_late_is_unreachable(serve: Serve) -> None:
    async with serve(streaming(b"half of", 1.0)) as transport:
        with pytest.raises(UnreachableError, match="GET /api/v1/pods: no answer in time"):
            await transport.send(GET, timeout_s=0.2)


async def test_an_answer_that_is_cut_is_unreachable(serve: Serve) -> None:
    async with serve(streaming(b"half of", cut=True)) as transport:
        with pytest.raises(UnreachableError):
            await transport.send(GET, timeout_s=5.0)


async def test_nobody_listening_is_unreachable_and_shows_no_secret(secret: Secret) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with AiohttpTransport(ClientConfig(server, secret)) as transport:
            with pytest.raises(UnreachableError) as raised:
                await transport.send(GET, timeout_s=5.0)
            with pytest.raises(UnreachableError):
                await stream(transport)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    assert "top-secret" not in repr(raised.value) + repr(transport)


async def test_what_is_no_http_is_unreachable_and_shows_no_secret(secret: Secret) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        config = ClientConfig(f"http://{host}:{port}", secret)
        async with AiohttpTransport(config) as transport:
            with pytest.raises(UnreachableError) as raised:
                await transport.send(GET, timeout_s=5.0)
    assert "top-secret" not in repr(raised.value)


async def test_cancelling_a_call_is_no_error_of_ours(serve: Serve) -> None:
    async with serve(streaming(b"half of", 5.0)) as transport:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await transport.send(GET, timeout_s=5.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await stream(transport)


async def test_lines_come_whole_however_they_were_written(serve: Serve) -> None:
    async with serve(streaming(b"on", 0.05, b"e\ntwo\nth", 0.05, b"ree\n")) as transport:
        assert await received(transport) == [b"one", b"two", b"three"]


async def test_a_line_comes_as_soon_as_it_is_written(serve: Serve) -> None:
    async with (
        serve(streaming(b"one\n", 5.0)) as transport,
        asyncio.timeout(2.0),
        transport.stream(GET, silence_s=5.0) as lines,
    ):
        assert await anext(lines) == b"one"


async def test_a_line_of_megabytes_is_a_line(serve: Serve) -> None:
    line = b"x" * 8_000_000
    async with serve(streaming(line, b"\nshort\n")) as transport:
        assert await received(transport) == [line, b"short"]


async def test_a_line_without_end_is_malformed(serve: Serve) -> None:
    async with serve(streaming(*[b"x" * 1_000_000] * 17)) as transport:
        with pytest.raises(MalformedError):
            await stream(transport)


async def test_a_stream_that_is_cut_is_unreachable_after_its_whole_lines(serve: Serve) -> None:
    async with serve(streaming(b"one\n", 0.05, b"tw", 0.05, cut=True)) as transport:
        assert await received(transport) == [b"one", "UnreachableError"]


async def test_a_stream_that_ends_in_mid_line_is_unreachable(serve: Serve) -> None:
    async with serve(streaming(b"one\ntw")) as transport:
        assert await received(transport) == [b"one", "UnreachableError"]


async def test_a_stream_without_a_byte_for_too_long_is_silent(serve: Serve) -> None:
    async with serve(streaming(b"one\n", 0.1, b"two\n", 2.0)) as transport:
        assert await received(transport, silence_s=0.3) == [b"one", b"two", "SilentError"]


async def test_a_stream_whose_head_does_not_come_is_silent(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(2.0)
        return web.Response()

    async with serve(handler) as transport:
        with pytest.raises(SilentError):
            await stream(transport, silence_s=0.2)


async def test_any_byte_ends_the_silence(serve: Serve) -> None:
    drops = [piece for letter in b"slow" for piece in (bytes([letter]), 0.2)]
    async with serve(streaming(*drops, b"\n")) as transport:
        assert await received(transport, silence_s=0.4) == [b"slow"]


async def test_an_error_of_whoever_reads_the_lines_stays_his_own(serve: Serve) -> None:
    async def read(transport: AiohttpTransport) -> None:
        async with transport.stream(GET, silence_s=5.0) as lines:
            async for _ in lines:
                raise ConnectionError("mine")

    async with serve(streaming(b"one\n", 5.0)) as transport:
        with pytest.raises(ConnectionError, match="mine"):
            await read(transport)


async def test_streams_do_not_wait_for_each_other_nor_calls_for_streams(serve: Serve) -> None:
    everybody = asyncio.Barrier(101)

    async def handler(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            await everybody.wait()
        return web.Response(body=b"one\n")

    async with serve(handler) as transport, asyncio.timeout(10.0), asyncio.TaskGroup() as group:
        streams = [group.create_task(stream(transport)) for _ in range(100)]
        await transport.send(HttpRequest("GET", "/api"), timeout_s=5.0)
        await everybody.wait()
    assert all(task.result() == [b"one"] for task in streams)


async def test_a_write_is_checked_when_its_bytes_are_about_to_leave(serve: Serve) -> None:
    arrived: list[bytes] = []
    lost = asyncio.Event()
    connecting = asyncio.Event()

    def check() -> None:
        if lost.is_set():
            raise RuntimeError("the Lease is lost")

    async def handler(request: web.Request) -> web.StreamResponse:
        arrived.append(await request.read())
        if request.path == "/slow":
            connecting.set()
            await asyncio.sleep(0.2)
        return web.Response()

    write = HttpRequest("DELETE", "/api/v1/pods/a", body=b"{}")
    slow = HttpRequest("GET", "/slow")
    async with serve(handler, before_write=check) as transport, asyncio.TaskGroup() as tasks:
        await transport.send(write, timeout_s=5.0)
        # All connections are taken: the next write has to wait, and meanwhile the lease is lost.
        for _ in range(CONNECTIONS):
            tasks.create_task(transport.send(slow, timeout_s=5.0))
        await connecting.wait()
        asyncio.get_running_loop().call_later(0.05, lost.set)
        with pytest.raises(UnreachableError, match="the Lease is lost"):
            await transport.send(write, timeout_s=5.0)
    assert sorted(arrived) == [b""] * CONNECTIONS + [b"{}"]


async def test_an_agent_tells_processes_apart(serve: Serve) -> None:
    agents: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        agents.append(request.headers["User-Agent"])
        return web.Response(body=b"line\n")

    async with serve(handler, agent="(operator-1)") as transport:
        await transport.send(GET, timeout_s=5.0)
        await stream(transport)
    assert [one.partition(" ")[2] for one in agents] == ["(operator-1)"] * 2


async def test_what_could_not_be_sent_is_dropped_with_the_connection(secret: Secret) -> None:
    """A server that does not read: as a network that is cut, from the sender's side."""
    megabytes = HttpRequest("PUT", "/api/v1/pods/a", body=b"x" * 900_000)
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listening.setblocking(False)
        server = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with AiohttpTransport(ClientConfig(server, secret)) as transport:
            with pytest.raises(UnreachableError, match="no answer in time"):
                await transport.send(megabytes, timeout_s=0.3)
        accepted, _ = await loop.sock_accept(listening)
        with accepted, pytest.raises(ConnectionResetError):
            await _read_to_the_end(accepted)


async def _read_to_the_end(connection: socket.socket) -> None:
    while await asyncio.get_running_loop().sock_recv(connection, 65536):
        pass
