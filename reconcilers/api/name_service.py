"""NameService: a group of RocketMQ name servers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from controller.conditions import Condition
from controller.objects import ObjectMeta, Resource
from reconcilers.api.meta import GROUP, VERSION, WorkloadSpec

NAME_SERVICE = Resource(GROUP, VERSION, "nameservices", "NameService")

DnsPolicy = Literal["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]


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


class NameServiceStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was seen."""

    observed_generation: Annotated[int, Meta(description="Generation of the spec seen last.")] = 0
    conditions: Annotated[
        tuple[Condition, ...], Meta(description="Ready, Progressing, Degraded.")
    ] = ()
    replicas: Annotated[int, Meta(description="Pods that exist.")] = 0
    ready_replicas: Annotated[int, Meta(description="Pods that serve.")] = 0
    selector: Annotated[str, Meta(description="Label selector of the pods.")] = ""
    name_servers: Annotated[
        tuple[str, ...], Meta(description="Addresses that brokers and clients should use.")
    ] = ()


class NameService(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The resource."""

    metadata: ObjectMeta
    spec: NameServiceSpec
    status: NameServiceStatus = NameServiceStatus()
