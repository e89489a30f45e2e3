"""What every custom resource shares: its group and the building blocks of a spec. Pure.

`Meta(...)` constraints are published in the CRD and hold when an object is decoded. What stands in
`extra_json_schema` is published only: the API server refuses it at the next edit, but an object
that was stored earlier still decodes and `validation` says what to change.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from controller.conditions import Condition
from reconcilers.api.claims import SIZE_GIVEN
from reconcilers.api.definition import Rule

GROUP = "rocketmq.apache.org"
VERSION = "v1alpha1"

Opaque = dict[str, Any]
"""A Kubernetes type that is passed through as it is; the API server checks it in the child."""

# What apimachinery's resource.Quantity accepts, as controller-gen publishes it.
QUANTITY_PATTERN = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)

IntOrString = Annotated[int | str, Meta(extra_json_schema={"pattern": QUANTITY_PATTERN})]
"""A quantity: `2`, `"500m"`, `"8Gi"`."""

_QUANTITY = {"x-kubernetes-int-or-string": True, "pattern": QUANTITY_PATTERN}

BY_NAME = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
"""A list whose items are told apart by their name: several appliers may own items of it."""

Conditions = Annotated[
    tuple[Condition, ...],
    Meta(
        description="Ready, Progressing, Degraded, UpToDate; of a Broker also what its files "
        "and sizes need.",
        extra_json_schema={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    ),
]
"""The conditions of a status, one of each type."""


class Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What every status says."""

    observed_generation: Annotated[int, Meta(description="Generation of the spec seen last.")] = 0
    conditions: Conditions = ()
    volume_size: Annotated[
        str, Meta(description="Size of the largest volume; the spec's size may go back to it.")
    ] = ""


# `name` and `value` are spelt out because an unquoted `value: 1` or a missing name would otherwise
# be found only when the pods are applied.
EnvVar = Annotated[
    Opaque,
    Meta(
        extra_json_schema={
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "minLength": 1, "description": "Variable."},
                "value": {
                    "type": "string",
                    "description": "Its value; quote numbers and booleans.",
                },
                "valueFrom": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "description": "Where its value comes from (EnvVarSource).",
                },
            },
        }
    ),
]
"""A Kubernetes EnvVar."""

Volume = Annotated[
    Opaque,
    Meta(
        extra_json_schema={
            "required": ["name"],
            "properties": {
                "name": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 63,
                    "description": "Name of the volume.",
                }
            },
        }
    ),
]
"""A Kubernetes Volume."""

# Spelt out as far as a rule reads it; the rest is kept as it is.
ClaimSpec = Annotated[
    Opaque,
    Meta(
        extra_json_schema={
            "properties": {
                "storageClassName": {
                    "type": "string",
                    "description": "StorageClass; the cluster's default one when absent.",
                },
                "accessModes": {
                    "type": "array",
                    "items": {"type": "string"},
                    "x-kubernetes-list-type": "atomic",
                    "description": "ReadWriteOnce when absent.",
                },
                "resources": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "description": "The size is requests.storage.",
                    "properties": {
                        "requests": {
                            "type": "object",
                            "additionalProperties": _QUANTITY,
                            "description": "The size, under the key storage.",
                        }
                    },
                },
            },
        }
    ),
]
"""A Kubernetes PersistentVolumeClaimSpec."""


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
        str,
        Meta(
            description="Name of the volume; PVCs are called <name>-<pod>.",
            extra_json_schema={"maxLength": 63, "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"},
        ),
    ] = ""
    labels: Annotated[dict[str, str], Meta(description="Labels of the PVCs.")] = {}
    annotations: Annotated[dict[str, str], Meta(description="Annotations of the PVCs.")] = {}


class ClaimTemplate(Spec, frozen=True, kw_only=True):
    """One PersistentVolumeClaim to be made for each pod."""

    metadata: Annotated[ClaimMeta, Meta(description="Name, labels and annotations.")] = ClaimMeta()
    spec: Annotated[ClaimSpec, Meta(description="A PersistentVolumeClaimSpec.")] = {}


StorageMode = Literal["EmptyDir", "HostPath", "StorageClass", "NFS"]
PullPolicy = Literal["Always", "IfNotPresent", "Never"]
ImageLayout = Literal["Stock", "Root"]
RetentionPolicy = Literal["Retain", "Delete"]


NEWEST_POD_TEMPLATE = 1
"""A release that renders pods differently adds a revision and keeps rendering the earlier ones:
an upgrade of the operator restarts nothing until a spec asks for the new one."""


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
    pod_template_revision: Annotated[
        int,
        Meta(
            description="How the operator builds the pods. A new release of the operator changes "
            "no pod: what it would build differently comes as a new revision, and raising this "
            "number rolls the pods to it.",
            ge=1,
            le=NEWEST_POD_TEMPLATE,
        ),
    ] = 1
    host_path: Annotated[
        str,
        Meta(
            description="Absolute directory of the node, for storageMode HostPath.",
            extra_json_schema={"maxLength": 4096},  # PATH_MAX; bounds the cost of the rule on it
        ),
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
        Meta(
            description="What happens to the PVCs when the resource is deleted, and to those of "
            "brokers that leave."
        ),
    ] = "Retain"
    host_network: Annotated[
        bool, Meta(description="Run the pods in the network of their node.")
    ] = False
    resources: Annotated[
        ResourceRequirements,
        Meta(description="CPU and memory; the JVM's memory follows from the memory limit."),
    ] = ResourceRequirements()
    env: Annotated[
        tuple[EnvVar, ...],
        Meta(
            description="Environment variables (EnvVar), e.g. JAVA_OPT_EXT; they win over ours.",
            extra_json_schema=BY_NAME,
        ),
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
        tuple[LocalObjectReference, ...],
        Meta(description="Secrets for pulling the image.", extra_json_schema=BY_NAME),
    ] = ()
    affinity: Annotated[
        Opaque | None, Meta(description="Affinity; replaces the default soft anti-affinity.")
    ] = None
    tolerations: Annotated[tuple[Opaque, ...], Meta(description="Tolerations of the pods.")] = ()
    node_selector: Annotated[dict[str, str], Meta(description="Labels a node must have.")] = {}
    priority_class_name: Annotated[str, Meta(description="PriorityClass of the pods.")] = ""
    service_account_name: Annotated[str, Meta(description="ServiceAccount of the pods.")] = ""


WORKLOAD_RULES = (
    Rule(
        rule="self.storageMode != 'HostPath' || (has(self.hostPath) && "
        "self.hostPath.startsWith('/') && !('..' in self.hostPath.split('/')))",
        message="storageMode HostPath needs hostPath: an absolute directory without '..', "
        "e.g. /data/rocketmq",
    ),
    SIZE_GIVEN,
)
"""Rules on the spec of every kind that has pods."""

NAME_PATTERN = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""Names of Services are DNS-1035 labels, and a dot in the name of a pod breaks its host name."""

MAX_STATEFUL_SET_NAME = 52
"""Pods carry `<StatefulSet>-<hash of 10>` as a label, and a label has at most 63 characters."""
