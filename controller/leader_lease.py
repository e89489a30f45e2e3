"""Who may hold a Lease, when, and what is written into it: client-go's rules. Pure.

- Nobody judges by the times in a record, for the clocks of nodes differ: a lease is over when
  nobody has written it for its duration, by the clock of the one who looks, since it looked.
  (Client-go compares the records, and so the times in them: a holder whose clock stands still
  would be taken for dead. Here any new resource version counts.)
- A holder counts from the start of the request that renewed it, a candidate from the end of the
  one that showed it; so `renew_s` < `lease_s` keeps them apart whatever the network does between.
- A Lease that was deleted is still its last holder's until it would have been over.

https://github.com/kubernetes/client-go/blob/master/tools/leaderelection/leaderelection.go
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from controller.objects import Manifest, ObjectRef, Resource

LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")

JITTER = 1.2
"""A candidate waits up to so many times `retry_s`, so that many of them spread."""

_SHORTEST_PAUSE = 0.05
"""In parts of `retry_s`: not even a clock that jumps makes a busy loop."""


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds; the defaults are those of Kubernetes' own components. ValueError if they overlap."""

    lease_s: int = 15
    """After so long without a change a candidate takes the lease. Whole, for so the API has it."""
    renew_s: float = 10.0
    """After so long without success the holder gives up."""
    retry_s: float = 2.0
    """How often the holder renews and a candidate looks."""

    def __post_init__(self) -> None:
        if not self.lease_s > self.renew_s > self.retry_s * JITTER > 0:
            raise ValueError(
                f"lease duration {self.lease_s} s > renew deadline {self.renew_s} s > {JITTER} * "
                f"retry period {self.retry_s} s > 0 does not hold"
            )

    @property
    def call_s(self) -> float:
        """The longest time of one try: two fit before the holder must give up."""
        return self.renew_s / 2


class Candidate(msgspec.Struct, frozen=True):
    """Who wants which Lease; `identity` is of this run of the process alone."""

    lease: ObjectRef
    identity: str
    durations: Durations


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The `spec` of a Lease as far as elections use it; no holder is "". The times are texts."""

    holder: str = ""
    duration_s: int = 0
    acquired: str | None = None
    renewed: str | None = None
    transitions: int = 0


class Seen(msgspec.Struct, frozen=True):
    """A record in its resource version, and since when that is known (seconds of the own clock)."""

    record: Record
    version: str
    since: float


class _Spec(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


def record_of(manifest: Manifest) -> Record:
    """The record in a Lease; what is missing counts as nobody's."""
    spec = msgspec.convert(manifest.get("spec") or {}, _Spec)
    return Record(
        holder=spec.holder_identity or "",
        duration_s=spec.lease_duration_seconds or 0,
        acquired=spec.acquire_time,
        renewed=spec.renew_time,
        transitions=spec.lease_transitions or 0,
    )


def spec_of(record: Record) -> Manifest:
    """The `spec` that stands for a record."""
    spec = _Spec(
        holder_identity=record.holder,
        lease_duration_seconds=record.duration_s,
        acquire_time=record.acquired,
        renew_time=record.renewed,
        lease_transitions=record.transitions,
    )
    built: Manifest = msgspec.to_builtins(spec)
    return built


def seen(before: Seen | None, record: Record, version: str, now: float) -> Seen:
    """What is known after this was read: only a write of it starts its time anew."""
    if before is not None and before.version == version:
        return before
    return Seen(record, version, now)


def over_at(known: Seen, durations: Durations) -> float:
    """When a candidate may take the lease, by the clock of `known.since`: nobody's at once."""
    if not known.record.holder:
        return known.since
    return known.since + (known.record.duration_s or durations.lease_s)


def next_record(
    candidate: Candidate, known: Seen | None, *, now: float, at: datetime
) -> Record | None:
    """What the candidate may write to take or to keep the lease; None while it is another's.

    `at` is for people: it goes into the record and is never read.
    """
    time = _micro_time(at)
    record = known.record if known is not None else Record(transitions=-1)
    if record.holder == candidate.identity:
        return msgspec.structs.replace(record, duration_s=candidate.durations.lease_s, renewed=time)
    if known is not None and now < over_at(known, candidate.durations):
        return None
    return Record(
        holder=candidate.identity,
        duration_s=candidate.durations.lease_s,
        acquired=time,
        renewed=time,
        transitions=record.transitions + 1,
    )


def released(record: Record, *, at: datetime) -> Record:
    """What the holder writes so that the next candidate need not wait."""
    time = _micro_time(at)
    # 1 s and not 0, which the API server refuses.
    return msgspec.structs.replace(record, holder="", duration_s=1, acquired=time, renewed=time)


def holder_pause_s(durations: Durations, *, took_s: float) -> float:
    """How long a holder waits after a try that took so long: tries begin `retry_s` apart."""
    return max(durations.retry_s - took_s, durations.retry_s * _SHORTEST_PAUSE)


def candidate_pause_s(
    durations: Durations, known: Seen | None, *, now: float, chance: float
) -> float:
    """How long a candidate waits before it looks again; `chance` is from 0 to 1.

    It looks at the very end of what it has seen, too: a dead holder is followed after `lease_s`
    and not up to a retry later.
    """
    pause_s = durations.retry_s * (1 + (JITTER - 1) * chance)
    if known is not None and known.record.holder and now < over_at(known, durations):
        pause_s = min(pause_s, over_at(known, durations) - now)
    return max(pause_s, durations.retry_s * _SHORTEST_PAUSE)


def _micro_time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
