"""Our last writes about each resource of a kind, and whether the caches show them yet.

The rule is `controller.written`'s; here are the clock and the one read that it asks for. What the
API server has and a watch does not select (somebody took our label off) is none for a cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from controller.errors import NotFoundError
from controller.objects import Key, ObjectMeta, ObjectRef, Snapshot
from controller.written import Cached, WrittenVersions


class Getter(Protocol):
    """Reads one object past the cache."""

    async def get(self, ref: ObjectRef) -> Snapshot:
        """The object; raises `NotFoundError`."""
        ...


class OwnWrites:
    """What was written for the sake of one resource has to be seen before more is decided."""

    def __init__(
        self, client: Getter, cached: Cached, is_watched: Callable[[ObjectRef, ObjectMeta], bool]
    ) -> None:
        self._client = client
        self._cached = cached
        self._is_watched = is_watched
        self._written: dict[Key, WrittenVersions] = {}

    def note_write(self, key: Key, ref: ObjectRef, version: str) -> None:
        """For the resource `key`, an object got this version."""
        self._of(key).note_write(ref, version, now=_now())

    def note_delete(self, key: Key, ref: ObjectRef, uid: str, *, version: str = "") -> None:
        """For the resource `key`, the deletion of an object has begun; see `WrittenVersions`."""
        self._of(key).note_delete(ref, uid, now=_now(), version=version)

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        self._written.pop(key, None)

    async def are_shown(self, key: Key) -> bool:
        """Whether the caches show all of them; raises the ApiError of a read that was needed."""
        written = self._written.get(key)
        if written is None:
            return True
        for ref in written.to_ask(self._cached, _now()):
            live = await self._live(ref)
            written.settle(ref, live=live, cached=self._cached(ref), now=_now())
        return not written.behind(self._cached)

    async def _live(self, ref: ObjectRef) -> ObjectMeta | None:
        try:
            found = (await self._client.get(ref)).metadata
        except NotFoundError:
            return None
        return found if self._is_watched(ref, found) else None

    def _of(self, key: Key) -> WrittenVersions:
        return self._written.setdefault(key, WrittenVersions())


def _now() -> float:
    return asyncio.get_running_loop().time()
