"""The cache of one kind: `StoreWriter` for the informer alone, `Store` for everybody else.

Invariants: every change is one synchronous step, so a reader sees the old list or the new list and
never half of one; every index is at all times what computing it anew would give, without empty
entries; the Changes handed out, replayed over nothing, give exactly what is cached.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from controller.objects import Change, HasMetadata, Key, Undecodable

__all__ = ["Change", "Indexer", "Store", "StoreWriter", "Undecodable"]

T = TypeVar("T", bound=HasMetadata)

Indexer = Callable[[T], Iterable[str]]
"""The values under which an object is found by `Store.by_index`; a function of the object alone."""

# Reserved: the name is no identifier, so no index of a caller clashes with it.
_NAMESPACE = "(namespace)"


class _Index(Generic[T]):
    """Value -> the objects that have it."""

    def __init__(self, indexer: Indexer[T]) -> None:
        self._indexer = indexer
        self._entries: dict[str, dict[Key, T]] = {}

    def find(self, value: str) -> Iterable[T]:
        return self._entries.get(value, {}).values()

    def add(self, key: Key, obj: T) -> None:
        for value in self._indexer(obj):
            self._entries.setdefault(value, {})[key] = obj

    def remove(self, key: Key, obj: T) -> None:
        for value in self._indexer(obj):
            entry = self._entries.get(value)
            if entry is None:
                continue
            entry.pop(key, None)
            # An empty entry would stay for ever: with values such as uids that is a leak
            # (https://github.com/kubernetes/kubernetes/issues/84959).
            if not entry:
                del self._entries[value]


class _Cache(Generic[T]):
    """The objects and indexes that a writer and its readers share."""

    def __init__(self, indexers: Mapping[str, Indexer[T]]) -> None:
        self.indexers: dict[str, Indexer[T]] = {_NAMESPACE: _namespaces, **indexers}
        self.synced = asyncio.Event()
        self.objects: dict[Key, T] = {}
        self.indexes = self._indexes({})

    def put(self, key: Key, obj: T) -> None:
        self.remove(key)
        self.objects[key] = obj
        for index in self.indexes.values():
            index.add(key, obj)

    def remove(self, key: Key) -> None:
        old = self.objects.pop(key, None)
        if old is not None:
            for index in self.indexes.values():
                index.remove(key, old)

    def swap(self, objects: dict[Key, T]) -> None:
        self.indexes = self._indexes(objects)
        self.objects = objects

    def _indexes(self, objects: Mapping[Key, T]) -> dict[str, _Index[T]]:
        indexes = {name: _Index(indexer) for name, indexer in self.indexers.items()}
        for index in indexes.values():
            for key, obj in objects.items():
                index.add(key, obj)
        return indexes


def _namespaces(obj: HasMetadata) -> tuple[str]:
    return (obj.metadata.namespace,)


class Store(Generic[T]):
    """A reader's handle. Lists are ordered by key; objects must not be changed."""

    def __init__(self, cache: _Cache[T]) -> None:
        self._cache = cache

    def __len__(self) -> int:
        return len(self._cache.objects)

    def __repr__(self) -> str:
        return f"<Store: {len(self)} objects, {'synced' if self.synced else 'not synced'}>"

    def get(self, key: Key) -> T | None:
        """The cached object, or None."""
        return self._cache.objects.get(key)

    def list(self, namespace: str | None = None) -> builtins.list[T]:
        """All objects, or those of one namespace."""
        if namespace is None:
            return _ordered(self._cache.objects.values())
        return _ordered(self._cache.indexes[_NAMESPACE].find(namespace))

    def by_index(self, index_name: str, value: str) -> builtins.list[T]:
        """The objects for which that indexer gives `value`; KeyError for an unknown index."""
        return _ordered(self._cache.indexes[index_name].find(value))

    @property
    def synced(self) -> bool:
        """Whether the first list is in: before that, absence says nothing."""
        return self._cache.synced.is_set()

    async def wait_synced(self) -> None:
        """Return when `synced`."""
        await self._cache.synced.wait()


def _ordered(objects: Iterable[T]) -> list[T]:
    return sorted(objects, key=lambda obj: (obj.metadata.namespace, obj.metadata.name))


class StoreWriter(Generic[T]):
    """The informer's handle: one writer for each store."""

    def __init__(self, indexers: Mapping[str, Indexer[T]] | None = None) -> None:
        self._cache = _Cache(indexers or {})
        self.store = Store(self._cache)
        """The handle for readers."""

    def put(self, obj: T) -> Change[T] | None:
        """Cache an added or modified object; None if this very version is cached already."""
        key = obj.metadata.key
        old = self.store.get(key)
        if old is not None and _same(old, obj):
            return None
        self._cache.put(key, obj)
        return Change(key, old, obj)

    def remove(self, key: Key) -> Change[T] | None:
        """Drop a deleted object; None if it was not cached."""
        old = self.store.get(key)
        if old is None:
            return None
        self._cache.remove(key)
        return Change(key, old, None)

    def replace(self, objects: Iterable[T]) -> list[Change[T]]:
        """Swap in a whole list.

        Gives a deletion for every object that is missing in it, and nothing for those that have
        the version that is cached. The first call makes the store synced, and its changes initial.
        """
        initial = not self.store.synced
        before = self._cache.objects
        after = {obj.metadata.key: obj for obj in objects}
        changes: list[Change[T]] = [
            Change(key, old, None, initial) for key, old in before.items() if key not in after
        ]
        for key, new in after.items():
            old = before.get(key)
            if old is not None and _same(old, new):
                after[key] = old
            else:
                changes.append(Change(key, old, new, initial))
        self._cache.swap(after)
        self._cache.synced.set()
        return changes


def _same(old: HasMetadata, new: HasMetadata) -> bool:
    # Two objects of one resource version are the same object: this is what the version is for.
    version = new.metadata.resource_version
    return bool(version) and version == old.metadata.resource_version
