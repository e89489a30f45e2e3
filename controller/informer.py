"""Keeps a store current with the API server: the loop between a listwatch and a client.

Invariants: an event is in the store before any listener hears of it; listeners run synchronously
and in the order of events, so they must only enqueue keys; nothing that the API server does ends
`run`, while an exception of a listener, an indexer or a decoder's bug does.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Generic, NoReturn, Protocol, TypeVar

import msgspec
from msgspec import Raw

from controller import listwatch
from controller.client.client import ListPage
from controller.client.projection import snapshot, typed
from controller.client.requests import Selection
from controller.errors import ApiError, MalformedError
from controller.listwatch import Ended, Failed, Failure, Listed, ListRequest, Outcome, WatchRequest
from controller.objects import Change, HasMetadata, Resource
from controller.store import Indexer, Store, StoreWriter

__all__ = ["Informer", "ListWatchClient", "Listener", "Statistics", "snapshot", "typed"]

T = TypeVar("T", bound=HasMetadata)

Listener = Callable[[Change[T]], None]

_BATCH = 500
"""So many objects of a list are decoded before others may run: some 10 ms."""


class ListWatchClient(Protocol):
    """What an informer needs of a KubeClient."""

    def list_pages(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        resource_version: str = "",
    ) -> AsyncGenerator[ListPage, None]:
        """The pages of one consistent list."""
        ...

    def watch(
        self, selection: Selection, *, resource_version: str, timeout_s: int
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The lines of a watch."""
        ...


class Statistics(msgspec.Struct, frozen=True):
    """What an informer has been through; times are seconds of the loop's clock."""

    synced: bool
    """Whether the first list is in."""
    objects: int
    """How many are cached."""
    last_activity: float
    """When the API server last answered, or a line of a watch came."""
    relists: Mapping[str, int]
    """Lists made again, by the value of the Failure that made it necessary; all values occur."""
    watch_restarts: int
    """Watches after the first one since a list, for whatever reason."""
    silent_watches: int
    """Watches given up because no byte came for 75 s."""
    last_error: str
    """Why the last request failed; empty while all is well."""


class Informer(Generic[T]):
    """List, then watch, then list again when needed; for ever."""

    def __init__(  # noqa: PLR0913 - what to watch and how to keep it; nothing groups naturally
        self,
        client: ListWatchClient,
        resource: Resource,
        decode: Callable[[Raw], T],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        indexers: Mapping[str, Indexer[T]] | None = None,
        randomness: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._selection = Selection(resource, namespace, label_selector)
        self._decode = decode
        self._randomness = randomness
        self._writer = StoreWriter(indexers)
        self._listeners: list[Listener[T]] = []
        self._state, self._step = listwatch.start()
        self._last_activity = 0.0
        self._relists = {failure.value: 0 for failure in Failure}
        self._watch_restarts = 0
        self._silent_watches = 0
        self._last_error = ""

    def __repr__(self) -> str:
        resource, namespace = self._selection.resource, self._selection.namespace or "*"
        return f"<Informer of {resource.plural} in {namespace}: {self.statistics()}>"

    @property
    def resource(self) -> Resource:
        """The kind that is watched."""
        return self._selection.resource

    @property
    def store(self) -> Store[T]:
        """The cache, for readers."""
        return self._writer.store

    def statistics(self) -> Statistics:
        """How it goes, for metrics and readiness."""
        return Statistics(
            synced=self.store.synced,
            objects=len(self.store),
            last_activity=self._last_activity,
            relists=dict(self._relists),
            watch_restarts=self._watch_restarts,
            silent_watches=self._silent_watches,
            last_error=self._last_error,
        )

    def add_listener(self, listener: Listener[T]) -> None:
        """Have `listener` called for every change; first for what is cached already."""
        self._listeners.append(listener)
        for obj in self.store.list():
            listener(Change(obj.metadata.key, None, obj, initial=True))

    async def run(self) -> NoReturn:
        """Keep the store current until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._step.wait_s)
            outcome = await self._perform(self._step.request)
            self._state, self._step = listwatch.advance(
                self._state, outcome, now=loop.time(), random=self._randomness()
            )
            self._count(outcome)

    async def _perform(self, request: ListRequest | WatchRequest) -> Outcome:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            if isinstance(request, ListRequest):
                return await self._list(request)
            await self._watch(request)
            return Ended(loop.time() - started)
        except ApiError as error:
            self._last_error = f"{type(error).__name__}: {error}"
            return listwatch.failed(error, lasted_s=loop.time() - started)

    async def _list(self, request: ListRequest) -> Listed:
        selection, version = self._selection, ""
        objects: list[T] = []
        listing = self._client.list_pages(
            selection.resource,
            selection.namespace,
            label_selector=selection.label_selector,
            resource_version=request.resource_version,
        )
        async with aclosing(listing) as pages:
            async for page in pages:
                self._heard()
                version = page.resource_version
                for item in page.items:
                    objects.append(self._decoded(item))
                    if len(objects) % _BATCH == 0:
                        await asyncio.sleep(0)
        for change in self._writer.replace(objects):
            self._tell(change)
        return Listed(version)

    async def _watch(self, request: WatchRequest) -> None:
        async with self._client.watch(
            self._selection,
            resource_version=request.resource_version,
            timeout_s=request.timeout_s,
        ) as lines:
            self._heard()
            async for line in lines:
                self._heard()
                self._take(line)

    def _take(self, line: bytes) -> None:
        event = listwatch.watch_event(line)
        if event.type == "BOOKMARK":
            version = listwatch.bookmark_version(event)
        elif event.type in ("ADDED", "MODIFIED", "DELETED"):
            obj = self._decoded(event.object)
            version = obj.metadata.resource_version
            deleted = event.type == "DELETED"
            change = self._writer.remove(obj.metadata.key) if deleted else self._writer.put(obj)
            if change is not None:
                self._tell(change)
        else:
            return  # an event type of the future; client-go passes over it as well
        self._state = listwatch.observed(self._state, version)

    def _decoded(self, raw: Raw) -> T:
        try:
            return self._decode(raw)
        except msgspec.DecodeError as error:
            raise MalformedError(f"not even a Kubernetes object: {error}") from None

    def _tell(self, change: Change[T]) -> None:
        for listener in self._listeners:
            listener(change)

    def _heard(self) -> None:
        self._last_activity = asyncio.get_running_loop().time()
        self._last_error = ""

    def _count(self, outcome: Outcome) -> None:
        if isinstance(outcome, Failed) and outcome.failure is Failure.SILENT:
            self._silent_watches += 1
        request = self._step.request
        if isinstance(request, WatchRequest) and not isinstance(outcome, Listed):
            self._watch_restarts += 1
        elif isinstance(request, ListRequest) and request.cause is not None:
            self._relists[request.cause.value] += 1
