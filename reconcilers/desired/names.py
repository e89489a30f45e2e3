"""Every name, label, port and path of what is made for a resource, in one place. Pure.

Names of the two kinds cannot meet although a NameService and a Broker may be called the same:
what a NameService owns is called `<name>`, `<name>-headless` and `<name>-name-servers`, what a
Broker owns `<name>-brokers`, `<name>-<group>`, `<name>-<group>-master` or
`<name>-<group>-replica-<n>`. Pods and PVCs are called as the Go operator calls them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from reconcilers.api.broker import Broker

NAME_SERVER_PORT = 9876
BROKER_PORT = 10911
BROKER_VIP_PORT = 10909
"""RocketMQ derives it: the port less two."""
BROKER_HA_PORT = 10912
"""RocketMQ 4.x derives it: the port plus one."""

OUR_LABEL_PREFIX = "rocketmq.apache.org"
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "rocketmq-operator"
OURS_SELECTOR = f"{MANAGED_BY}={MANAGER}"
"""Selects every object that is made for any resource."""
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
NAME_SERVER_COMPONENT = "name-server"
BROKER_COMPONENT = "broker"
GROUP_LABEL = f"{OUR_LABEL_PREFIX}/broker-group"
BROKER_ID_LABEL = f"{OUR_LABEL_PREFIX}/broker-id"
ROLE_LABEL = f"{OUR_LABEL_PREFIX}/broker-role"
CONFIG_HASH = f"{OUR_LABEL_PREFIX}/config-hash"
"""Annotation of a pod template: what the pod's configuration is, without the name servers."""

WRITES_MOVED = f"{OUR_LABEL_PREFIX}/writes-moved"
"""Annotation of a master's pod: producers were sent to other groups (`steps.decision`)."""
LEAVING = f"{OUR_LABEL_PREFIX}/leaving"
"""Annotation of a master's StatefulSet: its group leaves the cluster (`steps.scale_in`)."""
FORCE_SCALE_IN = f"{OUR_LABEL_PREFIX}/force-scale-in"
"""Annotation of a resource: `true` removes groups with whatever they still hold."""
PAUSED = f"{OUR_LABEL_PREFIX}/paused"
"""Annotation of a resource: `true` stops every change to what it owns."""
ALLOW_DATA_LOSS = f"{OUR_LABEL_PREFIX}/allow-data-loss"
"""Annotation of a resource: `true` lets a restart lose what storageMode EmptyDir holds."""

NAME_SERVER_CONTAINER = "name-service"
BROKER_CONTAINER = "broker"
DIRECTORIES_CONTAINER = "directories"
GUARD_CONTAINER = "store-guard"
"""Of a master: lets it start with an empty store only if no replica holds messages."""

CONFIG_VOLUME = "rocketmq-operator-config"
RUN_VOLUME = "rocketmq-operator-run"
OPERATOR_DIRECTORY = "/opt/rocketmq-operator"
CONFIG_DIRECTORY = f"{OPERATOR_DIRECTORY}/config"
USER_CONFIG_DIRECTORY = f"{OPERATOR_DIRECTORY}/common"
RUN_DIRECTORY = f"{OPERATOR_DIRECTORY}/run"
COMMON_CONFIG_FILE = "broker-common.conf"
"""The file of a Broker's first volume: the Go operator's name for it."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One broker that a Broker resource asks for."""

    group: int
    broker_id: int
    broker_name: str
    """RocketMQ's brokerName: the group."""
    stateful_set: str

    @property
    def is_master(self) -> bool:
        """Whether it is the group's master."""
        return self.broker_id == 0

    @property
    def pod(self) -> str:
        """Its pod."""
        return f"{self.stateful_set}-0"


def group_name(cr_name: str, group: int) -> str:
    """RocketMQ's brokerName of a group; also its PodDisruptionBudget."""
    return f"{cr_name}-{group}"


def members(cr: Broker) -> Iterator[Member]:
    """The brokers in the order in which they are made: each group's master, then its replicas."""
    for group in range(cr.spec.size):
        for broker_id in range(cr.spec.replica_per_group + 1):
            yield _member(cr.metadata.name, group, broker_id)


def surplus_members(cr: Broker, stateful_sets: Iterable[str]) -> list[Member]:
    """Brokers that these StatefulSets run and the spec does not ask for (any more), in order."""
    found = [
        _member(cr.metadata.name, int(match.group(1)), int(match.group(2) or 0))
        for match in map(_member_pattern(cr.metadata.name).fullmatch, stateful_sets)
        if match is not None
    ]
    surplus = [
        member
        for member in found
        if member.group >= cr.spec.size or member.broker_id > cr.spec.replica_per_group
    ]
    return sorted(surplus, key=lambda member: (member.group, member.broker_id))


def leaving_groups(cr: Broker, stateful_sets: Iterable[str]) -> tuple[str, ...]:
    """The brokerNames of the groups that the spec does not ask for any more, in order."""
    surplus = surplus_members(cr, stateful_sets)
    found = (member.broker_name for member in surplus if member.group >= cr.spec.size)
    return tuple(dict.fromkeys(found))


def _member_pattern(cr_name: str) -> re.Pattern[str]:
    number = r"(0|[1-9]\d*)"
    return re.compile(rf"{re.escape(cr_name)}-{number}-(?:master|replica-([1-9]\d*))", re.ASCII)


def _member(cr_name: str, group: int, broker_id: int) -> Member:
    name = group_name(cr_name, group)
    suffix = f"replica-{broker_id}" if broker_id else "master"
    return Member(
        group=group, broker_id=broker_id, broker_name=name, stateful_set=f"{name}-{suffix}"
    )


def master_of(member: Member) -> Member:
    """The master of this broker's group."""
    cr_name = member.broker_name.rpartition("-")[0]
    return _member(cr_name, member.group, 0)


def cluster_name(cr: Broker, member: Member) -> str:
    """RocketMQ's brokerClusterName."""
    return member.broker_name if cr.spec.cluster_per_group else cr.metadata.name


def name_server_headless(cr_name: str) -> str:
    """The Service that gives each name server its DNS name."""
    return f"{cr_name}-headless"


def name_server_config(cr_name: str) -> str:
    """The ConfigMap, and the PodDisruptionBudget, of a NameService."""
    return f"{cr_name}-name-servers"


def brokers(cr_name: str) -> str:
    """The Service that gives each broker its DNS name, and the ConfigMap, of a Broker."""
    return f"{cr_name}-brokers"


def pod_dns(pod: str, service: str, namespace: str) -> str:
    """A pod's stable DNS name; the search path adds the cluster's domain."""
    return f"{pod}.{service_dns(service, namespace)}"


def service_dns(service: str, namespace: str) -> str:
    """A Service's DNS name; the search path adds the cluster's domain."""
    return f"{service}.{namespace}.svc"


def selector(component: str, cr_name: str) -> dict[str, str]:
    """Labels that the pods of one resource have and no other pods."""
    return {"app.kubernetes.io/name": "rocketmq", INSTANCE: cr_name, COMPONENT: component}


def is_ours(labels: Mapping[str, str]) -> bool:
    """Whether `OURS_SELECTOR` selects an object with these labels."""
    return labels.get(MANAGED_BY) == MANAGER


def labels(component: str, cr_name: str) -> dict[str, str]:
    """Labels of everything that is made for a resource."""
    return {**selector(component, cr_name), MANAGED_BY: MANAGER}


def name_server_pod_labels(cr_name: str) -> dict[str, str]:
    """Labels of a name server's pod; the last two are the Go operator's: users select by them."""
    return {
        **labels(NAME_SERVER_COMPONENT, cr_name),
        "app": "name_service",
        "name_service_cr": cr_name,
    }


def group_selector(cr_name: str, group: int) -> dict[str, str]:
    """Labels that the pods of one group have and no other pods."""
    return {**selector(BROKER_COMPONENT, cr_name), GROUP_LABEL: group_name(cr_name, group)}


def member_selector(cr_name: str, member: Member) -> dict[str, str]:
    """Labels that the pod of one broker has and no other pod.

    Without the role: a selector cannot be changed, and roles move in later cluster modes.
    """
    return {**group_selector(cr_name, member.group), BROKER_ID_LABEL: str(member.broker_id)}


def broker_pod_labels(cr_name: str, member: Member) -> dict[str, str]:
    """Labels of a broker's pod; the last two are the Go operator's: users select by them."""
    return {
        **labels(BROKER_COMPONENT, cr_name),
        **member_selector(cr_name, member),
        ROLE_LABEL: "master" if member.is_master else "replica",
        "app": "broker",
        "broker_cr": cr_name,
    }
