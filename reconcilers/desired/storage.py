"""Where a pod's logs and data live: its volumes, mounts and claims, for every storageMode. Pure.

The directories are the Go operator's, so that data which it left is found: in a PVC, a HostPath or
an emptyDir alike `logs/<StatefulSet>` and `store/<StatefulSet>` for a broker; for name servers
`logs` (on a HostPath `logs/<pod>`, for several may share a node).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from controller.diff import changes
from controller.objects import Desired, Manifest
from reconcilers.api.claims import BETA_CLASS
from reconcilers.api.kube import STATEFUL_SET, PersistentVolumeClaim, StatefulSet
from reconcilers.api.meta import ClaimTemplate, WorkloadSpec
from reconcilers.desired import names

DEFAULT_NAME_SERVER_VOLUME = "namesrv-storage"
DEFAULT_BROKER_VOLUME = "broker-storage"


CLAIM_TEMPLATES = "spec.volumeClaimTemplates"
"""The field of a StatefulSet that can only be changed by making it anew; its pods stay."""


MADE_TOGETHER = timedelta(minutes=1)
"""Claims of a new group are made within seconds of each other."""


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod template gets for the storage of a server."""

    volumes: tuple[Manifest, ...]
    mounts: tuple[Manifest, ...]
    claims: tuple[Manifest, ...]


def home(spec: WorkloadSpec) -> str:
    """The home directory of the server's user in the image."""
    return "/root" if spec.image_layout == "Root" else "/home/rocketmq"


def name_server_storage(spec: WorkloadSpec, cr_name: str) -> Storage:
    """Logs and the KV configuration (orders of topics) of a name server."""
    volume = _volume_name(spec, DEFAULT_NAME_SERVER_VOLUME)
    per_pod = spec.storage_mode == "HostPath"
    mounts = tuple(
        {
            "name": volume,
            "mountPath": f"{home(spec)}/{directory}",
            **({"subPathExpr": f"{directory}/$(POD_NAME)"} if per_pod else {"subPath": directory}),
        }
        for directory in ("logs", "namesrv")
    )
    labels = names.labels(names.NAME_SERVER_COMPONENT, cr_name)
    return _storage(spec, volume, mounts, labels)


def broker_storage(spec: WorkloadSpec, cr_name: str, member: names.Member) -> Storage:
    """Logs and store of a broker."""
    volume = _volume_name(spec, DEFAULT_BROKER_VOLUME)
    mounts = tuple(
        {
            "name": volume,
            "mountPath": f"{home(spec)}/{directory}",
            "subPath": f"{directory}/{member.stateful_set}",
        }
        for directory in ("logs", "store")
    )
    labels = {
        **names.labels(names.BROKER_COMPONENT, cr_name),
        **names.member_selector(cr_name, member),
    }
    return _storage(spec, volume, mounts, labels)


def in_safe_steps(
    desired: Iterable[Desired], sets: Iterable[StatefulSet], claims: Iterable[PersistentVolumeClaim]
) -> list[Desired]:
    """The same, where no StatefulSet that owns claims is made anew.

    Other claim templates can only be had by deleting the StatefulSet, its pods and claims orphaned
    by the garbage collector. It would delete a claim whose owner it finds gone. So with
    whenDeleted: Delete the claims are let go first: as long as one is owned, the templates stay.
    So do they where the StatefulSet is not to be made anew for them.
    """
    there = {one.metadata.name: one for one in sets}
    owners = {owner.uid for claim in claims for owner in claim.metadata.owner_references}
    return [
        _in_safe_steps(one, there[name], owners)
        if one.resource == STATEFUL_SET and (name := one.manifest["metadata"]["name"]) in there
        else one
        for one in desired
    ]


def _in_safe_steps(desired: Desired, live: StatefulSet, owners: Collection[str]) -> Desired:
    wanted = desired.manifest["spec"].get("volumeClaimTemplates", [])
    has = list(live.spec.volume_claim_templates)
    if not _differ(wanted, has):
        return desired
    if CLAIM_TEMPLATES not in desired.recreate_for:
        return _with(desired, {"volumeClaimTemplates": has})
    policy = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    owned = live.spec.retention.when_deleted == "Delete" or live.metadata.uid in owners
    return _with(
        desired,
        {
            "persistentVolumeClaimRetentionPolicy": policy,
            "volumeClaimTemplates": has if owned else wanted,
        },
    )


def _with(desired: Desired, fields: Manifest) -> Desired:
    spec = desired.manifest["spec"] | fields
    return msgspec.structs.replace(desired, manifest=desired.manifest | {"spec": spec})


def _differ(wanted: list[Manifest], has: list[Manifest]) -> bool:
    return len(wanted) != len(has) or bool(
        changes({"spec": {"volumeClaimTemplates": wanted}}, {"spec": {"volumeClaimTemplates": has}})
    )


def replaced_masters(
    members: Iterable[names.Member], claims: Mapping[str, PersistentVolumeClaim]
) -> tuple[str, ...]:
    """The groups whose master has a newer claim than a replica: a volume of theirs was lost.

    `claims` are by pod.
    """
    masters: dict[str, datetime] = {}
    replicas: dict[str, datetime] = {}
    for member in members:
        claim = claims.get(member.pod)
        if claim is not None and claim.metadata.creation_timestamp is not None:
            made = datetime.fromisoformat(claim.metadata.creation_timestamp)
            known = masters if member.is_master else replicas
            known[member.broker_name] = min(made, known.get(member.broker_name, made))
    return tuple(
        group
        for group, made in masters.items()
        if group in replicas and made - replicas[group] > MADE_TOGETHER
    )


def claim_size(spec: WorkloadSpec) -> str:
    """The size of each claim, a quantity; empty where there are none. `spec` has no problems."""
    if spec.storage_mode not in ("StorageClass", "NFS"):
        return ""
    return str(spec.volume_claim_templates[0].spec["resources"]["requests"]["storage"])


def broker_claims(spec: WorkloadSpec, pods: Iterable[str]) -> dict[str, str]:
    """The name of the claim of each pod, by pod; empty where there are none."""
    return _claims(spec, pods, DEFAULT_BROKER_VOLUME)


def name_server_claims(spec: WorkloadSpec, pods: Iterable[str]) -> dict[str, str]:
    """The name of the claim of each pod, by pod; empty where there are none."""
    return _claims(spec, pods, DEFAULT_NAME_SERVER_VOLUME)


def _claims(spec: WorkloadSpec, pods: Iterable[str], default: str) -> dict[str, str]:
    if spec.storage_mode not in ("StorageClass", "NFS"):
        return {}
    return {pod: f"{_volume_name(spec, default)}-{pod}" for pod in pods}


def _storage(
    spec: WorkloadSpec, volume: str, mounts: tuple[Manifest, ...], labels: dict[str, str]
) -> Storage:
    match spec.storage_mode:
        case "EmptyDir":
            volumes: tuple[Manifest, ...] = ({"name": volume, "emptyDir": {}},)
            claims: tuple[Manifest, ...] = ()
        case "HostPath":
            host_path = {"path": spec.host_path, "type": "DirectoryOrCreate"}
            volumes, claims = ({"name": volume, "hostPath": host_path},), ()
        case "StorageClass" | "NFS":
            volumes, claims = (), (_claim(spec.volume_claim_templates[0], volume, labels),)
    return Storage(volumes=volumes, mounts=mounts, claims=claims)


def _volume_name(spec: WorkloadSpec, default: str) -> str:
    templates = spec.volume_claim_templates
    return (templates[0].metadata.name if templates else "") or default


def _claim(template: ClaimTemplate, volume: str, labels: dict[str, str]) -> Manifest:
    annotations = dict(template.metadata.annotations)
    beta_class = annotations.pop(BETA_CLASS, None)
    spec = {"accessModes": ["ReadWriteOnce"], **template.spec}
    if beta_class is not None:
        spec.setdefault("storageClassName", beta_class)
    metadata: Manifest = {"name": volume, "labels": {**template.metadata.labels, **labels}}
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": spec}
