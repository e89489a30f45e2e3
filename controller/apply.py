"""Does what `plan` has decided, and writes statuses.

- An object is written by one server-side apply with force.
- Before a create the API server is asked, because a cache may not know the object yet.
- What cannot be changed but may be made again is deleted only if the API server would take the new
  one, and only as it was read just before. The next plan makes it: a successor does the same.
- One refused object (immutable field, admission, quota) does not keep the others from being
  written; an error that another try may mend ends `execute`, after what was done is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec
import structlog

from controller.client.requests import Propagation
from controller.diff import whole_lists
from controller.errors import ApiError, ForbiddenError, InvalidError, NotFoundError, duplicate_lists
from controller.metrics import Metrics
from controller.objects import Manifest, ObjectMeta, ObjectRef, OwnerReference, Resource, Snapshot
from controller.plan import (
    Create,
    Delete,
    Plan,
    Refused,
    Step,
    Unchanged,
    Update,
    Waiting,
    as_new,
    step_for,
    with_values_of,
    without_nulls,
)

STATUS_MANAGER = "rocketmq-operator-status"
"""Field manager of statuses: an apply of the object by the main one would release them."""

IMMUTABLE_FIELD = "ImmutableField"
INVALID = "Invalid"
FORBIDDEN = "Forbidden"

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


Action = Literal["unchanged", "created", "changed", "deleted", "recreating", "refused", "waiting"]
"""`recreating`: deleted, what it owns kept; the next plan makes it again."""


class Line(msgspec.Struct, frozen=True):
    """What came of one object. `noop`: it was applied, and the server found nothing to change.

    `version` is what a write gave the object, and `uid` which one was deleted: what a cache has
    to show before the next decision (`controller.written`).
    """

    ref: ObjectRef
    action: Action
    paths: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""
    noop: bool = False
    version: str = ""
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.ref}: {self.message}" if self.message else f"{self.ref}: {self.action}"


class Outcome(msgspec.Struct, frozen=True):
    """What came of a plan, one line an object."""

    lines: tuple[Line, ...]

    @property
    def writes(self) -> tuple[Line, ...]:
        """The objects that were written; empty in a steady state."""
        written = ("created", "changed", "deleted", "recreating")
        return tuple(line for line in self.lines if line.action in written)

    @property
    def refused(self) -> tuple[Line, ...]:
        """The objects that could not be written, each with reason and message."""
        return tuple(line for line in self.lines if line.action == "refused")

    @property
    def waiting(self) -> tuple[Line, ...]:
        """The objects that another reconcile has to look at; no event may come for them."""
        return tuple(line for line in self.lines if line.action == "waiting")


class ApplyClient(Protocol):
    """What `execute` and `apply_status` need of a KubeClient."""

    async def get(self, ref: ObjectRef) -> Snapshot:
        """The object as it is now; raises NotFoundError."""
        ...

    async def apply(
        self,
        resource: Resource,
        manifest: Manifest,
        *,
        subresource: str = "",
        field_manager: str | None = None,
        dry_run: bool = False,
    ) -> Snapshot:
        """Server-side apply with force."""
        ...

    async def create(
        self, resource: Resource, manifest: Manifest, *, dry_run: bool = False
    ) -> Snapshot:
        """Create an object."""
        ...

    async def merge_patch(
        self, ref: ObjectRef, manifest: Manifest, *, uid: str, strategic: bool = False
    ) -> Snapshot:
        """Set these fields of this very object."""
        ...

    async def delete(
        self,
        ref: ObjectRef,
        *,
        uid: str,
        resource_version: str = "",
        propagation: Propagation = "Background",
    ) -> None:
        """Delete this very object; gone is fine."""
        ...


async def execute(
    plan: Plan, client: ApplyClient, *, record: Callable[[Line], None] | None = None
) -> Outcome:
    """Do the steps in their order; `record` is told of each line as soon as it is a fact.

    Raises the ApiError of the first step that another try may mend.
    """
    lines = []
    for step in plan.steps:
        try:
            line = await _perform(step, plan.owner, client)
        except (InvalidError, ForbiddenError) as error:
            line = Line(step.ref, "refused", reason=_reason(error), message=error.message)
        if record is not None:
            record(line)
        lines.append(line)
    return Outcome(tuple(lines))


def reported(metrics: Metrics) -> Callable[[Line], None]:
    """A `record` for `execute` that logs and counts each line that is not `unchanged`."""

    def report(line: Line) -> None:
        log = _log.bind(action=line.action, child=str(line.ref))
        if line.action in ("refused", "waiting"):
            log.warning("object not written", reason=line.reason, error=line.message)
        elif line.action != "unchanged":
            verb = "delete" if line.uid else "apply"
            metrics.wrote(verb, line.ref.resource.kind)
            log.info("object written", paths=line.paths[:20])
        if line.noop:
            metrics.applied_noop()

    return report


async def apply_status(
    client: ApplyClient,
    resource: Resource,
    metadata: ObjectMeta,
    status: msgspec.Struct,
    before: msgspec.Struct,
    *,
    version: str = "",
) -> str:
    """Write the status if it is not what was observed; the object's version then, else "".

    `version`: only if the object still has this one, else a ConflictError.

    Times count as content: whoever computes a status keeps old times (`merge_conditions`). An
    object that is gone is no error. One of the same name that has replaced it gets this status
    until its own reconcile: the API server heeds no uid in a status.
    """
    encoded = without_nulls(msgspec.to_builtins(status))
    if encoded == without_nulls(msgspec.to_builtins(before)):
        return ""
    identity = {"namespace": metadata.namespace, "name": metadata.name}
    manifest = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": identity | ({"resourceVersion": version} if version else {}),
        "status": encoded,
    }
    try:
        written = await client.apply(
            resource, manifest, subresource="status", field_manager=STATUS_MANAGER
        )
    except NotFoundError:
        return ""
    return written.metadata.resource_version


async def _perform(step: Step, owner: OwnerReference, client: ApplyClient) -> Line:
    match step:
        case Unchanged(ref):
            return Line(ref, "unchanged")
        case Refused(ref, reason, message):
            return Line(ref, "refused", reason=reason, message=message)
        case Waiting(ref, message):
            return Line(ref, "waiting", message=message)
        case Delete(ref, uid):
            await client.delete(ref, uid=uid)
            return Line(ref, "deleted", uid=uid)
        case Create(ref, manifest):
            return await _create(ref, manifest, owner, client)
        case Update():
            return await _update(step, client)


async def _create(
    ref: ObjectRef, manifest: Manifest, owner: OwnerReference, client: ApplyClient
) -> Line:
    try:
        live = await client.get(ref)
    except NotFoundError:
        made = await client.apply(ref.resource, manifest)
        return Line(ref, "created", version=made.metadata.resource_version)
    return await _perform(step_for(ref, manifest, live, owner), owner, client)


async def _update(step: Update, client: ApplyClient) -> Line:
    try:
        applied = await client.apply(step.ref.resource, step.manifest)
    except InvalidError as error:
        if step.recreate_for and _reason(error) == IMMUTABLE_FIELD:
            return await _recreate(step, client)
        applied = await _apply_over_clashes(step, error, client)
    version = applied.metadata.resource_version
    noop = version == step.resource_version
    return Line(step.ref, "changed", step.paths, noop=noop, version=version)


async def _apply_over_clashes(step: Update, error: InvalidError, client: ApplyClient) -> Snapshot:
    """Write our lists whole, once, where somebody's items in them clash with ours; then apply.

    Lists are merged by a key: a port of ours that somebody renumbers is put back beside theirs, of
    the same name, which the server never takes. Items of others in such a list go; and a patch
    owns what it sets, so an item of it that we stop setting later is not released.
    """
    patch = whole_lists(step.manifest, duplicate_lists(error))
    if not patch:
        raise error
    await client.merge_patch(step.ref, patch, uid=step.manifest["metadata"]["uid"], strategic=True)
    return await client.apply(step.ref.resource, step.manifest)


async def _recreate(step: Update, client: ApplyClient) -> Line:
    """Delete the object and keep what it owns, if that is all that its change takes.

    It is not made again here: until the garbage collector has let go of what it owns, the old
    object is still there, marked. The next plans wait for its end (`Waiting`), then create.
    """
    ref = step.ref
    live = await client.get(ref)
    # With the immutable fields as they are, would the change be taken? Else they are not the only
    # trouble, or others are immutable, too: a selector, say, under which nothing was adopted.
    rest = with_values_of(live.manifest(), step.manifest, step.recreate_for)
    await client.apply(ref.resource, rest, dry_run=True)
    # And would the new object be? Nothing may stand against it when the old one is gone.
    await client.create(ref.resource, as_new(step.manifest), dry_run=True)
    await client.delete(
        ref,
        uid=live.metadata.uid,
        resource_version=live.metadata.resource_version,
        propagation="Orphan",
    )
    return Line(ref, "recreating", step.paths, uid=live.metadata.uid)


def _reason(error: ApiError) -> str:
    if isinstance(error, ForbiddenError):
        return FORBIDDEN
    # A StatefulSet says "updates to statefulset spec for fields other than ... are forbidden",
    # others "field is immutable", "spec is immutable after creation", "may not change once set".
    immutable = ("immutable", "fields other than", "may not change", "cannot change")
    return IMMUTABLE_FIELD if any(word in error.message for word in immutable) else INVALID
