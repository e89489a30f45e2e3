"""NameService: a group of RocketMQ name servers. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from controller.objects import ObjectMeta, Resource
from reconcilers.api.claims import claim_rules, size_rule
from reconcilers.api.definition import AGE, READY, REASON, Column, Definition, Scale
from reconcilers.api.meta import (
    GROUP,
    MAX_STATEFUL_SET_NAME,
    VERSION,
    WORKLOAD_RULES,
    Status,
    WorkloadSpec,
)

NAME_SERVICE = Resource(GROUP, VERSION, "nameservices", "NameService")

# Without None: it needs a dnsConfig, so such pods could never be created.
DnsPolicy = Literal["ClusterFirst", "ClusterFirstWithHostNet", "Default"]


class NameServiceSpec(WorkloadSpec, frozen=True, kw_only=True):
    """What the user wants."""

    size: Annotated[int, Meta(description="Number of name servers.", ge=1, le=100)]
    name_service_image: Annotated[
        str, Meta(description="Image, e.g. apache/rocketmq:5.3.3.", min_length=1)
    ]
    dns_policy: Annotated[
        DnsPolicy | None,
        Meta(description="DNS policy of the pods; by default the one that fits hostNetwork."),
    ] = None


class NameServerRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One name server as it is now."""

    name: Annotated[str, Meta(description="Pod.")]
    address: Annotated[str, Meta(description="Address that brokers and clients use.")]
    ready: Annotated[bool, Meta(description="Whether it serves.")] = False
    brokers: Annotated[int, Meta(description="Brokers that are registered with it.")] = 0
    up_to_date: Annotated[bool, Meta(description="Whether a restart would change nothing.")] = True


class NameServiceStatus(Status, frozen=True, kw_only=True):
    """What was seen."""

    replicas: Annotated[int, Meta(description="Pods that exist.")] = 0
    ready_replicas: Annotated[int, Meta(description="Pods that serve.")] = 0
    selector: Annotated[str, Meta(description="Label selector of the pods.")] = ""
    name_servers: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses that clients should use; a new name server counts once every "
            "broker is registered with it."
        ),
    ] = ()
    step: Annotated[str, Meta(description="What is done now, or what is waited for.")] = ""
    servers: Annotated[tuple[NameServerRow, ...], Meta(description="One row a name server.")] = ()


class NameService(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The resource."""

    metadata: ObjectMeta
    spec: NameServiceSpec
    status: NameServiceStatus = NameServiceStatus()


_ANOTHER = "create another NameService and let the brokers follow it (nameServiceRef)"

NAME_SERVICE_DEFINITION = Definition(
    resource=NAME_SERVICE,
    struct=NameService,
    description="A group of RocketMQ name servers: brokers register with them and clients ask "
    "them where a topic is.",
    max_name_length=MAX_STATEFUL_SET_NAME,  # the StatefulSet is called the same
    short_names=("rmqns",),
    columns=(
        READY,
        REASON,
        Column(
            name="Size",
            type="integer",
            json_path=".spec.size",
            description="Name servers wanted.",
        ),
        Column(
            name="Ready-Replicas",
            type="integer",
            json_path=".status.readyReplicas",
            description="Name servers that serve.",
        ),
        Column(
            name="Step",
            type="string",
            json_path=".status.step",
            description="What is done now, or what is waited for.",
            priority=1,
        ),
        Column(
            name="Host-Network",
            type="boolean",
            json_path=".spec.hostNetwork",
            description="Whether they use the network of their node.",
            priority=1,
        ),
        AGE,
    ),
    object_rules=(size_rule(_ANOTHER),),
    spec_rules=WORKLOAD_RULES + claim_rules(_ANOTHER),
    scale=Scale(
        spec_path=".spec.size", status_path=".status.replicas", selector_path=".status.selector"
    ),
)
"""How the CRD shows the kind."""
