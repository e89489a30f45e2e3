"""Campaigns for a Lease, keeps it, releases it: the shell around `leader_lease`.

- Every try has a deadline, and its client a connection of its own: neither a hung call nor a busy
  pool eats the time in which the lease must be renewed.
- Asked to stop it releases the lease; cancelled it does not, for then something may still write.
- A lease that is lost ends the process (`Leadership.lose`). So does one that somebody else took
  away by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import msgspec
import structlog

from controller.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from controller.events import Event, Regarding
from controller.leader_lease import (
    LEASES,
    Candidate,
    Record,
    Seen,
    candidate_pause_s,
    holder_pause_s,
    next_record,
    record_of,
    released,
    seen,
    spec_of,
)
from controller.leader_term import Leadership, NotLeadingError
from controller.objects import Manifest, ObjectRef, Resource, Snapshot

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class LeaseClient(Protocol):
    """What the elector needs of a KubeClient."""

    async def get(self, ref: ObjectRef) -> Snapshot:
        """The object; raises NotFoundError."""
        ...

    async def create(self, resource: Resource, manifest: Manifest) -> Snapshot:
        """Create it; raises AlreadyExistsError."""
        ...

    async def merge_patch(self, ref: ObjectRef, manifest: Manifest, *, uid: str) -> Snapshot:
        """Set fields; raises ConflictError if the object is not of the manifest's version."""
        ...


class Surroundings(msgspec.Struct, frozen=True):
    """Where times for people and chances come from, and where Events go."""

    now: Callable[[], datetime]
    randomness: Callable[[], float]
    record: Callable[[Event], None]


class LeaderElector:
    """One candidate for one Lease."""

    def __init__(
        self,
        client: LeaseClient,
        candidate: Candidate,
        leadership: Leadership,
        surroundings: Surroundings,
    ) -> None:
        self._client = client
        self._candidate = candidate
        self._leadership = leadership
        self._surroundings = surroundings
        self._known: Seen | None = None
        # The Lease as it is stored, as far as we know: what our next write builds upon.
        self._stored: Snapshot | None = None
        self._looked = False
        self._trouble = ""
        self._leads = asyncio.Event()
        self._stopping = asyncio.Event()

    def __repr__(self) -> str:
        holder = self._known.record.holder if self._known is not None else "unknown"
        return f"<LeaderElector {self._candidate.identity} holder={holder}>"

    async def wait_leading(self) -> None:
        """Wait until this process leads."""
        await self._leads.wait()

    def stop(self) -> None:
        """Ask `run` to release the lease and to end; nothing may be writing any more."""
        self._stopping.set()

    async def run(self) -> None:
        """Campaign and lead until `stop`. NotLeadingError if the lease is lost and we still run."""
        while not self._stopping.is_set():
            began = self._leadership.now()
            await self._try()
            pause_s = self._pause_s(took_s=self._leadership.now() - began)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
        if self._leadership.leading:
            await self._release()

    async def _try(self) -> None:
        self._check_term()
        within_s = min(self._candidate.durations.call_s, self._leadership.left_s())
        try:
            async with asyncio.timeout(within_s):
                await self._write(self._wish)
        except NotLeadingError:
            raise
        except (ApiError, TimeoutError) as error:
            # The write may have been done or not: only a look can tell.
            self._looked = False
            self._report(error)
        else:
            self._report(None)
        self._check_term()

    def _check_term(self) -> None:
        if self._leadership.left_s() <= 0:
            self._leadership.lose("the Lease could not be renewed in time")

    def _wish(self) -> Record | None:
        """What to write now, the Lease being as it was last seen; None: another one holds it."""
        wish = next_record(
            self._candidate,
            self._known,
            now=self._leadership.now(),
            at=self._surroundings.now(),
        )
        holder = self._known.record.holder if self._known is not None else ""
        if self._leadership.leading and holder != self._candidate.identity:
            self._leadership.lose(f"the Lease was taken by {holder or 'nobody'}")
        return wish

    async def _write(self, wish: Callable[[], Record | None]) -> None:
        """Write what is wished of the Lease as it is; after a conflict look and write again."""
        for again in (True, False):
            if not self._looked:
                await self._look()
            record = wish()
            if record is None:
                self._looked = False
                return
            try:
                await self._put(record)
            except (ConflictError, AlreadyExistsError, NotFoundError):
                self._looked = False
                if not again:
                    raise
            else:
                return

    async def _look(self) -> None:
        try:
            self._note(await self._client.get(self._candidate.lease))
        except NotFoundError:
            # What was known of it stays known: its holder need not know yet that it is gone.
            self._stored = None
        self._looked = True

    async def _put(self, record: Record) -> None:
        began = self._leadership.now()
        self._looked = False
        lease, stored = self._candidate.lease, self._stored
        if stored is None:
            metadata = {"namespace": lease.namespace, "name": lease.name}
            identity = {"apiVersion": LEASES.api_version, "kind": LEASES.kind}
            manifest = {**identity, "metadata": metadata, "spec": spec_of(record)}
            self._note(await self._client.create(LEASES, manifest))
        else:
            version = {"resourceVersion": stored.metadata.resource_version}
            changes = {"metadata": version, "spec": spec_of(record)}
            uid = stored.metadata.uid
            self._note(await self._client.merge_patch(lease, changes, uid=uid))
        self._looked = True
        if record.holder:
            self._hold(began)

    def _note(self, stored: Snapshot) -> None:
        self._stored = stored
        record = record_of(stored.manifest())
        if self._known is None or self._known.record.holder != record.holder:
            _log.info("lease seen", holder=record.holder, transitions=record.transitions)
        version = stored.metadata.resource_version
        self._known = seen(self._known, record, version, self._leadership.now())

    def _hold(self, began: float) -> None:
        if not self._leadership.hold(began) or self._leads.is_set():
            return
        self._leads.set()
        identity = self._candidate.identity
        _log.info("leadership acquired", lease=str(self._candidate.lease), identity=identity)
        if self._stored is not None:
            note = f"{identity} became leader"  # client-go's words
            regarding = Regarding.of(LEASES, self._stored.metadata)
            self._surroundings.record(Event(regarding, "Normal", "LeaderElection", "Acquire", note))

    async def _release(self) -> None:
        self._leadership.give_up()
        try:
            async with asyncio.timeout(self._candidate.durations.call_s):
                await self._write(self._farewell)
        except (ApiError, TimeoutError) as error:
            _log.warning("lease not released", error=str(error))
        else:
            _log.info("lease released")

    def _farewell(self) -> Record | None:
        if self._known is None or self._known.record.holder != self._candidate.identity:
            return None
        return released(self._known.record, at=self._surroundings.now())

    def _pause_s(self, *, took_s: float) -> float:
        durations = self._candidate.durations
        if self._leadership.leading:
            return holder_pause_s(durations, took_s=took_s)
        return candidate_pause_s(
            durations,
            self._known,
            now=self._leadership.now(),
            chance=self._surroundings.randomness(),
        )

    def _report(self, error: Exception | None) -> None:
        """Say each trouble once, and its end: an outage is no line every two seconds."""
        trouble = "" if error is None else str(error) or "no answer in time"
        if trouble and trouble != self._trouble:
            _log.warning("lease not written", error=trouble)
        elif self._trouble and not trouble:
            _log.info("lease can be read and written again")
        self._trouble = trouble
