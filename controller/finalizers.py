"""Finalizers of ours: an object with one is not gone before we let it go.

Each write names the version that was read, for the list is written as a whole and others have
finalizers of their own.
"""

from __future__ import annotations

from typing import Protocol

from controller.errors import NotFoundError
from controller.objects import Manifest, ObjectMeta, ObjectRef, Snapshot


class Patcher(Protocol):
    """What is needed of a KubeClient."""

    async def merge_patch(self, ref: ObjectRef, manifest: Manifest, *, uid: str) -> Snapshot:
        """Set these fields of this very object."""
        ...


async def hold(client: Patcher, ref: ObjectRef, metadata: ObjectMeta, name: str) -> str:
    """Add the finalizer; the object's version then. Raises ConflictError if it has changed."""
    if name in metadata.finalizers:
        return metadata.resource_version
    return await _set(client, ref, metadata, (*metadata.finalizers, name))


async def release(client: Patcher, ref: ObjectRef, metadata: ObjectMeta, name: str) -> None:
    """Take the finalizer off; an object that is gone is no error."""
    if name not in metadata.finalizers:
        return
    others = tuple(one for one in metadata.finalizers if one != name)
    try:
        await _set(client, ref, metadata, others)
    except NotFoundError:
        return


async def _set(
    client: Patcher, ref: ObjectRef, metadata: ObjectMeta, finalizers: tuple[str, ...]
) -> str:
    patch: Manifest = {
        "metadata": {
            "finalizers": list(finalizers),
            "resourceVersion": metadata.resource_version,
        }
    }
    patched = await client.merge_patch(ref, patch, uid=metadata.uid)
    return patched.metadata.resource_version
