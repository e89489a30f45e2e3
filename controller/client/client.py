"""The verbs of the API as this operator uses them: requests + transport, nothing retried.

Every write names its field manager and refuses unknown fields; every delete names the uid that it
means. Callers get values or an ApiError; who retries is decided in `runner` and `informer` alone.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Annotated

import msgspec
from msgspec import Raw

from controller.client import requests
from controller.client.projection import Encoded, snapshot
from controller.client.requests import HttpRequest, Propagation, Selection
from controller.client.transport import HttpResponse, Transport
from controller.errors import ApiError, MalformedError, NotFoundError
from controller.objects import Manifest, ObjectRef, Resource, Snapshot

PAGE_SIZE = 500
CALL_TIMEOUT_S = 30.0
LIST_TIMEOUT_S = 120.0
"""A list of everything may be tens of megabytes."""

SILENCE_S = 75.0
"""The API server sends a bookmark about every minute, so a watch without any byte is dead."""

Observer = Callable[[str, int, float], None]
"""Told of every request: HTTP method, status (0: no answer), seconds until the answer."""


class ListPage(msgspec.Struct, frozen=True):
    """Part of a list. It keeps the whole answer alive, so let go of it before the next one."""

    resource_version: str
    encoded: list[Raw]
    """The items as the server sent them."""
    identity: bytes
    """What the server leaves out of the items of built-in kinds: the beginning of an object."""

    @property
    def items(self) -> Iterator[Raw]:
        """The items one by one, each with its `apiVersion` and `kind`."""
        for item in self.encoded:
            # In front, so that the item's own values win: the last of two equal names counts.
            yield Raw(self.identity + memoryview(item)[1:])


class _ListMeta(msgspec.Struct, rename="camel"):
    # Watching from "" would mean "from any time": a list without a version is of no use.
    resource_version: Annotated[str, msgspec.Meta(min_length=1)]
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _ListMeta
    items: list[Raw] | None = None


_LIST = msgspec.json.Decoder(_List)


def _unguarded() -> None:
    """Everything may be written at any time."""


def _unobserved(method: str, status: int, duration_s: float) -> None:
    """Nobody counts requests."""


class KubeClient:
    """Speaks to one API server in the name of one field manager.

    `before_write` is called before each write; what it raises is raised, and nothing was sent.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        field_manager: str,
        metrics: Observer = _unobserved,
        before_write: Callable[[], None] = _unguarded,
    ) -> None:
        self._transport = transport
        self._field_manager = field_manager
        self._observe = metrics
        self._before_write = before_write

    async def get(self, ref: ObjectRef) -> Snapshot:
        """The object as it is in etcd now; raises NotFoundError."""
        return _decoded(await self._send(requests.get(ref)))

    async def apply(
        self,
        resource: Resource,
        manifest: Manifest,
        *,
        subresource: str = "",
        field_manager: str | None = None,
        dry_run: bool = False,
    ) -> Snapshot:
        """Server-side apply with force of the object that the manifest's metadata names.

        `dry_run`: the answer or error that it would have; nothing is stored.
        """
        request = requests.apply(
            resource,
            manifest,
            field_manager=field_manager or self._field_manager,
            subresource=subresource,
            dry_run=dry_run,
        )
        return _decoded(await self._send(request))

    async def create(
        self, resource: Resource, manifest: Manifest, *, dry_run: bool = False
    ) -> Snapshot:
        """Create the object; raises AlreadyExistsError. `dry_run`: as for `apply`."""
        request = requests.create(
            resource, manifest, field_manager=self._field_manager, dry_run=dry_run
        )
        return _decoded(await self._send(request))

    async def merge_patch(
        self, ref: ObjectRef, manifest: Manifest, *, uid: str, strategic: bool = False
    ) -> Snapshot:
        """Set these fields of the object of this uid, lists as a whole; None removes a field.

        `strategic`: see requests. The object as it is then. Raises NotFoundError, and
        ConflictError for another uid.
        """
        request = requests.merge_patch(
            ref, manifest, uid=uid, field_manager=self._field_manager, strategic=strategic
        )
        return _decoded(await self._send(request))

    async def annotate(
        self, ref: ObjectRef, *, uid: str, annotations: Mapping[str, str | None]
    ) -> Snapshot:
        """Set these annotations of the object of this uid and leave the others; see merge_patch."""
        manifest = {"metadata": {"annotations": dict(annotations)}}
        return await self.merge_patch(ref, manifest, uid=uid)

    async def delete(
        self,
        ref: ObjectRef,
        *,
        uid: str,
        resource_version: str = "",
        propagation: Propagation = "Background",
        grace_s: int | None = None,
    ) -> None:
        """Begin to delete the object of this uid (and, if given, of this very version).

        What holds it up, a grace period or a finalizer (`Orphan` is one), goes on afterwards. An
        object that is gone is a success; one of the same name but another uid, or of another
        version, is a ConflictError.
        """
        request = requests.delete(
            ref,
            uid=uid,
            resource_version=resource_version,
            propagation=propagation,
            grace_s=grace_s,
        )
        with suppress(NotFoundError):
            await self._send(request)

    async def evict(self, ref: ObjectRef, *, uid: str) -> None:
        """Begin to delete the pod of this uid if its PodDisruptionBudget allows it.

        Raises DisruptionBudgetError if it does not, and ConflictError for another uid. A pod that
        is gone is a success.
        """
        with suppress(NotFoundError):
            await self._send(requests.evict(ref, uid=uid))

    async def list(
        self, resource: Resource, namespace: str | None, *, label_selector: str = ""
    ) -> builtins.list[Snapshot]:
        """What is in etcd now, all of one version; raises GoneError if paging took too long."""
        return [
            _snapshot(item)
            async for page in self.list_pages(resource, namespace, label_selector=label_selector)
            for item in page.items
        ]

    async def list_pages(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        resource_version: str = "",
    ) -> AsyncGenerator[ListPage, None]:
        """A consistent list, in pages of 500 for a quorum read, else in one.

        Every item has its `apiVersion` and `kind`, which the API server leaves out of the lists
        of built-in kinds. Raises GoneError when paging took longer than the server keeps the
        version: nothing of what was given before may be used then.
        """
        selection = Selection(resource, namespace, label_selector)
        # From the watch cache the server gives everything at once and ignores a limit.
        limit = 0 if resource_version else PAGE_SIZE
        request = requests.list_(selection, resource_version=resource_version, limit=limit)
        while True:
            page, continue_ = _page(await self._send(request, timeout_s=LIST_TIMEOUT_S), resource)
            yield page
            if not continue_:
                return
            del page
            request = requests.list_(selection, limit=PAGE_SIZE, continue_=continue_)

    @asynccontextmanager
    async def watch(
        self, selection: Selection, *, resource_version: str, timeout_s: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of a watch; raises SilentError after 75 s without a byte."""
        request = requests.watch(selection, resource_version=resource_version, timeout_s=timeout_s)
        loop = asyncio.get_running_loop()
        started = loop.time()
        opened = False
        try:
            async with self._transport.stream(request, silence_s=SILENCE_S) as lines:
                opened = True
                self._observe(request.method, 200, loop.time() - started)
                yield lines
        except ApiError as error:
            if not opened:
                self._observe(request.method, error.status, loop.time() - started)
            raise

    async def _send(
        self, request: HttpRequest, *, timeout_s: float = CALL_TIMEOUT_S
    ) -> HttpResponse:
        if request.writes:
            self._before_write()
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            response = await self._transport.send(request, timeout_s=timeout_s)
        except ApiError as error:
            self._observe(request.method, error.status, loop.time() - started)
            raise
        self._observe(request.method, response.status, loop.time() - started)
        return response


def _decoded(response: HttpResponse) -> Snapshot:
    return _snapshot(response.body)


def _snapshot(encoded: Encoded) -> Snapshot:
    try:
        return snapshot(encoded)
    except msgspec.DecodeError as error:
        raise MalformedError(f"the API server's answer is no object: {error}") from None


def _page(response: HttpResponse, resource: Resource) -> tuple[ListPage, str]:
    try:
        answer = _LIST.decode(response.body)
    except msgspec.DecodeError as error:
        raise MalformedError(f"the API server's answer is no list: {error}") from None
    identity = msgspec.json.encode({"apiVersion": resource.api_version, "kind": resource.kind})
    version, continue_ = answer.metadata.resource_version, answer.metadata.continue_
    return ListPage(version, answer.items or [], identity[:-1] + b","), continue_
