"""What any Kubernetes object is to us: its identity, its metadata, its bytes. Pure.

A custom resource is decoded to a typed Struct; a child object (StatefulSet, Service ...) stays a
`Snapshot`: typed metadata and the encoded body, decoded to a fresh `Manifest` on demand. So nobody
can change a cached object in place, and a cached StatefulSet costs its JSON bytes, not a dict tree.
"""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

import msgspec

T_co = TypeVar("T_co", covariant=True)

Manifest = dict[str, Any]
"""A child object as we send it: only the fields that we set."""


class Key(msgspec.Struct, frozen=True, order=True):
    """The namespace and name of one object of a kind that is known from the context."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Resource(msgspec.Struct, frozen=True):
    """One kind of the API as requests need it; `group` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """The value of `apiVersion` in manifests of this kind."""
        return f"{self.group}/{self.version}" if self.group else self.version


class ObjectRef(msgspec.Struct, frozen=True):
    """The identity of one namespaced object."""

    resource: Resource
    namespace: str
    name: str

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.namespace}/{self.name}"


class OwnerReference(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who an object belongs to (garbage collection and event routing)."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False

    @property
    def group(self) -> str:
        """The API group: owners are matched by group and kind, never by version."""
        return self.api_version.rpartition("/")[0]


class ObjectMeta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The metadata that decisions read; managedFields are never decoded."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def terminating(self) -> bool:
        """Whether its deletion has begun; finalizers or a grace period may keep it for long."""
        return self.deletion_timestamp is not None

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages this object, if any."""
        return next((owner for owner in self.owner_references if owner.controller), None)


def is_older(version: str, than: str) -> bool:
    """Whether a resource version came before another one of the same kind; False if unknown.

    Comparing them as numbers is allowed since KEP-5504 (comparable resource version).
    """
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)


class HasMetadata(Protocol):
    """Anything a store can hold."""

    @property
    def metadata(self) -> ObjectMeta:
        """The object's metadata."""
        ...


class Snapshot(msgspec.Struct, frozen=True):
    """One observed object: typed metadata, and the body without managedFields."""

    metadata: ObjectMeta
    body: bytes

    def manifest(self) -> Manifest:
        """A fresh decoded copy: changing it changes nobody's cache."""
        decoded: Manifest = msgspec.json.decode(self.body)
        return decoded


class Undecodable(msgspec.Struct, frozen=True):
    """An object that does not fit its type, e.g. stored before its CRD was tightened.

    It is cached like any other, so that its reconciler can report it on its status.
    """

    metadata: ObjectMeta
    error: str
    """One sentence that names the path in the object."""


class Change(msgspec.Struct, Generic[T_co], frozen=True):
    """One cached object before and after: created (no old), changed, or deleted (no new).

    `initial` says that it comes from the first list, that is from a start and not from somebody's
    action: such keys may be handled with low priority.
    """

    key: Key
    old: T_co | None
    new: T_co | None
    initial: bool = False


class Desired(msgspec.Struct, frozen=True):
    """One child object that should exist, as it should be.

    `recreate_for` are paths such as `spec.volumeClaimTemplates`, of fields that the server lets
    nobody change. If nothing but them stands against a change, the object may be deleted and made
    again; what it owns stays, for the new one to adopt.
    """

    resource: Resource
    manifest: Manifest
    recreate_for: tuple[str, ...] = ()
