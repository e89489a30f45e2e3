"""When pods were down and how often each was restarted, from what a watch showed. Pure.

A pod is known by its name, as StatefulSets have it; another uid under the name is a restart, and so
is another start of its containers. Down is whatever was ready once and is not now: deleted, not yet
made again, or not ready. A new pod that joins is not down. One that is gone and was not made again
is not down from then on: ask when the work is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

GROUP_LABEL = "rocketmq.apache.org/broker-group"
INSTANCE_LABEL = "app.kubernetes.io/instance"


class Sighting(msgspec.Struct, frozen=True):
    """One pod at one time."""

    at: float
    """Seconds since the epoch."""
    name: str
    uid: str
    group: str
    """The broker's name; for a name server the name of its NameService."""
    is_ready: bool
    """So says the kubelet, and nobody has deleted the pod."""
    restarts: int = 0
    """Of its containers."""
    is_gone: bool = False


class Outage(msgspec.Struct, frozen=True):
    """A time in which a pod that had been ready was not."""

    name: str
    group: str
    begin: float
    end: float | None
    """None: it lasts."""


def sighting(at: float, pod: Mapping[str, Any], *, is_gone: bool = False) -> Sighting:
    """What a pod's object says; `is_gone` when it came with a deletion."""
    metadata, status = pod["metadata"], pod.get("status", {})
    labels = metadata.get("labels", {})
    conditions = {one["type"]: one["status"] for one in status.get("conditions", ())}
    deleted = is_gone or "deletionTimestamp" in metadata
    return Sighting(
        at=at,
        name=metadata["name"],
        uid=metadata["uid"],
        group=labels.get(GROUP_LABEL) or labels.get(INSTANCE_LABEL, ""),
        is_ready=conditions.get("Ready") == "True" and not deleted,
        restarts=sum(one["restartCount"] for one in status.get("containerStatuses", ())),
        is_gone=is_gone,
    )


def restarts(history: Sequence[Sighting], name: str) -> int:
    """How often this pod was made again or its containers started again.

    LookupError for a pod that was never seen: nobody should wait for nothing to restart.
    """
    starts: dict[str, tuple[int, int]] = {}
    for one in history:
        if one.name == name:
            # What a pod has behind it when it is first seen is no restart of this time.
            before = one.restarts if not starts else 0
            first, last = starts.get(one.uid, (before, 0))
            starts[one.uid] = (first, max(last, one.restarts))
    if not starts:
        raise LookupError(f"no pod {name} was seen")
    return len(starts) - 1 + sum(last - first for first, last in starts.values())


def outages(history: Sequence[Sighting], group: str = "") -> list[Outage]:
    """Every outage of the pods of a group, or of all pods, in the order in which they began."""
    names = {one.name for one in history if group in ("", one.group)}
    found = [
        outage
        for name in names
        for outage in _outages([one for one in history if one.name == name])
    ]
    return sorted(found, key=lambda outage: (outage.begin, outage.name))


def most_down_at_once(history: Sequence[Sighting], group: str = "") -> int:
    """The largest number of pods of a group, or of all pods, that were down at the same time."""
    down = outages(history, group)
    return max((sum(_lasts(other, at=one.begin) for other in down) for one in down), default=0)


def _outages(history: Sequence[Sighting]) -> Iterator[Outage]:
    was_ready, begin = False, None
    for one in history:
        if was_ready and begin is None and not one.is_ready:
            begin = one.at
        elif begin is not None and one.is_ready:
            yield Outage(one.name, one.group, begin, one.at)
            begin = None
        was_ready = was_ready or one.is_ready
    if begin is not None:
        last = history[-1]
        yield Outage(last.name, last.group, begin, last.at if last.is_gone else None)


def _lasts(outage: Outage, *, at: float) -> bool:
    return outage.begin <= at and (outage.end is None or at < outage.end)
