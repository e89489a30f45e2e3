"""Does one step of the gate, and tells how it went. It decides nothing.

A pod is met by its uid alone. What was decided is done in the order that lets a successor go on
after any call: a note stands on the pod before the broker is told, and goes after it was told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from controller.errors import (
    ConflictError,
    DisruptionBudgetError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from controller.objects import Manifest, ObjectRef, Snapshot
from reconcilers.api.kube import PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from reconcilers.desired import names
from reconcilers.steps.decision import (
    GONE,
    Done,
    GrowClaim,
    LabelClaim,
    MoveWrites,
    NoteWrites,
    PushSettings,
    RemoveReplica,
    Restart,
    RestoreWrites,
    Step,
    WritesMoved,
)
from reconcilers.steps.settings import PERMISSION
from rocketmq.admin import Admin
from rocketmq.errors import RocketmqError


class StepClient(Protocol):
    """What steps need of a KubeClient."""

    async def delete(self, ref: ObjectRef, *, uid: str) -> None:
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


async def act(client: StepClient, admin: Admin, namespace: str, step: Step) -> Done:
    """Do one step. Raises the ApiError of a call that another try may mend."""
    try:
        if isinstance(step, GrowClaim | LabelClaim):
            claim = ObjectRef(PERSISTENT_VOLUME_CLAIM, namespace, step.claim)
            await client.merge_patch(claim, _claim_patch(step), uid=step.uid)
        else:
            await _act(client, admin, namespace, step)
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


async def _act(client: StepClient, admin: Admin, namespace: str, step: Step) -> None:
    match step:
        case PushSettings(_, address, changes):
            await _push(admin, address, changes)
        case MoveWrites(pod, uid, address, note, permission):
            await _annotate(client, ObjectRef(POD, namespace, pod), uid, note)
            await _push(admin, address, {PERMISSION: permission})
        case NoteWrites(pod, uid, note):
            await _annotate(client, ObjectRef(POD, namespace, pod), uid, note)
        case RestoreWrites(pod, uid, address, permission):
            await _push(admin, address, {PERMISSION: permission})
            await _annotate(client, ObjectRef(POD, namespace, pod), uid, None)
        case Restart(pod, uid, _, True):
            await client.evict(ObjectRef(POD, namespace, pod), uid=uid)
        case Restart(pod, uid, _, False):
            await client.delete(ObjectRef(POD, namespace, pod), uid=uid)
        case RemoveReplica(stateful_set, uid, _):
            await client.delete(ObjectRef(STATEFUL_SET, namespace, stateful_set), uid=uid)


def _claim_patch(step: GrowClaim | LabelClaim) -> Manifest:
    if isinstance(step, LabelClaim):
        return {"metadata": {"labels": dict(step.labels)}}
    return {"spec": {"resources": {"requests": {"storage": step.size}}}}


async def _annotate(client: StepClient, ref: ObjectRef, uid: str, note: WritesMoved | None) -> None:
    text = None if note is None else msgspec.json.encode(note).decode()
    await client.annotate(ref, uid=uid, annotations={names.WRITES_MOVED: text})


async def _push(admin: Admin, address: str, changes: Mapping[str, str]) -> None:
    change = await admin.brokers.update_settings(address, changes)
    if change.not_taken:
        left = ", ".join(f"{key} is {has}" for key, has in sorted(change.not_taken.items()))
        raise RocketmqError(f"the broker did not take the change: {left}", address=address)
