"""What others may ask over HTTP: `/metrics`, and for the kubelet `/healthz` and `/readyz`.

- `/healthz` is answered by the event loop itself: a loop that hangs does not answer, and that is
  the finding. It fails when an essential task has died.
- `/readyz` fails while something is not synced; the body says what.
- One port may serve all three; port 0 means: not served.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

Check = Callable[[], Sequence[str]]
"""Names of what is not well; nothing when all is."""


class HealthSettings(msgspec.Struct, frozen=True):
    """Where to serve, as controller-runtime does; `host` None: every address of the pod."""

    metrics_port: int = 8080
    probe_port: int = 8081
    host: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer in plain text."""

    status: int
    text: str


def answer(wrong: Sequence[str], *, wrong_is: str) -> Answer:
    """200 "ok", or 500 with a line for each thing that is wrong."""
    if not wrong:
        return Answer(200, "ok\n")
    return Answer(500, "".join(f"{wrong_is}: {name}\n" for name in wrong))


class HealthServer:
    """Serves the three paths on one or two ports."""

    def __init__(
        self, settings: HealthSettings, registry: CollectorRegistry, *, dead: Check, unready: Check
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._dead = dead
        self._unready = unready
        self._serving = asyncio.Event()

    def applications(self) -> dict[int, web.Application]:
        """The application of each port."""
        applications: dict[int, web.Application] = {}
        probes = [web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)]
        for port, routes in (
            (self._settings.metrics_port, [web.get("/metrics", self._metrics)]),
            (self._settings.probe_port, probes),
        ):
            if port:
                applications.setdefault(port, web.Application()).add_routes(routes)
        return applications

    async def run(self) -> None:
        """Serve until cancelled; OSError if a port is taken."""
        async with AsyncExitStack() as serving:
            for port, application in self.applications().items():
                await serving.enter_async_context(_site(application, self._settings.host, port))
            self._serving.set()
            await asyncio.Event().wait()

    async def wait_serving(self) -> None:
        """Wait until every port accepts connections."""
        await self._serving.wait()

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _text(answer(self._dead(), wrong_is="ended"))

    async def _readyz(self, _request: web.Request) -> web.Response:
        return _text(answer(self._unready(), wrong_is="not ready"))


@asynccontextmanager
async def _site(application: web.Application, host: str | None, port: int) -> AsyncIterator[None]:
    # No access log: a line for each probe tells nobody anything.
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()


def _text(answered: Answer) -> web.Response:
    return web.Response(status=answered.status, text=answered.text)
