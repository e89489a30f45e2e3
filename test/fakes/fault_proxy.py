"""A proxy before the API server that fails on purpose: answers errors, delays, cuts, falls silent.

It speaks plain HTTP to the operator and TLS to the server, so that it can read the requests. Rules
say which request fails and how; they hold for requests to come, and `Freeze` and `CutMidLine` also
for the next bytes of a watch that is open already. What happens to a request is decided by `Rules`,
which does no IO; the rest of the module carries it out.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector, web

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Exchange(msgspec.Struct, frozen=True):
    """One request as it comes in; `number` counts from 1."""

    number: int
    verb: str
    path: str
    query: str = ""


class Answer(msgspec.Struct, frozen=True):
    """The server is not asked: this status comes back, as a Kubernetes `Status`."""

    status: int
    reason: str = "Injected"
    retry_after_s: int | None = None


class Delay(msgspec.Struct, frozen=True):
    """The server is asked later."""

    seconds: float


class CutMidLine(msgspec.Struct, frozen=True):
    """The server is asked; the connection breaks in the middle of what it answers."""


class Freeze(msgspec.Struct, frozen=True):
    """Not a byte comes back any more, and no end either: a half-open connection."""


Fault = Answer | Delay | CutMidLine | Freeze
_MID_STREAM = (CutMidLine, Freeze)


class Rule(msgspec.Struct, frozen=True):
    """`fault` befalls the requests that match: all, or the first `times` after `skip` of them."""

    fault: Fault
    matches: Callable[[Exchange], bool]
    times: int | None = None
    skip: int = 0


def asking(
    *verbs: str, path: str = "", number: int | None = None, above: int = 0
) -> Callable[[Exchange], bool]:
    """Matches by verb (any), by a part of the path, by the number of the request or from one on."""

    def matches(exchange: Exchange) -> bool:
        return (
            (not verbs or exchange.verb in verbs)
            and path in exchange.path
            and number in (None, exchange.number)
            and exchange.number > above
        )

    return matches


def verb_of(method: str, path: str, query: str) -> str:
    """The verb of a request as RBAC and the audit log name it."""
    if method in _VERBS:
        return _VERBS[method]
    if "watch=1" in query or "watch=true" in query.lower():
        return "watch"
    parts = path.strip("/").split("/")
    start = 2 if parts[0] == "api" else 3  # api/v1 or apis/GROUP/VERSION
    rest = parts[start:]
    scoped = rest[2:] if rest[:1] == ["namespaces"] and len(rest) > 2 else rest
    return "list" if len(scoped) == 1 else "get"


class Rules:
    """Decides the fault of each request; the first rule that matches and is not used up wins."""

    def __init__(self) -> None:
        self._rules: tuple[Rule, ...] = ()
        self._matched: dict[int, int] = {}

    def add(self, rule: Rule) -> None:
        """Let this rule hold from now on."""
        self._rules = (*self._rules, rule)

    def clear(self) -> None:
        """Let everything through again."""
        self._rules = ()
        self._matched = {}

    def fault(self, exchange: Exchange) -> Fault | None:
        """What befalls this request; asking uses the rule once."""
        for index, rule in enumerate(self._rules):
            if rule.matches(exchange):
                count = self._matched[index] = self._matched.get(index, 0) + 1
                if count > rule.skip and (rule.times is None or count <= rule.skip + rule.times):
                    return rule.fault
        return None

    def fault_of_stream(self, exchange: Exchange) -> Fault | None:
        """What befalls a stream that is open; nothing is used up."""
        for rule in self._rules:
            if (
                isinstance(rule.fault, _MID_STREAM)
                and rule.times is None
                and rule.matches(exchange)
            ):
                return rule.fault
        return None


class FaultProxy:
    """The running proxy, as tests use it: from another thread than the one that serves."""

    def __init__(self, upstream: str, authority: Path) -> None:
        self._upstream = upstream
        self._trust = ssl.create_default_context(cafile=str(authority))
        self._rules = Rules()
        self._seen: list[Exchange] = []
        self._watches: set[asyncio.Transport] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: ClientSession | None = None
        self._stopping = asyncio.Event()
        self.url = ""

    @property
    def seen(self) -> list[Exchange]:
        """Every request so far, those that were made to fail too."""
        return list(self._seen)

    def inject(
        self,
        fault: Fault,
        matches: Callable[[Exchange], bool],
        *,
        times: int | None = None,
        skip: int = 0,
    ) -> None:
        """Let this fault befall the requests that match, until `heal`."""
        self._call(lambda: self._rules.add(Rule(fault, matches, times, skip)))

    def heal(self) -> None:
        """Let everything through again; what is frozen or cut stays so."""
        self._call(self._rules.clear)

    def cut_watches(self) -> None:
        """Break every open watch now."""
        self._call(self._abort_watches)

    async def serve(self, started: threading.Event) -> None:
        """Run until `stop`; the loop and its thread are the caller's (`fault_proxy`)."""
        self._loop = asyncio.get_running_loop()
        connector = TCPConnector(ssl=self._trust, limit=0)
        timeout = ClientTimeout(total=None, connect=10)
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None
        )
        async with ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        ) as self._session:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            started.set()
            await self._stopping.wait()
            self._abort_watches()
            await runner.cleanup()
            await connector.close(abort_ssl=True)
        await _sockets_closed(self._loop)

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

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        verb = verb_of(request.method, request.path, request.query_string)
        exchange = Exchange(len(self._seen) + 1, verb, request.path, request.query_string)
        self._seen.append(exchange)
        line = request.transport
        if verb != "watch" or not isinstance(line, asyncio.Transport):
            return await self._answer(request, exchange)
        self._watches.add(line)
        try:
            return await self._answer(request, exchange)
        finally:
            self._watches.discard(line)

    async def _answer(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        fault = self._rules.fault(exchange)
        match fault:
            case Answer():
                return _status_answer(fault)
            case Freeze():
                await asyncio.Event().wait()
            case Delay(seconds=seconds):
                await asyncio.sleep(seconds)
            case _:
                pass
        return await self._forward(request, exchange, cut=isinstance(fault, CutMidLine))

    async def _forward(
        self, request: web.Request, exchange: Exchange, *, cut: bool
    ) -> web.StreamResponse:
        if self._session is None:
            raise web.HTTPServiceUnavailable
        async with self._session.request(
            request.method,
            self._upstream + request.path_qs,
            data=await request.read() or None,
            headers=[(k, v) for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP],
        ) as upstream:
            answer = web.StreamResponse(status=upstream.status)
            for name, value in upstream.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    answer.headers.add(name, value)
            await answer.prepare(request)
            await self._pass_on(request, exchange, upstream, answer, cut=cut)
        return answer

    async def _pass_on(
        self,
        request: web.Request,
        exchange: Exchange,
        upstream: ClientResponse,
        answer: web.StreamResponse,
        *,
        cut: bool,
    ) -> None:
        try:
            async for chunk in upstream.content.iter_any():
                fault = CutMidLine() if cut else self._rules.fault_of_stream(exchange)
                if isinstance(fault, Freeze):
                    await asyncio.Event().wait()
                if isinstance(fault, CutMidLine):
                    await answer.write(chunk[: len(chunk) // 2])
                    _abort(request)
                    return
                await answer.write(chunk)
            await answer.write_eof()
        except ClientError:
            _abort(request)

    def _abort_watches(self) -> None:
        for line in list(self._watches):
            line.abort()


async def _sockets_closed(loop: asyncio.AbstractEventLoop) -> None:
    """Until the loop watches nothing but its own wake-up: transports close in later turns of it.

    What is left when the loop ends fails whichever test runs when it is collected.
    """
    selector = loop._selector  # type: ignore[attr-defined]  # no public way to count
    deadline = loop.time() + 5
    while len(selector.get_map()) > 1 and loop.time() < deadline:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


def _abort(request: web.Request) -> None:
    if isinstance(request.transport, asyncio.Transport):
        request.transport.abort()


def _status_answer(fault: Answer) -> web.Response:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": fault.reason,
        "message": f"the test wants {fault.status}",
        "code": fault.status,
    }
    retry = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
    return web.json_response(body, status=fault.status, headers=retry)


@contextmanager
def fault_proxy(upstream: str, authority: Path) -> Iterator[FaultProxy]:
    """A proxy on loopback, served by a thread of its own."""
    proxy, started = FaultProxy(upstream, authority), threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(proxy.serve(started)), name="fault proxy", daemon=True
    )
    thread.start()
    try:
        assert started.wait(10), "the proxy did not start"
        yield proxy
    finally:
        proxy.stop()
        thread.join(10)
