"""What every custom resource shares: its group, conditions, and building blocks of a spec."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

GROUP = "rocketmq.apache.org"
VERSION = "v1alpha1"

Opaque = dict[str, Any]
"""A Kubernetes type that is passed through as it is; the API server checks it in the child."""

IntOrString = Annotated[int | str, Meta(extra_json_schema={"x-kubernetes-int-or-string": True})]
"""A quantity: `2`, `"500m"`, `"8Gi"`."""


class Spec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of every spec type."""


class LocalObjectReference(Spec, frozen=True, kw_only=True):
    """Names an object in the same namespace."""

    name: Annotated[str, Meta(description="Name of the object.", min_length=1)]


class ResourceRequirements(Spec, frozen=True, kw_only=True):
    """CPU and memory of one container."""

    limits: Annotated[
        dict[str, IntOrString], Meta(description="The most that the container may use.")
    ] = {}
    requests: Annotated[
        dict[str, IntOrString], Meta(description="What the scheduler sets aside.")
    ] = {}


class ClaimMeta(Spec, frozen=True, kw_only=True):
    """Metadata of a volume claim template."""

    name: Annotated[
        str, Meta(description="Name of the volume; PVCs are called <name>-<pod>.", max_length=63)
    ] = ""
    labels: Annotated[dict[str, str], Meta(description="Labels of the PVCs.")] = {}
    annotations: Annotated[dict[str, str], Meta(description="Annotations of the PVCs.")] = {}


class ClaimTemplate(Spec, frozen=True, kw_only=True):
    """One PersistentVolumeClaim to be made for each pod."""

    metadata: Annotated[ClaimMeta, Meta(description="Name, labels and annotations.")] = ClaimMeta()
    spec: Annotated[Opaque, Meta(description="A PersistentVolumeClaimSpec.")] = {}


StorageMode = Literal["EmptyDir", "HostPath", "StorageClass", "NFS"]
PullPolicy = Literal["Always", "IfNotPresent", "Never"]
ImageLayout = Literal["Stock", "Root"]
RetentionPolicy = Literal["Retain", "Delete"]


class WorkloadSpec(Spec, frozen=True, kw_only=True):
    """The part of a spec that says how pods run: the same for every kind that has pods."""

    storage_mode: Annotated[
        StorageMode,
        Meta(
            description="Where logs and data live: EmptyDir (lost with the pod), HostPath (a "
            "directory of the node), StorageClass (a PVC for each pod); NFS means StorageClass."
        ),
    ]
    image_pull_policy: Annotated[
        PullPolicy, Meta(description="When the kubelet pulls the image.")
    ] = "IfNotPresent"
    host_path: Annotated[
        str, Meta(description="Absolute directory of the node, for storageMode HostPath.")
    ] = ""
    volume_claim_templates: Annotated[
        tuple[ClaimTemplate, ...],
        Meta(
            description="The first entry is the PVC of each pod for storageMode StorageClass or "
            "NFS; its name is the volume's name in every mode."
        ),
    ] = ()
    pvc_retention_policy: Annotated[
        RetentionPolicy,
        Meta(description="What happens to the PVCs when the resource is deleted."),
    ] = "Retain"
    host_network: Annotated[
        bool, Meta(description="Run the pods in the network of their node.")
    ] = False
    resources: Annotated[
        ResourceRequirements,
        Meta(description="CPU and memory; the JVM's memory follows from the memory limit."),
    ] = ResourceRequirements()
    env: Annotated[
        tuple[Opaque, ...],
        Meta(description="Environment variables (EnvVar), e.g. JAVA_OPT_EXT; they win over ours."),
    ] = ()
    config: Annotated[
        dict[str, str], Meta(description="Keys of the server's configuration file.")
    ] = {}
    image_layout: Annotated[
        ImageLayout,
        Meta(
            description="Stock: the apache/rocketmq images (user 3000, /home/rocketmq). Root: "
            "images of the Go operator (user root, /root)."
        ),
    ] = "Stock"
    termination_grace_period_seconds: Annotated[
        int,
        Meta(description="Seconds a pod gets to shut down cleanly.", ge=60, le=3600),
    ] = 120
    security_context: Annotated[
        Opaque | None, Meta(description="PodSecurityContext; replaces ours field by field.")
    ] = None
    container_security_context: Annotated[
        Opaque | None, Meta(description="SecurityContext; replaces ours field by field.")
    ] = None
    pod_annotations: Annotated[dict[str, str], Meta(description="Annotations of the pods.")] = {}
    image_pull_secrets: Annotated[
        tuple[LocalObjectReference, ...], Meta(description="Secrets for pulling the image.")
    ] = ()
    affinity: Annotated[
        Opaque | None, Meta(description="Affinity; replaces the default soft anti-affinity.")
    ] = None
    tolerations: Annotated[tuple[Opaque, ...], Meta(description="Tolerations of the pods.")] = ()
    node_selector: Annotated[dict[str, str], Meta(description="Labels a node must have.")] = {}
    priority_class_name: Annotated[str, Meta(description="PriorityClass of the pods.")] = ""
    service_account_name: Annotated[str, Meta(description="ServiceAccount of the pods.")] = ""
