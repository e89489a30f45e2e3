"""What a Broker should have in the cluster. Pure: equal input gives equal output."""

from __future__ import annotations

import msgspec

from controller.objects import Desired
from reconcilers.api.broker import Broker
from reconcilers.desired import names
from reconcilers.desired.files import (
    GROUP_CONF,
    MASTER_ROLES,
    broker_config_hash,
    broker_files,
    group_conf,
)
from reconcilers.desired.pods import Server, stateful_set
from reconcilers.desired.probes import broker_probes
from reconcilers.desired.services import config_map, disruption_budget, head, headless_service
from reconcilers.desired.storage import broker_storage
from reconcilers.facts import BrokerFacts, NameServerProblem

_PORTS = {
    "main": names.BROKER_PORT,
    "vip": names.BROKER_VIP_PORT,
    "ha": names.BROKER_HA_PORT,
}


def desired(cr: Broker, facts: BrokerFacts) -> list[Desired] | None:
    """The children, in the order in which they are applied: what pods need comes before them.

    None while the name servers are not known: nothing may be made, changed or deleted then.
    A broker that the spec does not ask for any more stays: its messages would be out of reach.
    `cr` has no problems (`validation.problems`, `java.memory_problem`).
    """
    if isinstance(facts.name_servers, NameServerProblem):
        return None
    name = cr.metadata.name
    labels = names.labels(names.BROKER_COMPONENT, name)
    shared = head(cr.metadata, names.brokers(name), labels)
    # To wait here for the end of one that goes would hold up all the others; and to ask for it,
    # with a cache that is behind, would bring it back.
    going = {one.metadata.name for one in facts.sets if one.terminating}
    known = names.surplus_members(cr, facts.stateful_sets)
    surplus = [member for member in known if member.stateful_set not in going]
    members = [*names.members(cr), *surplus]
    config_hash = broker_config_hash(cr, facts.common_config)
    return [
        headless_service(shared, names.selector(names.BROKER_COMPONENT, name), _PORTS),
        config_map(
            shared,
            {**broker_files(cr, facts.name_servers.text), GROUP_CONF: group_conf(cr, facts)},
        ),
        *(_budget(cr, group) for group in sorted({member.group for member in members})),
        *(_stateful_set(cr, member, config_hash) for member in names.members(cr)),
        *(_kept(_stateful_set(cr, member, config_hash)) for member in surplus),
    ]


def _kept(surplus: Desired) -> Desired:
    """Never made anew: nobody would miss it if it were lost in between, but for its messages."""
    return msgspec.structs.replace(surplus, recreate_for=())


def registered_address(cr: Broker, member: names.Member) -> str:
    """What clients are told to connect to; `$(POD_IP)` and `$(HOST_IP)` stand for the pod's."""
    return cr.spec.addresses.get(member.pod) or _own_address(cr, member)


def _own_address(cr: Broker, member: names.Member) -> str:
    """What other brokers connect to, for replication."""
    # The DNS name of a pod with hostNetwork is its node's address, but clients outside the cluster
    # (the reason for hostNetwork) cannot resolve it.
    if cr.spec.address_mode == "HostIP" or cr.spec.host_network:
        return "$(HOST_IP)"
    if cr.spec.address_mode == "PodIP":
        return "$(POD_IP)"
    return names.pod_dns(member.pod, names.brokers(cr.metadata.name), cr.metadata.namespace)


def _budget(cr: Broker, group: int) -> Desired:
    name = cr.metadata.name
    selector = names.group_selector(name, group)
    labels = {**names.labels(names.BROKER_COMPONENT, name), **selector}
    return disruption_budget(head(cr.metadata, names.group_name(name, group), labels), selector)


def _stateful_set(cr: Broker, member: names.Member, config_hash: str) -> Desired:
    name = cr.metadata.name
    selector = names.member_selector(name, member)
    labels = {**names.labels(names.BROKER_COMPONENT, name), **selector}
    return stateful_set(
        head(cr.metadata, member.stateful_set, labels),
        cr.spec,
        _server(cr, member, config_hash),
        replicas=1,
        service=names.brokers(name),
        selector=selector,
    )


def _server(cr: Broker, member: names.Member, config_hash: str) -> Server:
    cr_name = cr.metadata.name
    user_config = str(cr.spec.volumes[0]["name"]) if cr.spec.volumes else ""
    return Server(
        role="broker",
        container=names.BROKER_CONTAINER,
        image=cr.spec.broker_image,
        command=(
            "bash",
            f"{names.CONFIG_DIRECTORY}/start-broker.sh",
            names.CONFIG_DIRECTORY,
            names.RUN_DIRECTORY,
            *((names.USER_CONFIG_DIRECTORY,) if user_config else ()),
        ),
        ports=_PORTS,
        pod_fields=("POD_IP", "HOST_IP"),
        environment=_identity(cr, member),
        config_map=names.brokers(cr_name),
        config_hash=config_hash,
        user_volumes=cr.spec.volumes,
        user_config_volume=user_config,
        storage=broker_storage(cr.spec, cr_name, member),
        guards_store=member.is_master,
        probes=broker_probes(),
        labels=names.broker_pod_labels(cr_name, member),
        spread=names.group_selector(cr_name, member.group),
    )


def _identity(cr: Broker, member: names.Member) -> dict[str, str]:
    """Who the broker is; an empty role is a master's that the user's files may choose."""
    mode = cr.spec.replication_mode
    master = MASTER_ROLES[mode] if mode else ""
    return {
        "BROKER_CLUSTER_NAME": names.cluster_name(cr, member),
        "BROKER_NAME": member.broker_name,
        "BROKER_ID": str(member.broker_id),
        "BROKER_ROLE": master if member.is_master else "SLAVE",
        "BROKER_IP1": registered_address(cr, member),
        "BROKER_IP2": _own_address(cr, member),
    }
