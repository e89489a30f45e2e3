"""Every request to the API server as a complete value, one function a verb. Pure.

Paths and parameters: https://kubernetes.io/docs/reference/using-api/api-concepts/. A request
carries no credentials: the transport adds them, so a request may be logged and compared.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

import msgspec

from controller.objects import Manifest, ObjectRef, Resource

_JSON = ("Content-Type", "application/json")
# JSON is YAML, and this is the type that every API server since 1.16 takes for server-side apply.
_APPLY = ("Content-Type", "application/apply-patch+yaml")
_MERGE_PATCH = ("Content-Type", "application/merge-patch+json")
_STRATEGIC_MERGE_PATCH = ("Content-Type", "application/strategic-merge-patch+json")
# An unknown field in what we send is a mistake of ours: refused, not silently dropped.
_STRICT = ("fieldValidation", "Strict")


Propagation = Literal["Background", "Foreground", "Orphan"]
"""What becomes of the objects that a deleted one owns: deleted after it, deleted before it (which
is there until then), or kept without owner."""


class HttpRequest(msgspec.Struct, frozen=True):
    """A request without its server and credentials; `query` is not yet encoded, `path` is."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    @property
    def writes(self) -> bool:
        """Whether it changes something: all but GET."""
        return self.method != "GET"


class Selection(msgspec.Struct, frozen=True):
    """Which objects to list and watch: one kind, in one namespace or all, maybe by labels."""

    resource: Resource
    namespace: str | None = None
    label_selector: str = ""


def list_(
    selection: Selection, *, resource_version: str = "", limit: int = 0, continue_: str = ""
) -> HttpRequest:
    """One page of a list.

    `resource_version` "0" is answered from the server's watch cache, "" by a quorum read; it must
    be "" when a page is continued. `limit` 0 asks for everything in one answer.
    """
    return _read_many(
        selection,
        ("resourceVersion", resource_version),
        ("limit", str(limit) if limit else ""),
        ("continue", continue_),
    )


def watch(selection: Selection, *, resource_version: str, timeout_s: int) -> HttpRequest:
    """The changes after `resource_version`, with bookmarks; the server ends it at `timeout_s`."""
    return _read_many(
        selection,
        ("watch", "true"),
        ("allowWatchBookmarks", "true"),
        ("resourceVersion", resource_version),
        ("timeoutSeconds", str(timeout_s)),
    )


def get(ref: ObjectRef) -> HttpRequest:
    """One object, read from the quorum."""
    return HttpRequest("GET", _path(ref.resource, ref.namespace, ref.name))


def apply(
    resource: Resource,
    manifest: Manifest,
    *,
    field_manager: str,
    subresource: str = "",
    dry_run: bool = False,
) -> HttpRequest:
    """Server-side apply: the object comes to have these fields, and we own them.

    With force: a field that somebody else has set becomes ours (kubernetes.io recommends it for
    controllers). The object is the one that the manifest's metadata names.
    """
    metadata = manifest["metadata"]
    path = _path(resource, metadata.get("namespace"), metadata["name"])
    return HttpRequest(
        "PATCH",
        f"{path}/{subresource}" if subresource else path,
        query=(("fieldManager", field_manager), ("force", "true"), _STRICT, *_dry(run=dry_run)),
        headers=(_APPLY,),
        body=msgspec.json.encode(manifest),
    )


def create(
    resource: Resource, manifest: Manifest, *, field_manager: str, dry_run: bool = False
) -> HttpRequest:
    """A new object, in the namespace of the manifest's metadata."""
    return HttpRequest(
        "POST",
        _path(resource, manifest["metadata"].get("namespace")),
        query=(("fieldManager", field_manager), _STRICT, *_dry(run=dry_run)),
        headers=(_JSON,),
        body=msgspec.json.encode(manifest),
    )


def merge_patch(
    ref: ObjectRef, manifest: Manifest, *, uid: str, field_manager: str, strategic: bool = False
) -> HttpRequest:
    """Set these fields, lists as a whole; null removes a field.

    `strategic` (built-in kinds alone): lists by their merge keys, and with `$patch` directives.

    Fields cannot be released by leaving them out later: for what we own for good there is `apply`.
    A uid that is not the object's is answered with 422, for nobody may change it.
    """
    body = manifest | {"metadata": manifest.get("metadata", {}) | {"uid": uid}}
    return HttpRequest(
        "PATCH",
        _path(ref.resource, ref.namespace, ref.name),
        query=(("fieldManager", field_manager), _STRICT),
        headers=(_STRATEGIC_MERGE_PATCH if strategic else _MERGE_PATCH,),
        body=msgspec.json.encode(body),
    )


def delete(
    ref: ObjectRef,
    *,
    uid: str,
    resource_version: str = "",
    propagation: Propagation = "Background",
    grace_s: int | None = None,
) -> HttpRequest:
    """Delete exactly this object; `grace_s` None leaves a pod the grace period of its spec.

    A uid or resource version that is not the object's (any more) is answered with a conflict.
    """
    preconditions = {"uid": uid}
    if resource_version:
        preconditions["resourceVersion"] = resource_version
    options: Manifest = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": propagation,
        "preconditions": preconditions,
    }
    if grace_s is not None:
        options["gracePeriodSeconds"] = grace_s
    path = _path(ref.resource, ref.namespace, ref.name)
    return HttpRequest("DELETE", path, headers=(_JSON,), body=msgspec.json.encode(options))


def evict(ref: ObjectRef, *, uid: str) -> HttpRequest:
    """Delete exactly this pod if its PodDisruptionBudget allows it."""
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"namespace": ref.namespace, "name": ref.name},
        "deleteOptions": {"preconditions": {"uid": uid}},
    }
    path = f"{_path(ref.resource, ref.namespace, ref.name)}/eviction"
    return HttpRequest("POST", path, headers=(_JSON,), body=msgspec.json.encode(eviction))


def _dry(*, run: bool) -> tuple[tuple[str, str], ...]:
    return (("dryRun", "All"),) if run else ()


def _read_many(selection: Selection, *parameters: tuple[str, str]) -> HttpRequest:
    query = (("labelSelector", selection.label_selector), *parameters)
    path = _path(selection.resource, selection.namespace)
    return HttpRequest("GET", path, query=tuple((name, value) for name, value in query if value))


def _path(resource: Resource, namespace: str | None, name: str = "") -> str:
    parts = ["apis", resource.group] if resource.group else ["api"]
    parts.append(resource.version)
    if namespace:
        parts += ["namespaces", namespace]
    parts.append(resource.plural)
    if name:
        parts.append(name)
    return "".join("/" + quote(part, safe="") for part in parts)
