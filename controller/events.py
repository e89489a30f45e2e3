"""Events (`events.k8s.io/v1`) on objects: told once, counted when repeated, held back when many.

`Correlator` decides and never waits (`now` is an argument); `EventRecorder` is its shell. The
limits are client-go's (`record/events_cache.go`):

- the same event again is the next one of a series: one object whose count grows;
- from the 10th different note for one object, type and reason within 600 s: one combined event;
- at most 25 writes at once for one object and reason, then one each 300 s;
- what is remembered is bounded (4096 keys, least recently used first);
- `record` never blocks and never fails: with 1000 events waiting the next one is dropped.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Generic, Literal, Protocol, TypeVar

import msgspec
import structlog

from controller.errors import AlreadyExistsError, ApiError, ForbiddenError, NotFoundError
from controller.objects import Manifest, ObjectMeta, Resource, Snapshot

EVENTS = Resource("events.k8s.io", "v1", "events", "Event")

NOTE_BYTES = 1024
"""What the API server accepts; it counts bytes, not characters."""

QUEUE_LENGTH = 1000
REMEMBERED = 4096
SERIES_S = 3600.0
"""After so long a silence the server has dropped the old event (its TTL), so a new one is made."""

SIMILAR_WINDOW_S = 600.0
SIMILAR_NOTES = 10
BURST = 25
REFILL_S = 300.0
TRIES = 12
TRY_EVERY_S = 10.0

_COMBINED = "(combined from similar events): "

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

K = TypeVar("K")
V = TypeVar("V")


class Regarding(msgspec.Struct, frozen=True):
    """The object that an event is about."""

    resource: Resource
    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, resource: Resource, metadata: ObjectMeta) -> Regarding:
        """The object of this kind with this metadata."""
        return cls(resource, metadata.namespace, metadata.name, metadata.uid)


class Event(msgspec.Struct, frozen=True):
    """Something that happened to an object; `reason` and `action` are UpperCamel words."""

    regarding: Regarding
    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str


class Reporter(msgspec.Struct, frozen=True):
    """Who tells: a qualified name (`rocketmq.apache.org/operator`) and the pod."""

    controller: str
    instance: str


class Occurrence(msgspec.Struct, frozen=True):
    """An event at a time: `at` is for people, `now` (seconds, never going back) for decisions."""

    event: Event
    at: datetime
    now: float


class Write(msgspec.Struct, frozen=True):
    """What to write: a new object, or the same one again with a higher count."""

    manifest: Manifest
    repeated: bool


class _Recent(Generic[K, V]):
    """A map that forgets the least recently used entry above its capacity."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: K, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)


_Subject = tuple[Regarding, str, str]
"""Object, type and reason: what spam and similarity are judged by."""


class _Series(msgspec.Struct, frozen=True):
    manifest: Manifest
    count: int
    last: float


class _Similar(msgspec.Struct, frozen=True):
    notes: frozenset[str]
    last: float


class _Bucket(msgspec.Struct, frozen=True):
    tokens: float
    filled: float


class Correlator:
    """Which write, if any, an occurrence deserves. Pure but for its memory of earlier ones."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._buckets = _Recent[_Subject, _Bucket](REMEMBERED)
        self._similar = _Recent[_Subject, _Similar](REMEMBERED)
        self._series = _Recent[Event, _Series](REMEMBERED)
        self._written = 0

    def decide(self, occurrence: Occurrence) -> Write | None:
        """The write for this occurrence; None when there were too many of its kind."""
        event, now = occurrence.event, occurrence.now
        subject = (event.regarding, event.type, event.reason)
        if not self._admit(subject, now):
            return None
        key = msgspec.structs.replace(event, note=_cut(event.note))
        if self._is_one_of_many(subject, key.note, now):
            # One series for the subject; its note stays that of its first event, for the API
            # server lets nobody change the note.
            note = _cut(_COMBINED + event.note)
            key = msgspec.structs.replace(event, note=_COMBINED)
        else:
            note = key.note
        series = self._series.get(key)
        if series is None or now - series.last > SERIES_S:
            self._written += 1
            manifest = _manifest(occurrence, note, self._reporter, self._written)
            self._series.put(key, _Series(manifest, 1, now))
            return Write(manifest, repeated=False)
        count = series.count + 1
        manifest = series.manifest | {
            "series": {"count": count, "lastObservedTime": _micro_time(occurrence.at)}
        }
        self._series.put(key, _Series(series.manifest, count, now))
        return Write(manifest, repeated=True)

    def _admit(self, subject: _Subject, now: float) -> bool:
        bucket = self._buckets.get(subject) or _Bucket(BURST, now)
        tokens = min(bucket.tokens + (now - bucket.filled) / REFILL_S, float(BURST))
        admitted = tokens >= 1
        self._buckets.put(subject, _Bucket(tokens - 1 if admitted else tokens, now))
        return admitted

    def _is_one_of_many(self, subject: _Subject, note: str, now: float) -> bool:
        known = self._similar.get(subject)
        if known is None or now - known.last > SIMILAR_WINDOW_S:
            known = _Similar(frozenset(), now)
        many = len(known.notes | {note}) >= SIMILAR_NOTES
        # As in client-go the set stops growing once it is full: memory stays bounded.
        notes = known.notes if many else known.notes | {note}
        self._similar.put(subject, _Similar(notes, now))
        return many


class EventClient(Protocol):
    """What the recorder needs of a KubeClient."""

    async def create(self, resource: Resource, manifest: Manifest) -> Snapshot:
        """Create the object."""
        ...

    async def apply(self, resource: Resource, manifest: Manifest) -> Snapshot:
        """Server-side apply."""
        ...


class EventRecorder:
    """Takes events from reconciles and writes them in a task of its own."""

    def __init__(
        self,
        client: EventClient,
        reporter: Reporter,
        *,
        clock: Callable[[], datetime],
        randomness: Callable[[], float],
    ) -> None:
        self._client = client
        self._correlator = Correlator(reporter)
        self._clock = clock
        self._randomness = randomness
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Occurrence] = asyncio.Queue(QUEUE_LENGTH)
        self.dropped = 0
        """Events that were not written: the queue was full, or the server refused them."""

    def record(self, event: Event) -> None:
        """Have the event written some time soon, or never."""
        try:
            self._queue.put_nowait(Occurrence(event, self._clock(), self._loop.time()))
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Write what is recorded, until cancelled."""
        while True:
            write = self._correlator.decide(await self._queue.get())
            if write is not None:
                await self._write(write)

    async def _write(self, write: Write) -> None:
        for attempt in range(TRIES):
            try:
                await self._send(write)
            except ApiError as error:
                if not error.retriable or isinstance(error, (ForbiddenError, NotFoundError)):
                    self._drop(error)
                    return
                # The first wait is random, so that many recorders do not come back together.
                await asyncio.sleep(TRY_EVERY_S * (1 if attempt else self._randomness()))
            else:
                return
        self._drop(None)

    async def _send(self, write: Write) -> None:
        if write.repeated:
            # The whole event, not only its series: it comes back if it has expired meanwhile.
            await self._client.apply(EVENTS, write.manifest)
        else:
            # There already: an earlier try did reach the server, only its answer did not reach us.
            with suppress(AlreadyExistsError):
                await self._client.create(EVENTS, write.manifest)

    def _drop(self, error: ApiError | None) -> None:
        self.dropped += 1
        _log.warning("event dropped", error=str(error) if error else "the API server is away")


def _manifest(occurrence: Occurrence, note: str, reporter: Reporter, number: int) -> Manifest:
    event, regarding = occurrence.event, occurrence.event.regarding
    # As client-go names them; cut so that a name of 253 characters still leaves room. The number
    # tells events of one microsecond apart.
    prefix = regarding.name[:220].rstrip(".-")
    unique = f"{int(occurrence.at.timestamp() * 1e6):x}.{number:x}"
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"namespace": regarding.namespace, "name": f"{prefix}.{unique}"},
        "eventTime": _micro_time(occurrence.at),
        "regarding": {
            "apiVersion": regarding.resource.api_version,
            "kind": regarding.resource.kind,
            "namespace": regarding.namespace,
            "name": regarding.name,
            "uid": regarding.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "action": event.action,
        "note": note,
        "reportingController": reporter.controller,
        "reportingInstance": reporter.instance[:128],
    }


def _cut(note: str) -> str:
    # "replace": a note may quote what some broker sent, and that need not be text.
    return note.encode(errors="replace")[:NOTE_BYTES].decode(errors="ignore")


def _micro_time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
