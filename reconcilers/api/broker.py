"""Broker: groups of one master and its replicas that make up a RocketMQ cluster. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from controller.objects import ObjectMeta, Resource
from reconcilers.api.claims import claim_rules, size_rule
from reconcilers.api.definition import AGE, READY, REASON, Column, Definition, Rule
from reconcilers.api.meta import (
    BY_NAME,
    GROUP,
    MAX_STATEFUL_SET_NAME,
    VERSION,
    WORKLOAD_RULES,
    LocalObjectReference,
    Spec,
    Status,
    Volume,
    WorkloadSpec,
)

BROKER = Resource(GROUP, VERSION, "brokers", "Broker")

ReplicationMode = Literal["ASYNC", "SYNC"]
ClusterMode = Literal["", "STATIC", "CONTROLLER", "CONTAINER"]
AddressMode = Literal["PodDNS", "PodIP", "HostIP"]

# An IPv6 address stands in brackets: the servers split an address at its last colon.
NAME_SERVER_PATTERN = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}"
NAME_SERVERS_PATTERN = rf"^({NAME_SERVER_PATTERN}(;{NAME_SERVER_PATTERN})*;?)?$"


class ScaleIn(Spec, frozen=True, kw_only=True):
    """What a group that leaves need not wait for."""

    ignore_groups: Annotated[
        tuple[str, ...],
        Meta(
            description="Consumer groups whose messages are given up with a broker group that "
            "leaves.",
        ),
    ] = ()
    ignore_topics: Annotated[
        tuple[str, ...],
        Meta(
            description="Topics whose messages are given up with it.",
        ),
    ] = ()
    offline_deadline_seconds: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description="Seconds, from when the broker group took no writes any more, after which "
            "it does not wait for consumer groups of which nobody is connected. Consumers behind "
            "a proxy look as if they were not. Absent: it waits for them.",
        ),
    ] = None


class BrokerSpec(WorkloadSpec, frozen=True, kw_only=True):
    """What the user wants."""

    size: Annotated[int, Meta(description="Number of broker groups.", ge=1, le=1000)]
    broker_image: Annotated[
        str, Meta(description="Image, e.g. apache/rocketmq:5.3.3.", min_length=1)
    ]
    replica_per_group: Annotated[
        int, Meta(description="Replicas (slaves) of each group's master.", ge=0, le=16)
    ] = 0
    name_servers: Annotated[
        str,
        Meta(
            description="Name servers as host:port;host:port. Empty: nameServiceRef, or the only "
            "NameService of the namespace.",
            extra_json_schema={"pattern": NAME_SERVERS_PATTERN, "maxLength": 4096},
        ),
    ] = ""
    name_service_ref: Annotated[
        LocalObjectReference | None,
        Meta(description="The NameService of this namespace to register with."),
    ] = None
    cluster_mode: Annotated[
        ClusterMode, Meta(description="STATIC (the default): fixed masters and replicas.")
    ] = ""
    cluster_per_group: Annotated[
        bool,
        Meta(
            description="Each group is a RocketMQ cluster of its own, called <name>-<group>; "
            "otherwise all groups form the cluster <name>."
        ),
    ] = False
    replication_mode: Annotated[
        ReplicationMode | None,
        Meta(
            description="ASYNC or SYNC replication; when absent the configuration's brokerRole, "
            "or else ASYNC."
        ),
    ] = None
    allow_restart: Annotated[
        bool, Meta(description="Whether the operator may restart pods to apply a change.")
    ] = True
    max_unavailable_groups: Annotated[
        int,
        Meta(
            description="Broker groups that may be restarted at a time; one member of each.",
            ge=1,
            le=100,
        ),
    ] = 1
    route_refresh_seconds: Annotated[
        int,
        Meta(
            description="Seconds that producers get to move to other groups before a master "
            "stops; clients look for routes every 30 s.",
            ge=0,
            le=3600,
        ),
    ] = 60
    scale_pod_name: Annotated[
        str,
        Meta(
            description="Master's pod whose topics and consumer groups a new group gets before "
            "clients may use it. Empty: a master that serves."
        ),
    ] = ""
    scale_in: Annotated[
        ScaleIn,
        Meta(
            description="What broker groups do not wait for when they leave, after size was "
            "lowered."
        ),
    ] = ScaleIn()
    volumes: Annotated[
        tuple[Volume, ...],
        Meta(
            description="Volumes; the first one's file broker-common.conf is merged into the "
            "configuration.",
            extra_json_schema=BY_NAME,
        ),
    ] = ()
    address_mode: Annotated[
        AddressMode,
        Meta(description="What brokers register: their DNS name, pod IP or node IP."),
    ] = "PodDNS"
    addresses: Annotated[
        dict[str, Annotated[str, Meta(min_length=1)]],
        Meta(
            description="Address that clients use, by pod name; wins over addressMode "
            "(brokerIP1 only). Pods that do not exist now may be named as well."
        ),
    ] = msgspec.field(default_factory=dict)


class BrokerRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One broker as it is now."""

    name: Annotated[str, Meta(description="Pod.")]
    group: Annotated[str, Meta(description="brokerName: the group it belongs to.")]
    role: Annotated[str, Meta(description="Master or Replica.")]
    broker_id: Annotated[int, Meta(description="0 for the master.")]
    address: Annotated[str, Meta(description="Address that it registers.")]
    node: Annotated[str, Meta(description="Node that it runs on.")] = ""
    ready: Annotated[bool, Meta(description="Whether it serves and is registered.")] = False
    reason: Annotated[str, Meta(description="Why it is not ready.")] = ""
    version: Annotated[str, Meta(description="RocketMQ's version, as the broker tells it.")] = ""
    up_to_date: Annotated[bool, Meta(description="Whether a restart would change nothing.")] = True
    lag_bytes: Annotated[
        int,
        Meta(
            description="Bytes behind its master, as the power of two below; under 1 MiB it counts "
            "as none."
        ),
    ] = 0
    name_servers: Annotated[
        str, Meta(description="Name servers that it has acknowledged; empty while it is silent.")
    ] = ""
    waiting_for: Annotated[str, Meta(description="What the next step of it waits for.")] = ""


class BacklogRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Messages that keep a group from leaving."""

    topic: Annotated[str, Meta(description="Topic.")]
    group: Annotated[
        str, Meta(description="Consumer group that has not consumed them; empty: none ever did.")
    ] = ""
    messages: Annotated[int, Meta(description="How many, as the power of two below.")] = 0
    online: Annotated[bool, Meta(description="Whether consumers of it are connected.")] = False


class ScaleInRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A broker group that leaves."""

    group: Annotated[str, Meta(description="brokerName.")]
    phase: Annotated[
        str,
        Meta(
            description="Waiting, StoppingWrites, Draining, Verifying (nothing is left, and it is "
            "looked at once more), Removing; Held: somebody has to act."
        ),
    ]
    message: Annotated[str, Meta(description="What is done, or what is waited for.")] = ""
    messages: Annotated[
        int,
        Meta(
            description="Messages that somebody has yet to be given, as the power of two below; "
            "each counts once for each group."
        ),
    ] = 0
    delayed: Annotated[
        int, Meta(description="Of these: delayed and timer messages, as the power of two below.")
    ] = 0
    half: Annotated[
        int, Meta(description="Of these: messages of open transactions, as the power of two below.")
    ] = 0
    dead_letters: Annotated[
        int, Meta(description="Dead letters that nobody read, as the power of two below.")
    ] = 0
    topics: Annotated[
        tuple[BacklogRow, ...], Meta(description="Where most messages wait, ten at most.")
    ] = ()
    more: Annotated[int, Meta(description="Further topics and groups for which some wait.")] = 0


class ScaleOutRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A new group that clients may not use yet."""

    group: Annotated[str, Meta(description="brokerName.")]
    source: Annotated[str, Meta(description="Pod whose topics and groups it gets.")] = ""
    topics: Annotated[int, Meta(description="Topics of the source.")] = 0
    topics_missing: Annotated[int, Meta(description="Those that are missing or differ.")] = 0
    groups: Annotated[int, Meta(description="Consumer groups of the source.")] = 0
    groups_missing: Annotated[int, Meta(description="Those that are missing or differ.")] = 0
    message: Annotated[str, Meta(description="What is done, or what is waited for.")] = ""


class BrokerStatus(Status, frozen=True, kw_only=True):
    """What was seen."""

    size: Annotated[int, Meta(description="Groups whose master exists.")] = 0
    brokers_total: Annotated[int, Meta(description="Brokers that should run.")] = 0
    brokers_ready: Annotated[int, Meta(description="Brokers that serve and are registered.")] = 0
    name_servers: Annotated[str, Meta(description="Name servers that the brokers use.")] = ""
    name_service: Annotated[
        str, Meta(description="NameService that is followed; empty when spec.nameServers is.")
    ] = ""
    name_servers_from: Annotated[
        str, Meta(description="The spec.nameServers that led to nameService.")
    ] = ""
    brokers_up_to_date: Annotated[
        int, Meta(description="Brokers that run with what the spec says now.")
    ] = 0
    name_servers_acknowledged: Annotated[
        int, Meta(description="Brokers that use exactly the name servers that they should.")
    ] = 0
    step: Annotated[str, Meta(description="What is done now, or what is waited for.")] = ""
    scale_in: Annotated[tuple[ScaleInRow, ...], Meta(description="Broker groups that leave.")] = ()
    scale_out: Annotated[
        tuple[ScaleOutRow, ...],
        Meta(
            description="Groups that get topics and consumer groups before clients use them; at "
            "most 20."
        ),
    ] = ()
    nodes: Annotated[tuple[str, ...], Meta(description="Pods.")] = ()
    brokers: Annotated[tuple[BrokerRow, ...], Meta(description="One row a broker.")] = ()


class Broker(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The resource."""

    metadata: ObjectMeta
    spec: BrokerSpec
    status: BrokerStatus = BrokerStatus()


_REPLICA_SUFFIX = len("-replica-")
_MASTER_SUFFIX = len("-master")
_NAME_LIMIT = (
    f"({MAX_STATEFUL_SET_NAME - len('-')} - size(string(self.spec.size - 1)) - "
    f"(self.spec.replicaPerGroup > 0 ? {_REPLICA_SUFFIX} + "
    f"size(string(self.spec.replicaPerGroup)) : {_MASTER_SUFFIX}))"
)


def name_limit(spec: BrokerSpec) -> int:
    """Characters that metadata.name may have, so that every StatefulSet's name is allowed.

    The longest is `<name>-<size - 1>-replica-<replicaPerGroup>`, or `<name>-<size - 1>-master`.
    """
    replicas = spec.replica_per_group
    member = _REPLICA_SUFFIX + len(str(replicas)) if replicas else _MASTER_SUFFIX
    return MAX_STATEFUL_SET_NAME - len("-") - len(str(spec.size - 1)) - member


_MOVE = "create another Broker and move the topics to it"

_RULES = (
    Rule(
        rule="!(has(self.nameServers) && self.nameServers != '' && has(self.nameServiceRef))",
        message="give either nameServers or nameServiceRef, not both",
    ),
    # Brokers that restart with another directory start without the messages that they stored.
    # (An object of the Go operator may hold a mode that never existed; that may be corrected.)
    Rule(
        rule="self.storageMode == oldSelf.storageMode || "
        "[self, oldSelf].all(spec, spec.storageMode in ['StorageClass', 'NFS']) || "
        "!(oldSelf.storageMode in ['EmptyDir', 'HostPath', 'StorageClass', 'NFS'])",
        message="storageMode cannot be changed, for the stored messages stay where they are: "
        + _MOVE,
    ),
    Rule(
        rule="self.storageMode != 'HostPath' || oldSelf.storageMode != 'HostPath' || "
        "(has(self.hostPath) && has(oldSelf.hostPath) && self.hostPath == oldSelf.hostPath)",
        message="hostPath cannot be changed, for the stored messages stay where they are: " + _MOVE,
    ),
    *claim_rules(_MOVE),
)

BROKER_DEFINITION = Definition(
    resource=BROKER,
    struct=Broker,
    description="Groups of one master and its replicas that make up a RocketMQ cluster.",
    max_name_length=MAX_STATEFUL_SET_NAME - len("-0-master"),  # the rule below is exact
    short_names=("rmqb",),
    columns=(
        READY,
        REASON,
        Column(
            name="Size",
            type="integer",
            json_path=".spec.size",
            description="Broker groups wanted.",
        ),
        Column(
            name="Replica-Per-Group",
            type="integer",
            json_path=".spec.replicaPerGroup",
            description="Replicas of each group's master.",
        ),
        Column(
            name="Brokers-Ready",
            type="integer",
            json_path=".status.brokersReady",
            description="Brokers that serve and are registered.",
        ),
        Column(
            name="Brokers",
            type="integer",
            json_path=".status.brokersTotal",
            description="Brokers that should run.",
        ),
        Column(
            name="Up-To-Date",
            type="integer",
            json_path=".status.brokersUpToDate",
            description="Brokers that run with what the spec says now.",
        ),
        Column(
            name="Step",
            type="string",
            json_path=".status.step",
            description="What is done now, or what is waited for.",
            priority=1,
        ),
        Column(
            name="Allow-Restart",
            type="boolean",
            json_path=".spec.allowRestart",
            description="Whether pods may be restarted to apply a change.",
            priority=1,
        ),
        AGE,
    ),
    object_rules=(
        Rule(
            rule=f"size(self.metadata.name) <= {_NAME_LIMIT}",
            message="metadata.name is too long for this size and replicaPerGroup: "
            f"<name>-<group>-replica-<n> may have at most {MAX_STATEFUL_SET_NAME} characters",
        ),
        size_rule(_MOVE),
    ),
    spec_rules=WORKLOAD_RULES + _RULES,
)
"""How the CRD shows the kind."""
