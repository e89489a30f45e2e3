"""From a change of a cached object to the keys that have to be reconciled. Pure.

A trigger sees the old and the new object, so that whoever lost something hears of it as well as
whoever gained it. Triggers are the only place where changes are dropped as uninteresting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from controller.objects import Change, HasMetadata, Key

T = TypeVar("T", bound=HasMetadata)

Trigger = Callable[[Change[T]], Iterable[Key]]


def itself(change: Change[T]) -> Iterable[Key]:
    """The object's own key, at every change.

    Also when only its status has moved. A reconcile compares with the cached status; when the cache
    lags behind our own write, that comparison may rightly find nothing to do for the status before
    last, and then the event of our write is the only thing that wakes the key again.
    """
    return (change.key,)


def controlling_owner(group: str, kind: str) -> Trigger[HasMetadata]:
    """The owners of this kind that manage the object, before and after the change.

    Matched by group and kind, never by version: an object made through v1alpha1 is still ours
    after the kind has moved on.
    """

    def owner_of(obj: HasMetadata) -> Iterable[Key]:
        owner = obj.metadata.controller
        if owner is not None and owner.group == group and owner.kind == kind:
            yield Key(obj.metadata.namespace, owner.name)

    return mapped(owner_of)


def mapped(keys_of: Callable[[T], Iterable[Key]]) -> Trigger[T]:
    """The keys that a function finds for the old and the new object, each once."""

    def trigger(change: Change[T]) -> Iterable[Key]:
        found: dict[Key, None] = {}
        for obj in (change.old, change.new):
            if obj is not None:
                found.update(dict.fromkeys(keys_of(obj)))
        return tuple(found)

    return trigger
