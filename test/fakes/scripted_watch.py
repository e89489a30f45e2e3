"""A transport that plays a script of answers, and an informer that runs against it.

For tests in virtual time: pauses of a script are sleeps on the test's loop. When the script is used
up, every further request hangs for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
import pytest

from controller.client.client import KubeClient
from controller.client.requests import HttpRequest
from controller.client.transport import HttpResponse
from controller.errors import ApiError, SilentError, UnreachableError
from controller.informer import Informer, snapshot
from controller.objects import Change, Resource, Snapshot

PODS = Resource("", "v1", "pods", "Pod")

Script = list[bytes | float | ApiError]
"""The course of a watch: lines, pauses in seconds, and how it breaks; else it ends in order."""

FOREVER = 1e9


class Asked(msgspec.Struct, frozen=True):
    """One request as tests look at it."""

    at_s: float
    verb: str
    version: str


class ScriptedTransport:
    """Answers each request with the next entry of a script, and hangs when it is used up."""

    def __init__(self, *answers: bytes | ApiError | Script) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []

    def _next(self, verb: str, request: HttpRequest) -> bytes | ApiError | Script:
        now = round(asyncio.get_running_loop().time(), 3)
        version = dict(request.query).get("resourceVersion", "")
        self.asked.append(Asked(now, verb, version))
        return self.answers.pop(0) if self.answers else [FOREVER]

    async def send(self, request: HttpRequest, *, timeout_s: float) -> HttpResponse:
        answer = self._next("list", request)
        if isinstance(answer, ApiError):
            raise answer
        if isinstance(answer, list):
            await asyncio.sleep(timeout_s)
            raise UnreachableError("time-out")
        return HttpResponse(200, answer)

    @asynccontextmanager
    async def stream(
        self, request: HttpRequest, *, silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        answer = self._next("watch", request)
        if isinstance(answer, ApiError):
            raise answer
        assert isinstance(answer, list)
        yield self._play(answer, silence_s)

    async def _play(self, script: Script, silence_s: float) -> AsyncIterator[bytes]:
        for entry in script:
            if isinstance(entry, ApiError):
                raise entry
            if isinstance(entry, bytes):
                yield entry
            elif entry == FOREVER:
                await asyncio.sleep(FOREVER)
            elif entry > silence_s:
                await asyncio.sleep(silence_s)
                raise SilentError("no byte")
            else:
                await asyncio.sleep(entry)


def pod(name: str, version: int, **labels: str) -> dict[str, object]:
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "resourceVersion": str(version),
            "labels": labels,
        }
    }


def listed(version: int, *pods: Mapping[str, object], continue_: str = "") -> bytes:
    metadata = {"resourceVersion": str(version), "continue": continue_}
    return msgspec.json.encode({"metadata": metadata, "items": pods})


def event(event_type: str, obj: Mapping[str, object]) -> bytes:
    return msgspec.json.encode({"type": event_type, "object": obj})


def bookmark(version: int) -> bytes:
    metadata = {"resourceVersion": str(version), "creationTimestamp": None}
    return event("BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": metadata})


def expired() -> bytes:
    return event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "old"})


class Watched:
    """An informer of pods that runs against a script."""

    def __init__(self, *answers: bytes | ApiError | Script) -> None:
        self.transport = ScriptedTransport(*answers)
        self.informer = Informer(
            KubeClient(self.transport, field_manager="operator"),
            PODS,
            snapshot,
            randomness=lambda: 0.0,
        )
        self.changes: list[Change[Snapshot]] = []
        self.informer.add_listener(self.changes.append)

    async def run(self, for_s: float = 0.5) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(for_s):
                await self.informer.run()

    @property
    def versions(self) -> dict[str, str]:
        """What is cached."""
        objects = self.informer.store.list()
        return {obj.metadata.name: obj.metadata.resource_version for obj in objects}

    @property
    def heard(self) -> list[tuple[str, str, bool]]:
        """What listeners heard: sign, name, whether initial."""
        return [
            ("-" if c.new is None else "+" if c.old is None else "~", c.key.name, c.initial)
            for c in self.changes
        ]

    @property
    def asked(self) -> list[tuple[float, str, str]]:
        """The requests that were made."""
        return [(asked.at_s, asked.verb, asked.version) for asked in self.transport.asked]
