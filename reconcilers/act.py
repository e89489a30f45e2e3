"""Does one step of the gate, and tells how it went. It decides nothing.

A pod is met by its uid alone. What was decided is done in the order that lets a successor go on
after any call: a note stands on the pod before the broker is told, and goes after it was told.
Every write is told as soon as it is a fact, also where the step fails after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from controller.apply import Line
from controller.client.requests import Propagation
from controller.errors import (
    ConflictError,
    DisruptionBudgetError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from controller.objects import Manifest, ObjectRef, Resource, Snapshot
from reconcilers.api.kube import PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from reconcilers.desired import names
from reconcilers.metadata import copy_metadata
from reconcilers.steps.decision import (
    GONE,
    CopyMetadata,
    Done,
    GrowClaim,
    LabelClaim,
    Leaving,
    MoveWrites,
    NoteDrained,
    NoteLeaving,
    NoteWrites,
    Open,
    PushSettings,
    RemoveBroker,
    RemoveReplica,
    Restart,
    RestoreWrites,
    ReturnWrites,
    Step,
    StopWrites,
    WritesMoved,
)
from reconcilers.steps.settings import PERMISSION
from rocketmq.admin import Admin
from rocketmq.errors import RocketmqError


class StepClient(Protocol):
    """What steps need of a KubeClient."""

    async def delete(
        self, ref: ObjectRef, *, uid: str, propagation: Propagation = "Background"
    ) -> None:
        """Delete this very object; gone is fine."""
        ...

    async def evict(self, ref: ObjectRef, *, uid: str) -> None:
        """Evict this very pod; raises DisruptionBudgetError."""
        ...

    async def annotate(
        self, ref: ObjectRef, *, uid: str, annotations: Mapping[str, str | None]
    ) -> Snapshot:
        """Set or (None) remove annotations of this very object."""
        ...

    async def merge_patch(self, ref: ObjectRef, manifest: Manifest, *, uid: str) -> Snapshot:
        """Set these fields of this very object."""
        ...


async def act(
    client: StepClient, admin: Admin, namespace: str, step: Step, *, wrote: Callable[[Line], None]
) -> Done:
    """Do one step. Raises the ApiError of a call that another try may mend.

    `wrote` is told what a cache has to show before the next decision (`controller.written`).
    """
    api = _Api(client, namespace, wrote)
    try:
        if isinstance(step, GrowClaim | LabelClaim):
            await api.patch_claim(step)
        else:
            await _act(api, admin, step)
    except RocketmqError as error:
        return Done(step, str(error))
    except DisruptionBudgetError as error:
        return Done(step, f"a PodDisruptionBudget does not allow it now: {error.message}")
    except (ForbiddenError, InvalidError) as error:
        if not isinstance(step, GrowClaim):
            raise
        return Done(step, error.message)  # the storage's word on it, not a fault of ours
    except (ConflictError, NotFoundError):
        return Done(step, GONE)
    return Done(step)


async def _act(api: _Api, admin: Admin, step: Step) -> None:
    match step:
        case PushSettings(_, address, changes):
            await _push(admin, address, changes)
        case MoveWrites(pod, uid, address, note, permission):
            await api.annotate(pod, uid, note)
            await _push(admin, address, {PERMISSION: permission})
        case NoteWrites(pod, uid, note):
            await api.annotate(pod, uid, note)
        case RestoreWrites(pod, uid, address, permission):
            await _push(admin, address, {PERMISSION: permission})
            await api.annotate(pod, uid, None)
        case Restart(pod, uid, _, evict):
            await api.stop(pod, uid, evict=evict)
        case CopyMetadata() | Open():
            await _open(admin, step)
        case RemoveReplica(stateful_set, uid, _):
            await api.remove(stateful_set, uid)
        case _:
            await _act_on_leaving(api, admin, step)


async def _act_on_leaving(api: _Api, admin: Admin, step: Step) -> None:
    match step:
        case StopWrites(_, address, stateful_set, uid, note, permission):
            await api.note_leaving(stateful_set, uid, note)
            if permission:
                await _push(admin, address, {PERMISSION: permission})
        case ReturnWrites(_, address, stateful_set, uid, note):
            await _push(admin, address, {PERMISSION: note.permission})
            await api.note_leaving(stateful_set, uid, note)
        case NoteLeaving(_, stateful_set, uid, note) | NoteDrained(_, stateful_set, uid, note):
            await api.note_leaving(stateful_set, uid, note)
        case RemoveBroker(_, stateful_set, uid, _):
            await api.remove(stateful_set, uid)


class _Api:
    """The writes of steps in one namespace, each told of when it is done."""

    def __init__(self, client: StepClient, namespace: str, wrote: Callable[[Line], None]) -> None:
        self._client = client
        self._namespace = namespace
        self._wrote = wrote

    async def annotate(self, pod: str, uid: str, note: WritesMoved | None) -> None:
        ref = self._ref(POD, pod)
        text = None if note is None else msgspec.json.encode(note).decode()
        noted = {names.WRITES_MOVED: text}
        self._changed(ref, await self._client.annotate(ref, uid=uid, annotations=noted))

    async def note_leaving(self, stateful_set: str, uid: str, note: Leaving | None) -> None:
        ref = self._ref(STATEFUL_SET, stateful_set)
        text = None if note is None else msgspec.json.encode(note).decode()
        noted = {names.LEAVING: text}
        self._changed(ref, await self._client.annotate(ref, uid=uid, annotations=noted))

    async def patch_claim(self, step: GrowClaim | LabelClaim) -> None:
        ref = self._ref(PERSISTENT_VOLUME_CLAIM, step.claim)
        self._changed(ref, await self._client.merge_patch(ref, _claim_patch(step), uid=step.uid))

    async def stop(self, pod: str, uid: str, *, evict: bool) -> None:
        ref = self._ref(POD, pod)
        if evict:
            await self._client.evict(ref, uid=uid)
        else:
            await self._client.delete(ref, uid=uid)
        self._wrote(Line(ref, "deleted", uid=uid))

    async def remove(self, stateful_set: str, uid: str) -> None:
        """Delete a StatefulSet. It is there until its pod has ended, so that the next one waits."""
        ref = self._ref(STATEFUL_SET, stateful_set)
        await self._client.delete(ref, uid=uid, propagation="Foreground")
        self._wrote(Line(ref, "deleted", uid=uid))

    def _ref(self, resource: Resource, name: str) -> ObjectRef:
        return ObjectRef(resource, self._namespace, name)

    def _changed(self, ref: ObjectRef, now: Snapshot) -> None:
        self._wrote(Line(ref, "changed", version=now.metadata.resource_version))


def _claim_patch(step: GrowClaim | LabelClaim) -> Manifest:
    if isinstance(step, LabelClaim):
        return {"metadata": {"labels": dict(step.labels)}}
    return {"spec": {"resources": {"requests": {"storage": step.size}}}}


async def _open(admin: Admin, step: CopyMetadata | Open) -> None:
    """A step towards clients that may use a closed master."""
    if isinstance(step, CopyMetadata):
        await copy_metadata(admin, step)
    else:
        await _push(admin, step.address, {PERMISSION: step.permission})


async def _push(admin: Admin, address: str, changes: Mapping[str, str]) -> None:
    change = await admin.brokers.update_settings(address, changes)
    if change.not_taken:
        left = ", ".join(f"{key} is {has}" for key, has in sorted(change.not_taken.items()))
        raise RocketmqError(f"the broker did not take the change: {left}", address=address)
