"""The verbs of an API server in memory: server-side apply with owners of fields.

What it knows: uids, resource versions that move only on change, force, release of a field that its
last owner stops setting, merge keys of the lists that tests use, preconditions on uid and version,
deletion held up by finalizers. What it does not know: schemas and defaulting (give `defaults`),
admission, disruption budgets and other refusals (give `refuse`), generations, grace periods (a pod
goes at once), that force takes a field from its other owners, and garbage collection: dependants
stay, and an object whose dependants are to be orphaned or to go first is only marked until the
test removes it.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from controller.client.projection import snapshot
from controller.client.requests import Propagation
from controller.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    NotFoundError,
)
from controller.objects import Manifest, ObjectRef, Resource, Snapshot

Leaves = dict[tuple[str, ...], Any]
"""A manifest as paths; an item of a merged list is one path element, its key in JSON."""

_HELD_BY: Mapping[Propagation, Sequence[str]] = {
    "Background": (),
    "Foreground": ("foregroundDeletion",),
    "Orphan": ("orphan",),
}
"""The finalizers that the garbage collector removes when it has done what they are for."""

_HARMLESS = ("get", "list", "dry-run")

_KEYS = {
    "containers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ownerReferences": ("uid",),
    "ports": ("port", "containerPort", "protocol"),
    "conditions": ("type",),
}


def no_defaults(_resource: Resource, _manifest: Manifest) -> None:
    """The server adds nothing."""


def accept_all(_verb: str, _ref: ObjectRef, _manifest: Manifest) -> ApiError | None:
    """The server refuses nothing."""


class FakeKubeClient:
    """A KubeClient whose server is a dictionary."""

    def __init__(
        self,
        *,
        defaults: Callable[[Resource, Manifest], None] = no_defaults,
        refuse: Callable[[str, ObjectRef, Manifest], ApiError | None] = accept_all,
    ) -> None:
        self.objects: dict[ObjectRef, Manifest] = {}
        self.calls: list[tuple[str, ObjectRef]] = []
        self.refuse = refuse
        self._defaults = defaults
        self._owned: dict[tuple[ObjectRef, str], set[tuple[str, ...]]] = {}
        self._version = 0

    @property
    def writes(self) -> list[tuple[str, ObjectRef]]:
        """The calls that change something, whether or not they were refused."""
        return [(verb, ref) for verb, ref in self.calls if not verb.startswith(_HARMLESS)]

    def snapshots(self) -> dict[ObjectRef, Snapshot]:
        """Everything, as caches would show it."""
        return {ref: _snapshot(manifest) for ref, manifest in self.objects.items()}

    def put(self, resource: Resource, manifest: Manifest) -> ObjectRef:
        """Place an object that somebody else made."""
        ref = _ref(resource, manifest)
        self._store(ref, manifest)
        return ref

    async def get(self, ref: ObjectRef) -> Snapshot:
        await self._called("get", ref, {})
        return _snapshot(self._existing(ref))

    async def list(
        self, resource: Resource, namespace: str | None, *, label_selector: str = ""
    ) -> builtins.list[Snapshot]:
        await self._called("list", ObjectRef(resource, namespace or "", ""), {})
        wanted = dict(term.split("=") for term in label_selector.split(",") if term)
        return [
            found
            for ref, found in sorted(self.snapshots().items(), key=lambda item: str(item[0]))
            if ref.resource == resource
            and namespace in (None, ref.namespace)
            and wanted.items() <= found.metadata.labels.items()
        ]

    async def create(
        self, resource: Resource, manifest: Manifest, *, dry_run: bool = False
    ) -> Snapshot:
        metadata = manifest["metadata"]
        if "name" not in metadata:
            named = metadata | {"name": metadata["generateName"] + "x7k2p"}
            manifest = manifest | {"metadata": named}
        ref = _ref(resource, manifest)
        await self._called(_verb("create", dry_run), ref, manifest)
        if ref in self.objects:
            raise AlreadyExistsError(f"{ref} already exists", status=409)
        return _snapshot(manifest if dry_run else self._store(ref, manifest))

    async def apply(
        self,
        resource: Resource,
        manifest: Manifest,
        *,
        subresource: str = "",
        field_manager: str | None = None,
        dry_run: bool = False,
    ) -> Snapshot:
        ref = _ref(resource, manifest)
        await self._called(_verb(f"apply {subresource}".strip(), dry_run), ref, manifest)
        before = self.objects.get(ref)
        if before is None and subresource:
            raise NotFoundError(f"{ref} not found", status=404)
        if not subresource:  # seen on kube-apiserver 1.36: a status is written whatever the uid
            _check_uid(manifest["metadata"].get("uid"), before)
        if dry_run:
            return _snapshot(manifest)
        wished = _leaves(manifest)
        for path in [("metadata", "uid"), ("apiVersion",), ("kind",)]:
            wished.pop(path, None)
        owner = (ref, field_manager or "operator")
        others = [paths for key, paths in self._owned.items() if key[0] == ref and key != owner]
        released = self._owned.get(owner, set()) - set(wished) - set().union(*others)
        kept = {p: v for p, v in _leaves(before or {}).items() if p not in released}
        self._owned[owner] = set(wished)
        identity = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"]}
        return _snapshot(self._store(ref, identity | _manifest(kept | wished)))

    async def merge_patch(
        self, ref: ObjectRef, manifest: Manifest, *, uid: str, strategic: bool = False
    ) -> Snapshot:
        await self._called("merge_patch", ref, manifest)
        before = self._existing(ref)
        _check_uid(uid, before)
        patch = _without_directives(manifest) if strategic else manifest
        return _snapshot(self._store(ref, _patched(before, patch)))

    async def annotate(
        self, ref: ObjectRef, *, uid: str, annotations: Mapping[str, str | None]
    ) -> Snapshot:
        return await self.merge_patch(
            ref, {"metadata": {"annotations": dict(annotations)}}, uid=uid
        )

    async def evict(self, ref: ObjectRef, *, uid: str) -> None:
        await self._called("evict", ref, {})
        self._delete(ref, uid)

    async def delete(
        self,
        ref: ObjectRef,
        *,
        uid: str,
        resource_version: str = "",
        propagation: Propagation = "Background",
        grace_s: int | None = None,
    ) -> None:
        await self._called("delete", ref, {})
        self._delete(ref, uid, resource_version, _HELD_BY[propagation])

    def _delete(
        self, ref: ObjectRef, uid: str, version: str = "", held_by: Sequence[str] = ()
    ) -> None:
        if ref not in self.objects:
            return
        found = self.objects[ref]
        metadata = found["metadata"]
        if metadata["uid"] != uid or version not in ("", metadata["resourceVersion"]):
            raise ConflictError("the precondition does not match", status=409)
        finalizers = [*metadata.get("finalizers", ()), *held_by]
        if finalizers:
            dying = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers}
            self._store(ref, found | {"metadata": metadata | dying})
        else:
            self.remove(ref)

    def remove(self, ref: ObjectRef) -> None:
        """Delete an object as somebody else, at once."""
        del self.objects[ref]
        self._owned = {key: paths for key, paths in self._owned.items() if key[0] != ref}

    async def _called(self, verb: str, ref: ObjectRef, manifest: Manifest) -> None:
        self.calls.append((verb, ref))
        await asyncio.sleep(0)
        if error := self.refuse(verb, ref, manifest):
            raise error

    def _existing(self, ref: ObjectRef) -> Manifest:
        try:
            return self.objects[ref]
        except KeyError:
            raise NotFoundError(f"{ref} not found", status=404) from None

    def _store(self, ref: ObjectRef, manifest: Manifest) -> Manifest:
        stored: Manifest = msgspec.json.decode(msgspec.json.encode(manifest))
        self._defaults(ref.resource, stored)
        before = self.objects.get(ref)
        if before is None:
            self._version += 1
            stored["metadata"].setdefault("uid", f"uid-{self._version}")
        else:
            stored["metadata"] |= {
                name: before["metadata"][name]
                for name in ("uid", "resourceVersion")
                if name in before["metadata"]
            }
        if before != stored:
            self._version += 1
            stored["metadata"]["resourceVersion"] = str(self._version)
            self.objects[ref] = stored
        return stored


def _verb(verb: str, dry_run: bool) -> str:
    return f"dry-run {verb}" if dry_run else verb


def _check_uid(uid: str | None, before: Manifest | None) -> None:
    if uid is None:
        return
    if before is None:
        raise ConflictError("uid mismatch: the provided object specified uid", status=409)
    if before["metadata"]["uid"] != uid:
        raise ConflictError("metadata.uid: Invalid value: field is immutable", status=422)


def _without_directives(patch: Any) -> Any:
    """A strategic patch as a plain one, if the only lists in it are those that it replaces."""
    if isinstance(patch, dict):
        return {field: _without_directives(value) for field, value in patch.items()}
    if isinstance(patch, list):
        if patch[:1] != [{"$patch": "replace"}]:
            raise NotImplementedError("strategic merge of lists")
        return patch[1:]
    return patch


def _patched(before: Any, patch: Any) -> Any:
    """A JSON merge patch, https://www.rfc-editor.org/rfc/rfc7386#section-2."""
    if not isinstance(patch, dict):
        return patch
    after = dict(before) if isinstance(before, dict) else {}
    for field, value in patch.items():
        if value is None:
            after.pop(field, None)
        else:
            after[field] = _patched(after.get(field), value)
    return after


def _ref(resource: Resource, manifest: Manifest) -> ObjectRef:
    metadata = manifest["metadata"]
    return ObjectRef(resource, metadata["namespace"], metadata["name"])


def _snapshot(manifest: Manifest) -> Snapshot:
    return snapshot(msgspec.json.encode(manifest))


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Leaves:
    keys = _KEYS.get(path[-1]) if path else None
    if isinstance(value, dict) and value:
        found: Leaves = {}
        for field, child in value.items():
            found |= _leaves(child, (*path, field))
        return found
    if isinstance(value, list) and value and keys:
        found = {}
        for item in value:
            defaulted = {"protocol": "TCP"} | item if path[-1] == "ports" else item
            key = {name: defaulted[name] for name in keys if name in defaulted}
            found |= _leaves(item, (*path, "[" + msgspec.json.encode(key).decode()))
        return found
    return {path: value} if path else {}


def _manifest(leaves: Leaves) -> Manifest:
    root: Manifest = {}
    for path, value in leaves.items():
        node = root
        for field in path[:-1]:
            node = node.setdefault(field, {})
        node[path[-1]] = value if value != {} else {}
    listed: Manifest = _listed(root)
    return listed


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(field.startswith("[{") for field in node):
        return [_listed(child) for child in node.values()]
    return {field: _listed(child) for field, child in node.items()}
