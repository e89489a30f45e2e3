"""What is done about the claims of a resource's pods: growth, and what to say when it fails. Pure.

A claim that asks for less than the spec is grown at once, whatever its server does: a disk that is
full keeps the server from starting. One that asks for more was grown by somebody else and stays.
Nothing here deletes or replaces a claim: a volume that is lost is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from reconcilers import reasons
from reconcilers.api.kube import PersistentVolumeClaim, Pod
from reconcilers.api.meta import WorkloadSpec
from reconcilers.api.quantity import quantity_bytes
from reconcilers.desired import names
from reconcilers.desired.storage import claim_size
from reconcilers.steps.decision import GONE, Done, GrowClaim, LabelClaim

ONLINE_WITHIN_S = 120.0
"""A kubelet whose driver can grow a file system in use has done it by then."""

GROWS_AT_START = "its volume grows at the next start"

_ERRORS = ("ControllerResizeError", "NodeResizeError")

Claims = Mapping[str, PersistentVolumeClaim]
"""The claims that there are, by pod."""


def grow_at_start(claims: Claims, pods: Iterable[Pod], now: datetime) -> frozenset[str]:
    """The pods whose file system does not grow while they run.

    A pod that was made since the claim began to wait has had its start: another one would not help.
    """
    return frozenset(
        pod.metadata.name
        for pod in pods
        if pod.metadata.name in claims
        and _waits_for_start(claims[pod.metadata.name], pod.metadata.creation_timestamp, now)
    )


def claim_steps(
    spec: WorkloadSpec, labels: Mapping[str, str], claims: Claims
) -> Iterator[GrowClaim | LabelClaim]:
    """What each claim has to be told. `labels` are those of everything made for the resource."""
    size = claim_size(spec)
    for pod, claim in claims.items():
        metadata = claim.metadata
        if metadata.terminating:
            continue
        if not names.is_ours(metadata.labels):
            yield LabelClaim(pod, metadata.name, metadata.uid, labels)
        if size and claim.status.phase == "Bound" and claim.requested_bytes < quantity_bytes(size):
            yield GrowClaim(pod, metadata.name, metadata.uid, size)


def volume_size(claims: Claims) -> str:
    """The size of the largest volume, as its claim says it; empty while there is none."""
    largest = max(claims.values(), key=lambda claim: claim.capacity_bytes, default=None)
    return str(largest.status.capacity.get("storage", "")) if largest is not None else ""


def growing_words(claims: Claims) -> tuple[str, str] | None:
    """What grows at present without anybody's help, as reason and message."""
    growing = [
        f"{claim.metadata.name} from {_has(claim)} to {_asks(claim)}"
        for claim in claims.values()
        if _grows(claim) and not _failure(claim)
    ]
    if not growing:
        return None
    return reasons.GROWING_VOLUMES, f"volumes that grow: {_listed(growing)}"


def claim_trouble(claims: Claims, done: Iterable[Done]) -> tuple[str, str] | None:
    """What somebody has to do about a claim, as reason and message; the worst first."""
    lost = [
        f"the volume of {claim.metadata.name} does not exist any more: restore it, or give up what "
        f"it held and delete the claim and pod {pod}, which then starts with an empty one"
        for pod, claim in claims.items()
        if claim.status.phase == "Lost"
    ]
    if lost:
        return reasons.VOLUME_LOST, _listed(lost)
    refused = [
        f"{one.step.claim} was not allowed to grow to {one.step.size}: {one.failure.rstrip('.')}"
        for one in done
        if isinstance(one.step, GrowClaim) and one.failure and one.failure != GONE
    ]
    failed = [
        f"{claim.metadata.name} does not grow from {_has(claim)} to {_asks(claim)}: {failure}"
        for claim in claims.values()
        if (failure := _failure(claim))
    ]
    if not refused and not failed:
        return None
    advice = (
        "it is tried again: let the StorageClass allow it (allowVolumeExpansion, if its driver can "
        "grow volumes) or raise the quota, or put the size in the spec back"
        if refused
        else "the driver tries again by itself: look at the claim's events"
    )
    return reasons.VOLUME_NOT_GROWN, f"{_listed([*refused, *failed])}; {advice}"


def _waits_for_start(claim: PersistentVolumeClaim, pod_made: str | None, now: datetime) -> bool:
    pending = claim.condition("FileSystemResizePending")
    if pending is None or not pending.last_transition_time or not pod_made or not _grows(claim):
        return False
    since = datetime.fromisoformat(pending.last_transition_time)
    online = now - since < timedelta(seconds=ONLINE_WITHIN_S)
    return not online and datetime.fromisoformat(pod_made) <= since


def _grows(claim: PersistentVolumeClaim) -> bool:
    return claim.status.phase == "Bound" and claim.capacity_bytes < claim.requested_bytes


def _failure(claim: PersistentVolumeClaim) -> str:
    """Why a claim does not grow, in the words of who tries; empty: it grows, or need not."""
    found = (claim.condition(error) for error in _ERRORS)
    failed = next((one for one in found if one is not None), None)
    if failed is None or not _grows(claim):
        return ""
    return failed.message.strip().rstrip(".") or failed.type


def _has(claim: PersistentVolumeClaim) -> str:
    return str(claim.status.capacity.get("storage", "nothing"))


def _asks(claim: PersistentVolumeClaim) -> str:
    return str(claim.spec.resources.requests.get("storage", ""))


def _listed(words: list[str], limit: int = 3) -> str:
    more = len(words) - limit
    return "; ".join(words[:limit]) + (f"; and {more} more" if more > 0 else "")
