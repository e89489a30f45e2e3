"""One Lease on an API server in memory, and lines to it that delay, lose and fail on purpose.

The server applies each call in one step, at one moment, and refuses writes on an old version, as
etcd does. A `Line` is one candidate's way to it: the others feel nothing of what is lost on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import repeat

import msgspec

from controller.client.projection import snapshot
from controller.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    NotFoundError,
    UnreachableError,
)
from controller.leader_lease import Record, record_of
from controller.objects import Manifest, ObjectRef, Resource, Snapshot


class Fate(msgspec.Struct, frozen=True):
    """What befalls one call: seconds on the way there and back, and maybe a loss."""

    there_s: float = 0.0
    back_s: float = 0.0
    request_lost: bool = False
    answer_lost: bool = False
    refused: ApiError | None = None


class LeaseServer:
    """Holds one Lease, or none yet."""

    def __init__(self) -> None:
        self.manifest: Manifest | None = None
        self.written: list[tuple[float, Record]] = []
        """The time and the record of each write."""
        self._versions = 0

    @property
    def record(self) -> Record:
        """The record as it is stored now."""
        assert self.manifest is not None, "there is no Lease"
        return record_of(self.manifest)

    @property
    def holders(self) -> list[str]:
        """Who has held it, one after the other; "" for nobody."""
        names = [record.holder for _, record in self.written]
        return [name for number, name in enumerate(names) if names[:number][-1:] != [name]]

    def read(self) -> Snapshot:
        if self.manifest is None:
            raise NotFoundError("no such lease", status=404)
        return snapshot(msgspec.json.encode(self.manifest))

    def create(self, manifest: Manifest) -> Snapshot:
        if self.manifest is not None:
            raise AlreadyExistsError("there is a lease", status=409)
        return self.store(manifest)

    def patch(self, changes: Manifest, uid: str) -> Snapshot:
        before = self.read().manifest()
        version = changes["metadata"]["resourceVersion"]
        if before["metadata"]["uid"] != uid or before["metadata"]["resourceVersion"] != version:
            raise ConflictError("the object has been modified", status=409)
        return self.store({**before, "spec": {**before["spec"], **changes["spec"]}})

    def store(self, manifest: Manifest) -> Snapshot:
        """Store it as anybody may."""
        self._versions += 1
        metadata = {"uid": f"uid-{self._versions}", **manifest["metadata"]}
        metadata["resourceVersion"] = str(self._versions)
        self.manifest = {**manifest, "metadata": metadata}
        self.written.append((asyncio.get_running_loop().time(), self.record))
        return self.read()


class Line:
    """A LeaseClient whose calls meet one fate after the other."""

    def __init__(self, server: LeaseServer, fates: Iterator[Fate] | None = None) -> None:
        self._server = server
        self._fates = fates or repeat(Fate())
        self.cut = False
        """Nothing goes through, and nobody says so."""
        self.calls = 0

    async def get(self, ref: ObjectRef) -> Snapshot:
        return await self._call(self._server.read)

    async def create(self, resource: Resource, manifest: Manifest) -> Snapshot:
        return await self._call(lambda: self._server.create(manifest))

    async def merge_patch(self, ref: ObjectRef, manifest: Manifest, *, uid: str) -> Snapshot:
        return await self._call(lambda: self._server.patch(manifest, uid))

    async def _call(self, apply: Callable[[], Snapshot]) -> Snapshot:
        self.calls += 1
        fate = Fate(request_lost=True) if self.cut else next(self._fates)
        await asyncio.sleep(fate.there_s)
        if fate.refused is not None:
            raise fate.refused
        if fate.request_lost or self.cut:
            await _no_answer()
        answer = apply()
        await asyncio.sleep(fate.back_s)
        if fate.answer_lost or self.cut:
            await _no_answer()
        return answer


async def _no_answer() -> None:
    await asyncio.sleep(30.0)
    raise UnreachableError("no answer in time")
