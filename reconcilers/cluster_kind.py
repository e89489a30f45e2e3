"""The course of every kind that owns Kubernetes objects: observe, validate, act, report.

A kind adds what differs (its facts, its children, its status) and no order of its own. Invariants:
a resource with problems, or one that is being deleted, has nothing made, changed or removed; the
status is written after the children, and only if it differs; nothing is decided upon caches that do
not show our own last writes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Generic, Protocol, TypeVar

import msgspec

from controller.apply import (
    FORBIDDEN,
    Line,
    Outcome,
    apply_status,
    execute,
)
from controller.conditions import Condition
from controller.errors import (
    ApiError,
    ConflictError,
    NamespaceTerminatingError,
    NotFoundError,
    ThrottledError,
    UnreachableError,
)
from controller.events import Event, Regarding
from controller.objects import (
    Desired,
    HasMetadata,
    Key,
    ObjectMeta,
    ObjectRef,
    OwnerReference,
    Resource,
    Snapshot,
    Undecodable,
)
from controller.plan import NAME_TAKEN, Plan, plan
from controller.reconcile import Request, Result, Terminal
from reconcilers import reasons
from reconcilers.act import act
from reconcilers.api.broker import Broker
from reconcilers.api.kube import PERSISTENT_VOLUME_CLAIM, POD
from reconcilers.api.meta import Status
from reconcilers.api.name_service import NameService
from reconcilers.api.validation import problems
from reconcilers.desired import names
from reconcilers.desired.java import memory_problem
from reconcilers.observe import Cached, owned_children
from reconcilers.own_writes import OwnWrites
from reconcilers.status.conditions import Conditions, add_invalid_conditions
from reconcilers.status.notices import Notice, notices, step_notices
from reconcilers.steps.decision import DISRUPTIVE, Decision, Done, Progress
from reconcilers.tools import RECONCILE, Tools
from rocketmq.memory import Role

CACHE_BEHIND_S = 1.0
"""A cache that has not seen our last write is looked at again; the event comes earlier mostly."""

COLLECTED_SOON_S = 2.0
"""An object of a wanted name is being deleted; its end may bring no event to us."""

REFUSED_AGAIN_S = 60.0
"""What was refused for a reason outside the spec (a quota, a taken name) is tried this often."""

FAILED_AGAIN_S = 2.0
"""A step that failed is not tried again sooner."""

_OUTSIDE_THE_SPEC = (FORBIDDEN, NAME_TAKEN)

_PASSING = (ConflictError, ThrottledError, UnreachableError)
"""Errors that the next try most likely does not meet: not worth a condition."""


class Problem(msgspec.Struct, frozen=True):
    """Why a resource cannot be acted upon until somebody changes it."""

    reason: str
    message: str


def problem_of(cr: NameService | Broker, role: Role) -> Problem | None:
    """All that is wrong with the spec, under the reason of what is named first."""
    found = [Problem(problem.reason, problem.message) for problem in problems(cr)]
    memory = memory_problem(cr.spec, role)
    if memory is not None:
        found.append(Problem(reasons.INSUFFICIENT_MEMORY, memory))
    if not found:
        return None
    return Problem(found[0].reason, "; ".join(problem.message for problem in found))


def undecodable_conditions(
    cr: Undecodable, before: Sequence[Condition], now: datetime
) -> tuple[Condition, ...]:
    """The conditions of a resource that was stored under another schema than today's."""
    conditions = Conditions(cr.metadata, before)
    add_invalid_conditions(conditions, reasons.INVALID_SPEC, f"{cr.error}; correct this field")
    return conditions.merged(now)


class CustomResource(Protocol):
    """What every custom resource has."""

    @property
    def metadata(self) -> ObjectMeta:
        """The object's metadata."""
        ...


class Facts(Protocol):
    """What the facts about every kind tell."""

    @property
    def versions(self) -> Mapping[str, str]:
        """The resource version of every StatefulSet and pod, by uid."""
        ...


CR = TypeVar("CR", bound=CustomResource)
F = TypeVar("F", bound=Facts)
S = TypeVar("S", bound=Status)


class ClusterReconciler(ABC, Generic[CR, F, S]):
    """Brings one resource's children to what they should be, and says on its status how it went."""

    resource: Resource

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._own_writes = OwnWrites(tools.client, self._cached_metadata, self._is_watched)

    async def reconcile(self, request: Request) -> Result:
        """See `controller.reconcile.Reconciler`."""
        cr = self.cached.get(request)
        if cr is None or cr.metadata.terminating:
            self._own_writes.forget(request)
            return Result()  # the garbage collector removes the children by their owner reference
        if not await self._own_writes.are_shown(request):
            # The events of our own writes are on their way: decided upon what was before them, the
            # same would be done and told twice.
            return Result(CACHE_BEHIND_S)
        if isinstance(cr, Undecodable):
            await self._report_undecodable(cr)
            raise Terminal(cr.error)
        # Read before the facts: what vanishes while servers are asked is not made again by them.
        children = owned_children(self._tools.caches, cr)
        facts = await self.observe(cr)
        problem = self.problem(cr)
        if problem is not None:
            status = self.invalid_status(cr, facts, problem)
            await self._report(cr.metadata, status, self.status_of(cr), ())
            raise Terminal(problem.message)
        try:
            return await self._converge(cr, facts, children)
        except NamespaceTerminatingError:
            return Result()  # nobody waits for what would be deleted at once

    @property
    @abstractmethod
    def cached(self) -> Cached[CR | Undecodable]:
        """The resources of this kind."""

    @property
    @abstractmethod
    def no_status(self) -> S:
        """The status of a resource that nobody has seen."""

    @abstractmethod
    def status_of(self, cr: CR) -> S:
        """The status that was observed with the resource."""

    @abstractmethod
    async def observe(self, cr: CR) -> F:
        """The facts about one resource."""

    @abstractmethod
    def problem(self, cr: CR) -> Problem | None:
        """Why nothing can be done about it, if so."""

    @abstractmethod
    def desired(self, cr: CR, facts: F) -> list[Desired] | None:
        """The children that there should be; None: leave everything as it is."""

    @abstractmethod
    def decide(self, cr: CR, facts: F) -> Decision:
        """What may be done next to the servers that run."""

    @abstractmethod
    async def observe_anew(self, cr: CR, facts: F) -> F:
        """The same facts, with what a disruptive step rests on read from the API server."""

    @abstractmethod
    def status(self, cr: CR, facts: F, outcome: Outcome, progress: Progress | None) -> S:
        """The status after an attempt; without progress when nothing was decided."""

    @abstractmethod
    def invalid_status(self, cr: CR, facts: F, problem: Problem) -> S:
        """The status of a resource with a problem."""

    @abstractmethod
    def undecodable_status(self, cr: Undecodable, before: S) -> S:
        """The status of a resource that does not even fit its type."""

    async def _report_undecodable(self, cr: Undecodable) -> None:
        metadata = cr.metadata
        try:
            live = await self._tools.client.get(
                ObjectRef(self.resource, metadata.namespace, metadata.name)
            )
        except NotFoundError:
            return
        # The cache holds no status of it; compared with none, it would be written for ever.
        try:
            before = msgspec.convert(live.manifest().get("status", {}), type(self.no_status))
        except msgspec.ValidationError:
            before = self.no_status
        await self._report(metadata, self.undecodable_status(cr, before), before, ())

    async def _converge(self, cr: CR, facts: F, children: Mapping[ObjectRef, Snapshot]) -> Result:
        paused = cr.metadata.annotations.get(names.PAUSED) == "true"
        desired = None if paused else self.desired(cr, facts)
        if desired is None:
            outcome = Outcome(())
        else:
            outcome = await self._execute(cr, facts, plan(desired, children, self._owner(cr)))
        # What was just written has to be seen before anything is decided upon it; and where there
        # is nothing yet and nothing may be made, there is nothing to decide.
        unseen = outcome.writes or outcome.refused or outcome.waiting
        nothing = desired is None and not children and not paused
        progress = None
        if not (unseen or nothing):
            progress = await self._advance(cr, facts)
            if progress is None:
                return Result(CACHE_BEHIND_S)
        await self._report_on(cr, facts, outcome, progress)
        return Result(_requeue_after_s(outcome, progress))

    async def _advance(self, cr: CR, facts: F) -> Progress | None:
        """None: what was decided is for a resource that has changed; its event is on its way."""
        decision = self.decide(cr, facts)
        unseen: Mapping[str, str] = {}
        if any(isinstance(step, DISRUPTIVE) for step in decision.steps):
            live = await self.observe_anew(cr, facts)
            decision = self.decide(cr, live)
            if not await self._is_newest(cr.metadata):
                return None
            unseen = {uid: live.versions[uid] for uid in live.versions.keys() - facts.versions}
        wrote = partial(self._note, cr.metadata.key, unseen=unseen)
        done: list[Done] = []
        for step in decision.steps:
            tools = self._tools
            one = await act(tools.client, tools.admin, cr.metadata.namespace, step, wrote=wrote)
            self._tell(cr.metadata, step_notices((one,), decision.message))
            name, failed = type(step).__name__, bool(one.failure)
            tools.stepped(self.resource.kind, cr.metadata, name, failed=failed)
            done.append(one)
        return Progress(decision, tuple(done))

    async def _is_newest(self, seen: ObjectMeta) -> bool:
        """Whether the user has changed nothing since: a group that leaves may be wanted again."""
        ref = ObjectRef(self.resource, seen.namespace, seen.name)
        try:
            live = (await self._tools.client.get(ref)).metadata
        except NotFoundError:
            return False
        same = live.uid == seen.uid and live.generation == seen.generation
        return same and live.annotations == seen.annotations

    async def _execute(self, cr: CR, facts: F, planned: Plan) -> Outcome:
        done: list[Line] = []

        def record(line: Line) -> None:
            done.append(line)
            self._note(cr.metadata.key, line, unseen={})
            self._tools.record(line)

        try:
            return await execute(planned, self._tools.client, record=record)
        except (*_PASSING, NamespaceTerminatingError):
            raise
        except ApiError as error:
            failed = planned.steps[len(done)].ref
            line = Line(failed, "refused", reason=type(error).__name__, message=error.message)
            await self._report_on(cr, facts, Outcome((*done, line)), None)
            raise

    def _note(self, key: Key, line: Line, *, unseen: Mapping[str, str]) -> None:
        """`unseen`: versions, by uid, of what was read past caches that did not hold it."""
        if line.version:
            self._own_writes.note_write(key, line.ref, line.version)
        elif line.uid:
            version = unseen.get(line.uid, "")
            self._own_writes.note_delete(key, line.ref, line.uid, version=version)

    def _cached_metadata(self, ref: ObjectRef) -> ObjectMeta | None:
        caches = self._tools.caches
        found: HasMetadata | None
        if ref.resource == self.resource:
            found = self.cached.get(ref.key)
        elif ref.resource == POD:
            found = caches.pods.get(ref.key)
        elif ref.resource == PERSISTENT_VOLUME_CLAIM:
            found = caches.claims.get(ref.key)
        else:
            found = caches.children[ref.resource].get(ref.key)
        return None if found is None else found.metadata

    def _is_watched(self, ref: ObjectRef, metadata: ObjectMeta) -> bool:
        return ref.resource == self.resource or names.is_ours(metadata.labels)

    async def _report_on(
        self, cr: CR, facts: F, outcome: Outcome, progress: Progress | None
    ) -> None:
        status = self.status(cr, facts, outcome, progress)
        await self._report(cr.metadata, status, self.status_of(cr), outcome.writes)

    async def _report(
        self, metadata: ObjectMeta, status: S, before: S, writes: Sequence[Line]
    ) -> None:
        version = await apply_status(self._tools.client, self.resource, metadata, status, before)
        if version:
            own = ObjectRef(self.resource, metadata.namespace, metadata.name)
            self._own_writes.note_write(metadata.key, own, version)
            self._tools.wrote_status(self.resource.kind)
        self._tell(metadata, notices(before.conditions, status.conditions, writes))

    def _tell(self, metadata: ObjectMeta, told: Sequence[Notice]) -> None:
        regarding = Regarding.of(self.resource, metadata)
        for notice in told:
            self._tools.events.record(
                Event(regarding, notice.type, notice.reason, RECONCILE, notice.note)
            )

    def _owner(self, cr: CR) -> OwnerReference:
        return OwnerReference(
            api_version=self.resource.api_version,
            kind=self.resource.kind,
            name=cr.metadata.name,
            uid=cr.metadata.uid,
            controller=True,
            block_owner_deletion=True,
        )


def _requeue_after_s(outcome: Outcome, progress: Progress | None) -> float | None:
    if outcome.waiting:
        return COLLECTED_SOON_S
    if any(line.reason in _OUTSIDE_THE_SPEC for line in outcome.refused):
        return REFUSED_AGAIN_S
    if progress is not None:
        again_s = progress.decision.again_after_s
        return max(again_s or 0.0, FAILED_AGAIN_S) if progress.failures else again_s
    return CACHE_BEHIND_S if outcome.writes else None
