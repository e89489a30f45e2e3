"""The kinds of Kubernetes that we read and write, and what decisions read of them. Pure.

Children are sent as manifests; these Structs are the other direction. They hold only what some
decision reads, so that 5,000 cached pods stay small, and are kept out of the garbage collector:
nothing in them can form a cycle.
"""

from __future__ import annotations

import msgspec

from controller.objects import Manifest, ObjectMeta, Resource
from reconcilers.api.quantity import quantity_bytes

POD = Resource("", "v1", "pods", "Pod")
SERVICE = Resource("", "v1", "services", "Service")
CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap")
PERSISTENT_VOLUME_CLAIM = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
STATEFUL_SET = Resource("apps", "v1", "statefulsets", "StatefulSet")
SECRET = Resource("", "v1", "secrets", "Secret")
POD_DISRUPTION_BUDGET = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")

POD_REVISION = "controller-revision-hash"
"""Label of a pod: the revision of its StatefulSet that it was made of."""
POD_NAME = "statefulset.kubernetes.io/pod-name"
"""Label of a pod that a StatefulSet made: its own name."""


class PodCondition(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """One condition of a pod: PodScheduled, Initialized, ContainersReady, Ready."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class WaitingState(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """Why a container does not run yet: ImagePullBackOff, CrashLoopBackOff, ContainerCreating."""

    reason: str = ""
    message: str = ""


class TerminatedState(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """How a container ended: OOMKilled, Error, Completed."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    finished_at: str | None = None


class ContainerState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """At most one of the two; neither while the container runs."""

    waiting: WaitingState | None = None
    terminated: TerminatedState | None = None


class ContainerStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """One container of a pod as the kubelet sees it."""

    name: str
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self.state.waiting is None and self.state.terminated is None


class PodSpec(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """Where the pod runs; `node_name` is empty until it is scheduled."""

    node_name: str = ""
    host_network: bool = False


class PodStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """What the kubelet reports; the addresses are empty until it does."""

    phase: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    host_ip: str = msgspec.field(default="", name="hostIP")
    conditions: tuple[PodCondition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A pod."""

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def terminating(self) -> bool:
        """Whether its deletion has begun; it may serve on for its whole grace period."""
        return self.metadata.terminating

    @property
    def revision(self) -> str:
        """The revision of its StatefulSet that it was made of."""
        return self.metadata.labels.get(POD_REVISION, "")

    @property
    def ready(self) -> bool:
        """Whether it may be counted on: its condition Ready is True and it is not going away.

        The condition alone stays True for a while after a deletion began.
        """
        return not self.terminating and any(
            condition.type == "Ready" and condition.status == "True"
            for condition in self.status.conditions
        )

    def condition(self, type_: str) -> PodCondition | None:
        """The condition of this type, if the kubelet or the scheduler has set it."""
        return next((c for c in self.status.conditions if c.type == type_), None)


class ClaimCondition(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """One condition of a claim: Resizing, FileSystemResizePending, ControllerResizeError."""

    type: str
    status: str
    message: str = ""
    last_transition_time: str | None = None


class ClaimResources(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a claim asks for."""

    requests: dict[str, int | str] = {}


class ClaimSpec(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The size that a claim asks for."""

    resources: ClaimResources = ClaimResources()


class ClaimStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a claim has; `phase` is Pending, Bound or Lost (its volume does not exist any more)."""

    phase: str = ""
    capacity: dict[str, int | str] = {}
    conditions: tuple[ClaimCondition, ...] = ()


class PersistentVolumeClaim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A claim; its volume may be larger than it asks for."""

    metadata: ObjectMeta
    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()

    @property
    def requested_bytes(self) -> int:
        """The size that it asks for."""
        return quantity_bytes(self.spec.resources.requests.get("storage", 0))

    @property
    def capacity_bytes(self) -> int:
        """The size that it has; 0 until it is bound."""
        return quantity_bytes(self.status.capacity.get("storage", 0))

    def condition(self, type_: str) -> ClaimCondition | None:
        """The condition of this type, if it is True."""
        found = (one for one in self.status.conditions if one.type == type_)
        return next((one for one in found if one.status == "True"), None)


class RetentionPolicy(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """What becomes of the claims."""

    when_deleted: str = "Retain"


class StatefulSetSpec(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """How many pods there should be, and their claims."""

    replicas: int = 1
    volume_claim_templates: tuple[Manifest, ...] = ()
    retention: RetentionPolicy = msgspec.field(
        default=RetentionPolicy(), name="persistentVolumeClaimRetentionPolicy"
    )


class StatefulSetStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """What the StatefulSet controller has seen."""

    observed_generation: int = 0
    replicas: int = 0
    update_revision: str = ""


class StatefulSet(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A StatefulSet; its pods carry the revision that they were made of as a label."""

    metadata: ObjectMeta
    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()

    @property
    def terminating(self) -> bool:
        """Whether its deletion has begun; it may be there until its pods have ended."""
        return self.metadata.terminating

    @property
    def revision(self) -> str:
        """The revision of the template as it is now; empty while its controller lags behind."""
        if self.status.observed_generation < self.metadata.generation:
            return ""
        return self.status.update_revision
