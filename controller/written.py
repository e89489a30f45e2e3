"""Which of our own writes a cache has to show before it may be decided upon. Pure.

A watch brings the states before our write for a while; whoever decides on one of them does the
same thing twice (KEP-5647, stale controller mitigation). For each object:

- written: the cache has to hold that version or a later one, whatever object bears the name then
  (versions of one kind can be compared);
- deleted: the cache must not hold that uid any more, or hold it as one that is being deleted;
- absent from the cache without having been shown: it has not come yet, or is gone again.

Time alone settles nothing, for a watch may lag for any time. What is awaited for `ASK_AFTER_S` is
asked of the API server instead (`to_ask`, `settle`), and awaited no longer only if the cache shows
what the server answered. So nothing old is acted upon, and nothing waits for ever: where the two
agree, work goes on (also after a restored backup of etcd, which turns versions back); where they
do not, the cache is behind indeed, and its watch brings the rest or is ended for its silence.

An absent object is never forgotten: a cache that lags still more may show it yet. There is at most
one note for each name that was ever written.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from controller.objects import ObjectMeta, ObjectRef, is_older

ASK_AFTER_S = 5.0
"""An event takes milliseconds; asking costs the API server one quorum read an object."""

Cached = Callable[[ObjectRef], ObjectMeta | None]
"""What the caches hold of an object."""


class _Awaited(msgspec.Struct, frozen=True):
    since: float
    version: str = ""
    deleted_uid: str = ""
    may_be_absent: bool = False

    def is_shown_by(self, cached: ObjectMeta) -> bool:
        if is_older(cached.resource_version, self.version):
            return False
        return cached.uid != self.deleted_uid or cached.terminating


class WrittenVersions:
    """Our last writes that caches may not show yet: a hint in memory, lost with the process."""

    def __init__(self) -> None:
        self._awaited: dict[ObjectRef, _Awaited] = {}

    def __repr__(self) -> str:
        return f"<WrittenVersions: {len(self._awaited)} noted>"

    def note_write(self, ref: ObjectRef, version: str, *, now: float) -> None:
        """The object got this version; `now` in seconds of the loop's clock."""
        self._awaited[ref] = _Awaited(now, version)

    def note_delete(self, ref: ObjectRef, uid: str, *, now: float, version: str = "") -> None:
        """The deletion of this uid has begun.

        Where the object was read past the cache, which may not know it yet, give the `version`
        that it had then.
        """
        if not version and ref in self._awaited:
            version = self._awaited[ref].version
        # What the cache has shown and does not show any more is gone. What it may not have shown
        # yet may still be on its way there, and be there for the rest of its grace period.
        self._awaited[ref] = _Awaited(now, version, uid, may_be_absent=not version)

    def behind(self, cached: Cached) -> tuple[ObjectRef, ...]:
        """The objects whose last write is not in the cache yet; none: it may be decided upon."""
        late = []
        for ref, awaited in [*self._awaited.items()]:
            found = cached(ref)
            if found is not None and awaited.is_shown_by(found):
                del self._awaited[ref]
            elif found is not None or not awaited.may_be_absent:
                late.append(ref)
        return tuple(late)

    def to_ask(self, cached: Cached, now: float) -> tuple[ObjectRef, ...]:
        """Those of `behind` that are awaited for too long: read past the cache, then `settle`."""
        late = self.behind(cached)
        return tuple(ref for ref in late if now - self._awaited[ref].since >= ASK_AFTER_S)

    def settle(
        self, ref: ObjectRef, *, live: ObjectMeta | None, cached: ObjectMeta | None, now: float
    ) -> None:
        """Await the write no longer if the cache holds what the API server answered.

        `cached` has to be read after `live`: a cache that agrees is not older than the answer.
        """
        awaited = self._awaited.get(ref)
        if awaited is None:
            return
        agreed = _identity(live) == _identity(cached)
        if agreed and cached is not None:
            del self._awaited[ref]
        else:
            self._awaited[ref] = msgspec.structs.replace(
                awaited, since=now, may_be_absent=agreed or awaited.may_be_absent
            )


def _identity(metadata: ObjectMeta | None) -> tuple[str, str] | None:
    return None if metadata is None else (metadata.uid, metadata.resource_version)
