"""What has to be written so that an owner has exactly the desired objects. Pure.

- An object is written only if `diff` finds a change in a field of ours, or if the set of fields
  that we set has changed (annotation `applied-fields`).
- Nothing is taken over: an object of a wanted name that is not controlled by our owner is refused.
- Only objects controlled by our owner are deleted, by uid, and never a PersistentVolumeClaim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from controller.diff import FieldChange, applied_fields, changes
from controller.objects import (
    Desired,
    Manifest,
    ObjectMeta,
    ObjectRef,
    OwnerReference,
    Snapshot,
)

APPLIED_FIELDS = "rocketmq.apache.org/applied-fields"
"""Annotation: the fingerprint of the fields that we set when the object was last applied."""

NAME_TAKEN = "NameTaken"

_IDENTITY = ("name", "uid")
_CLAIM = "PersistentVolumeClaim"


class Unchanged(msgspec.Struct, frozen=True):
    """Nothing to do."""

    ref: ObjectRef


class Create(msgspec.Struct, frozen=True):
    """The caches know no object of this name."""

    ref: ObjectRef
    manifest: Manifest


class Update(msgspec.Struct, frozen=True):
    """Fields of ours differ. `manifest` holds the uid, so that it meets no other object.

    `recreate_for`: see `Desired`.
    """

    ref: ObjectRef
    manifest: Manifest
    changes: tuple[FieldChange, ...]
    resource_version: str
    recreate_for: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The fields that differ."""
        return tuple(change.path for change in self.changes)


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
        step = step_for(ref, stamped(one, owner), observed.get(ref), owner)
        if isinstance(step, Update):
            step = msgspec.structs.replace(step, recreate_for=one.recreate_for)
        steps[ref] = step
    for ref, snapshot in reversed(list(observed.items())):
        if ref not in steps and _is_surplus(ref, snapshot.metadata, owner):
            steps[ref] = Delete(ref, snapshot.metadata.uid)
    return Plan(tuple(steps.values()), owner)


def stamped(desired: Desired, owner: OwnerReference) -> Manifest:
    """A copy as it is applied: with type, owner reference and fingerprint, without nulls.

    A null would claim the field and empty it, which is more than not to set it.
    """
    manifest: Manifest = without_nulls(desired.manifest)
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


def _ref(desired: Desired) -> ObjectRef:
    metadata = desired.manifest["metadata"]
    return ObjectRef(desired.resource, metadata["namespace"], metadata["name"])


def step_for(
    ref: ObjectRef, manifest: Manifest, observed: Snapshot | None, owner: OwnerReference
) -> Step:
    """What to do about one object that should be as `manifest` (which is `stamped`) says."""
    if observed is None:
        return Create(ref, manifest)
    metadata = observed.metadata
    controller = metadata.controller
    if controller is None or controller.uid != owner.uid:
        return _not_ours(ref, controller, owner)
    if metadata.terminating:
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
        and not metadata.terminating
        and ref.resource.kind != _CLAIM
    )


def with_values_of(observed: Manifest, manifest: Manifest, paths: Sequence[str]) -> Manifest:
    """A copy of `manifest` in which the fields at these paths are as they were observed."""
    result = dict(manifest)
    for path in paths:
        field, _, rest = path.partition(".")
        if rest:
            inner = observed.get(field, {}), result.get(field, {})
            result[field] = with_values_of(*inner, (rest,))
        elif field in observed:
            result[field] = observed[field]
        else:
            result.pop(field, None)
    return result


def as_new(manifest: Manifest) -> Manifest:
    """A copy under another name, as good as unique, and without uid: for a trial of a create."""
    metadata = {
        field: value for field, value in manifest["metadata"].items() if field not in _IDENTITY
    }
    # The server cuts the name where what it adds would make it too long.
    return manifest | {"metadata": metadata | {"generateName": f"{manifest['metadata']['name']}-"}}


def without_nulls(value: Any) -> Any:
    """A copy without the nulls of maps, at any depth."""
    if isinstance(value, dict):
        return {field: without_nulls(child) for field, child in value.items() if child is not None}
    if isinstance(value, (list, tuple)):
        return [without_nulls(child) for child in value]
    return value
