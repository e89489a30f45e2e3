"""Broker: groups of one master and its replicas that make up a RocketMQ cluster."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from controller.conditions import Condition
from controller.objects import ObjectMeta, Resource
from reconcilers.api.meta import GROUP, VERSION, LocalObjectReference, Opaque, WorkloadSpec

BROKER = Resource(GROUP, VERSION, "brokers", "Broker")

ReplicationMode = Literal["ASYNC", "SYNC"]
ClusterMode = Literal["", "STATIC", "CONTROLLER", "CONTAINER"]
AddressMode = Literal["PodDNS", "PodIP", "HostIP"]

NAME_SERVERS_PATTERN = r"^$|^[A-Za-z0-9.-]+:[0-9]{1,5}(;[A-Za-z0-9.-]+:[0-9]{1,5})*;?$"


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
            pattern=NAME_SERVERS_PATTERN,
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
    scale_pod_name: Annotated[
        str, Meta(description="Pod whose topics and groups a new group starts with.")
    ] = ""
    volumes: Annotated[
        tuple[Opaque, ...],
        Meta(
            description="Volumes; the first one's file broker-common.conf is merged into the "
            "configuration."
        ),
    ] = ()
    address_mode: Annotated[
        AddressMode,
        Meta(description="What brokers register: their DNS name, pod IP or node IP."),
    ] = "PodDNS"
    addresses: Annotated[
        dict[str, str],
        Meta(
            description="Address that clients use, by pod name; wins over addressMode "
            "(brokerIP1 only)."
        ),
    ] = {}


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


class BrokerStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was seen."""

    observed_generation: Annotated[int, Meta(description="Generation of the spec seen last.")] = 0
    conditions: Annotated[
        tuple[Condition, ...], Meta(description="Ready, Progressing, Degraded.")
    ] = ()
    size: Annotated[int, Meta(description="Groups whose master exists.")] = 0
    brokers_total: Annotated[int, Meta(description="Brokers that should run.")] = 0
    brokers_ready: Annotated[int, Meta(description="Brokers that serve and are registered.")] = 0
    name_servers: Annotated[str, Meta(description="Name servers that the brokers use.")] = ""
    nodes: Annotated[tuple[str, ...], Meta(description="Pods.")] = ()
    brokers: Annotated[tuple[BrokerRow, ...], Meta(description="One row a broker.")] = ()


class Broker(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The resource."""

    metadata: ObjectMeta
    spec: BrokerSpec
    status: BrokerStatus = BrokerStatus()
