"""From desired and observed objects to writes: `plan` decides (pure), `execute` does.

- An object is written only if `diff` finds a change in a field of ours, or if the set of fields
  that we set has changed (annotation `applied-fields`); then by one server-side apply with force.
- Nothing is taken over: an object of a wanted name that is not controlled by our owner is refused,
  and before a create the API server is asked, because a cache may not know it yet.
- Only objects controlled by our owner are deleted, by uid, and never a PersistentVolumeClaim.
- One refused object (immutable field, admission, quota) does not keep the others from being
  written; an error that another try may mend ends `execute`, after what was done is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec
import structlog

from controller.diff import FieldChange, applied_fields, changes
from controller.errors import ApiError, ForbiddenError, InvalidError, NotFoundError
from controller.metrics import Metrics
from controller.objects import (
    Desired,
    Manifest,
    ObjectMeta,
    ObjectRef,
    OwnerReference,
    Resource,
    Snapshot,
)

APPLIED_FIELDS = "rocketmq.apache.org/applied-fields"
"""Annotation: the fingerprint of the fields that we set when the object was last applied."""

STATUS_MANAGER = "rocketmq-operator-status"
"""Field manager of statuses: an apply of the object by the main one would release them."""

NAME_TAKEN = "NameTaken"
IMMUTABLE_FIELD = "ImmutableField"
INVALID = "Invalid"
FORBIDDEN = "Forbidden"

_CLAIM = "PersistentVolumeClaim"

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Unchanged(msgspec.Struct, frozen=True):
    """Nothing to do."""

    ref: ObjectRef


class Create(msgspec.Struct, frozen=True):
    """The caches know no object of this name."""

    ref: ObjectRef
    manifest: Manifest


class Update(msgspec.Struct, frozen=True):
    """Fields of ours differ. `manifest` holds the uid, so that it meets no other object."""

    ref: ObjectRef
    manifest: Manifest
    changes: tuple[FieldChange, ...]
    resource_version: str


class Delete(msgspec.Struct, frozen=True):
    """An object of our owner that is no longer desired."""

    ref: ObjectRef
    uid: str


class Refused(msgspec.Struct, frozen=True):
    """An object that cannot be written until somebody changes something."""

    ref: ObjectRef
    reason: str
    message: str


class Waiting(msgspec.Struct, frozen=True):
    """The name will be free soon: come back."""

    ref: ObjectRef
    message: str


Step = Unchanged | Create | Update | Delete | Refused | Waiting


class Plan(msgspec.Struct, frozen=True):
    """The steps in their order, and who owns what they write."""

    steps: tuple[Step, ...]
    owner: OwnerReference


Action = Literal["unchanged", "created", "changed", "deleted", "refused", "waiting"]


class Line(msgspec.Struct, frozen=True):
    """What came of one object. `noop`: it was applied, and the server found nothing to change."""

    ref: ObjectRef
    action: Action
    paths: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""
    noop: bool = False

    def __str__(self) -> str:
        return f"{self.ref}: {self.message}" if self.message else f"{self.ref}: {self.action}"


class Outcome(msgspec.Struct, frozen=True):
    """What came of a plan, one line an object."""

    lines: tuple[Line, ...]

    @property
    def writes(self) -> tuple[Line, ...]:
        """The objects that were written; empty in a steady state."""
        written = ("created", "changed", "deleted")
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
    ) -> Snapshot:
        """Server-side apply with force."""
        ...

    async def delete(self, ref: ObjectRef, *, uid: str) -> None:
        """Delete this very object; gone is fine."""
        ...


def plan(
    desired: Sequence[Desired], observed: Mapping[ObjectRef, Snapshot], owner: OwnerReference
) -> Plan:
    """What has to be written so that `owner` has exactly the desired objects.

    `observed` holds whatever is cached of the owner's objects and of the desired names. Applies
    come in the order of `desired`, then deletes in the reverse order of `observed`. ValueError if
    an object is desired twice, or a PersistentVolumeClaim: its owner would take the data along.
    """
    owner = msgspec.structs.replace(owner, controller=True)
    steps: dict[ObjectRef, Step] = {}
    for one in desired:
        ref = _ref(one)
        if ref in steps or ref.resource.kind == _CLAIM:
            raise ValueError(f"{ref} must not be desired (again)")
        steps[ref] = _step(ref, stamped(one, owner), observed.get(ref), owner)
    for ref, snapshot in reversed(list(observed.items())):
        if ref not in steps and _is_surplus(ref, snapshot.metadata, owner):
            steps[ref] = Delete(ref, snapshot.metadata.uid)
    return Plan(tuple(steps.values()), owner)


def stamped(desired: Desired, owner: OwnerReference) -> Manifest:
    """A copy as it is applied: with type, owner reference and fingerprint, without nulls.

    A null would claim the field and empty it, which is more than not to set it.
    """
    manifest: Manifest = _without_nulls(desired.manifest)
    metadata = manifest["metadata"]
    fingerprint = {APPLIED_FIELDS: applied_fields(manifest)}
    return manifest | {
        "apiVersion": desired.resource.api_version,
        "kind": desired.resource.kind,
        "metadata": metadata
        | {
            "annotations": metadata.get("annotations", {}) | fingerprint,
            "ownerReferences": [msgspec.to_builtins(owner)],
        },
    }


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
            verb = "delete" if line.action == "deleted" else "apply"
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
) -> str:
    """Write the status if it is not what was observed; the object's version then, else "".

    Times count as content: whoever computes a status keeps old times (`merge_conditions`). An
    object that is gone is no error. One of the same name that has replaced it gets this status
    until its own reconcile: the API server heeds no uid in a status.
    """
    encoded = _without_nulls(msgspec.to_builtins(status))
    if encoded == _without_nulls(msgspec.to_builtins(before)):
        return ""
    manifest = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"namespace": metadata.namespace, "name": metadata.name},
        "status": encoded,
    }
    try:
        written = await client.apply(
            resource, manifest, subresource="status", field_manager=STATUS_MANAGER
        )
    except NotFoundError:
        return ""
    return written.metadata.resource_version


def _ref(desired: Desired) -> ObjectRef:
    metadata = desired.manifest["metadata"]
    return ObjectRef(desired.resource, metadata["namespace"], metadata["name"])


def _step(
    ref: ObjectRef, manifest: Manifest, observed: Snapshot | None, owner: OwnerReference
) -> Step:
    if observed is None:
        return Create(ref, manifest)
    metadata = observed.metadata
    controller = metadata.controller
    if controller is None or controller.uid != owner.uid:
        return _not_ours(ref, controller, owner)
    if metadata.deletion_timestamp is not None:
        return Waiting(ref, f"{ref} is being deleted")
    found = changes(manifest, observed.manifest())
    if not found:
        return Unchanged(ref)
    pinned = manifest | {"metadata": manifest["metadata"] | {"uid": metadata.uid}}
    return Update(ref, pinned, found, metadata.resource_version)


def _not_ours(
    ref: ObjectRef, controller: OwnerReference | None, owner: OwnerReference
) -> Refused | Waiting:
    if controller is None:
        return Refused(ref, NAME_TAKEN, f"{ref} exists and belongs to nobody")
    name = f"{controller.kind} {controller.name}"
    if (controller.group, controller.kind, controller.name) == (
        owner.group,
        owner.kind,
        owner.name,
    ):
        return Waiting(ref, f"{ref} belongs to an earlier {name}; it is being collected")
    return Refused(ref, NAME_TAKEN, f"{ref} exists and belongs to {name}")


def _is_surplus(ref: ObjectRef, metadata: ObjectMeta, owner: OwnerReference) -> bool:
    controller = metadata.controller
    return (
        controller is not None
        and controller.uid == owner.uid
        and metadata.deletion_timestamp is None
        and ref.resource.kind != _CLAIM
    )


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
            return Line(ref, "deleted")
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
        await client.apply(ref.resource, manifest)
        return Line(ref, "created")
    return await _perform(_step(ref, manifest, live, owner), owner, client)


async def _update(step: Update, client: ApplyClient) -> Line:
    applied = await client.apply(step.ref.resource, step.manifest)
    noop = applied.metadata.resource_version == step.resource_version
    return Line(step.ref, "changed", tuple(change.path for change in step.changes), noop=noop)


def _reason(error: ApiError) -> str:
    if isinstance(error, ForbiddenError):
        return FORBIDDEN
    # A StatefulSet says "updates to statefulset spec for fields other than ... are forbidden",
    # others "field is immutable", "spec is immutable after creation", "may not change once set".
    immutable = ("immutable", "fields other than", "may not change", "cannot change")
    return IMMUTABLE_FIELD if any(word in error.message for word in immutable) else INVALID


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {field: _without_nulls(child) for field, child in value.items() if child is not None}
    if isinstance(value, (list, tuple)):
        return [_without_nulls(child) for child in value]
    return value
