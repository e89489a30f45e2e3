"""The status of a Broker, from what was seen and what was done. Pure.

Equal input gives an equal status: no time stands in it but those at which a condition moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from controller.apply import Outcome
from reconcilers.api.broker import Broker, BrokerRow, BrokerStatus
from reconcilers.api.kube import Pod
from reconcilers.desired import names
from reconcilers.desired.broker import registered_address
from reconcilers.desired.files import ignored_settings
from reconcilers.facts import BrokerFacts, NameServerProblem
from reconcilers.status import reasons
from reconcilers.status.conditions import (
    Conditions,
    add_configuration_condition,
    add_invalid_conditions,
    add_pod_conditions,
    add_unmade_conditions,
    named,
)
from reconcilers.status.pods import pod_states, stuck_because


def broker_status(cr: Broker, facts: BrokerFacts, outcome: Outcome, now: datetime) -> BrokerStatus:
    """What there is, with a row also for a broker whose pod does not exist."""
    conditions = Conditions(cr.metadata, cr.status.conditions)
    if isinstance(facts.name_servers, NameServerProblem):
        add_unmade_conditions(conditions, facts.name_servers)
    else:
        wanted = [member.pod for member in names.members(cr)]
        surplus = names.surplus_members(cr, facts.stateful_sets)
        kept = {member.pod for member in surplus}
        pods = [pod for pod in facts.pods if pod.metadata.name not in kept]
        states = pod_states(wanted, pods)
        add_pod_conditions(conditions, "brokers", states, outcome, _held(surplus))
    add_configuration_condition(conditions, ignored_settings(cr, facts.common_config))
    return msgspec.structs.replace(_seen(cr, facts), conditions=conditions.merged(now))


def invalid_status(
    cr: Broker, facts: BrokerFacts, reason: str, message: str, now: datetime
) -> BrokerStatus:
    """What there is of a resource that cannot be acted upon until `message` is heeded."""
    conditions = Conditions(cr.metadata, cr.status.conditions)
    add_invalid_conditions(conditions, reason, message)
    return msgspec.structs.replace(_seen(cr, facts), conditions=conditions.merged(now))


def _seen(cr: Broker, facts: BrokerFacts) -> BrokerStatus:
    by_name = {pod.metadata.name: pod for pod in facts.pods}
    wanted = list(names.members(cr))
    members = [*wanted, *names.surplus_members(cr, facts.stateful_sets)]
    rows = tuple(_row(cr, member, by_name.get(member.pod)) for member in members)
    seen = BrokerStatus(
        observed_generation=cr.metadata.generation,
        size=sum(member.is_master and member.pod in by_name for member in members),
        brokers_total=len(wanted),
        brokers_ready=sum(row.ready for row in rows[: len(wanted)]),
        nodes=_in_order(by_name, (row.name for row in rows)),
        brokers=rows,
    )
    return _with_name_servers(seen, cr, facts)


def _held(surplus: Sequence[names.Member]) -> tuple[str, str] | None:
    if not surplus:
        return None
    sets = named([member.stateful_set for member in surplus])
    return (
        reasons.SCALE_IN_HELD,
        f"the spec does not ask for {sets} any more, but they may hold messages and run on: "
        "consume and move what they hold and delete these StatefulSets, or raise size and "
        "replicaPerGroup again",
    )


def _in_order(pods: Iterable[str], wanted: Iterable[str]) -> tuple[str, ...]:
    place = {name: index for index, name in enumerate(wanted)}
    return tuple(sorted(pods, key=lambda name: (place.get(name, len(place)), name)))


def _with_name_servers(seen: BrokerStatus, cr: Broker, facts: BrokerFacts) -> BrokerStatus:
    found = facts.name_servers
    if isinstance(found, NameServerProblem):
        # What runs goes on with these; and the next reconcile needs the memory.
        return msgspec.structs.replace(
            seen,
            name_servers=cr.status.name_servers,
            name_service=cr.status.name_service,
            name_servers_from=cr.status.name_servers_from,
        )
    return msgspec.structs.replace(
        seen,
        name_servers=found.text,
        name_service=found.name_service,
        name_servers_from=cr.spec.name_servers if found.name_service else "",
    )


def _row(cr: Broker, member: names.Member, pod: Pod | None) -> BrokerRow:
    return BrokerRow(
        name=member.pod,
        group=member.broker_name,
        role="Master" if member.is_master else "Replica",
        broker_id=member.broker_id,
        address=_address(cr, member, pod),
        node=pod.spec.node_name if pod is not None else "",
        ready=pod is not None and pod.ready,
        reason=_reason(pod),
    )


def _address(cr: Broker, member: names.Member, pod: Pod | None) -> str:
    host = registered_address(cr, member)
    if host == "$(POD_IP)":
        host = pod.status.pod_ip if pod is not None else ""
    elif host == "$(HOST_IP)":
        host = pod.status.host_ip if pod is not None else ""
    return f"{host}:{names.BROKER_PORT}" if host else ""


def _reason(pod: Pod | None) -> str:
    if pod is None:
        return "the pod does not exist yet"
    if pod.ready:
        return ""
    if pod.terminating:
        return "the pod is being stopped"
    stuck = stuck_because(pod)
    return stuck.message if stuck is not None else "the pod is starting"
