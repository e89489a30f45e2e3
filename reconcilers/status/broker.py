"""The status of a Broker, from what was seen and what was done. Pure.

Equal input gives an equal status: no time stands in it but those at which a condition moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from controller.apply import Outcome
from reconcilers import reasons
from reconcilers.api.broker import Broker, BrokerRow, BrokerStatus, ScaleOutRow
from reconcilers.api.kube import Pod
from reconcilers.desired import names
from reconcilers.desired.broker import registered_address
from reconcilers.desired.files import ignored_settings
from reconcilers.facts import BrokerAnswer, BrokerFacts, NameServerProblem, NameServers
from reconcilers.pods import pod_states, stuck_because
from reconcilers.status.conditions import (
    Conditions,
    add_configuration_condition,
    add_invalid_conditions,
    add_pod_conditions,
    add_unmade_conditions,
    add_up_to_date_condition,
    claim_words,
    held_words,
    moving_words,
    opening_words,
    step_words,
)
from reconcilers.status.scale_in import leaving_held, leaving_words, scale_in_rows
from reconcilers.steps.decision import Progress
from reconcilers.steps.members import MemberState, member_states
from reconcilers.steps.obstacles import rounded_lag
from reconcilers.steps.settings import NAME_SERVERS
from reconcilers.steps.storage import growing_words, volume_size
from reconcilers.steps.writes import is_closed

SCALE_OUT_ROWS = 20
"""The first groups; more are counted by those that are not ready."""

CLOSED_WORDS = "it is closed to clients until it has topics and groups"


def broker_status(
    cr: Broker, facts: BrokerFacts, outcome: Outcome, progress: Progress | None, now: datetime
) -> BrokerStatus:
    """What there is, with a row also for a broker whose pod does not exist."""
    conditions = Conditions(cr.metadata, cr.status.conditions)
    allow_restart = cr.spec.allow_restart
    if isinstance(facts.name_servers, NameServerProblem):
        add_unmade_conditions(conditions, facts.name_servers)
    else:
        wanted = [member.pod for member in names.members(cr)]
        surplus = names.surplus_members(cr, facts.stateful_sets)
        kept = {member.pod for member in surplus}
        pods = [pod for pod in facts.pods if pod.metadata.name not in kept]
        held = (
            _empty_masters(cr, facts)
            or claim_words(facts.claims, progress, cr.status.conditions)
            or opening_words(progress)
            or leaving_held(progress)
            or held_words(progress, allow_restart=allow_restart)
        )
        moving = leaving_words(progress) or moving_words(progress) or growing_words(facts.claims)
        states = pod_states(wanted, pods, _closed(cr, facts))
        add_pod_conditions(conditions, "brokers", states, outcome, held, moving)
    add_up_to_date_condition(conditions, progress, allow_restart=allow_restart)
    add_configuration_condition(conditions, ignored_settings(cr, facts.common_config))
    return msgspec.structs.replace(
        _seen(cr, facts, progress),
        conditions=conditions.merged(now),
        step=step_words(progress) if progress is not None else cr.status.step,
        scale_in=scale_in_rows(progress) if progress is not None else cr.status.scale_in,
        scale_out=_scale_out(progress) if progress is not None else cr.status.scale_out,
    )


def _scale_out(progress: Progress) -> tuple[ScaleOutRow, ...]:
    return tuple(
        ScaleOutRow(
            group=row.group,
            source=row.source,
            topics=row.topics,
            topics_missing=row.topics_missing,
            groups=row.groups,
            groups_missing=row.groups_missing,
            message=row.message,
        )
        for row in progress.decision.opening[:SCALE_OUT_ROWS]
    )


def _closed(cr: Broker, facts: BrokerFacts) -> set[str]:
    """The masters that let no client in since their start."""
    return {state.name for state in member_states(cr, facts) if is_closed(state)}


def invalid_status(
    cr: Broker, facts: BrokerFacts, reason: str, message: str, now: datetime
) -> BrokerStatus:
    """What there is of a resource that cannot be acted upon until `message` is heeded."""
    conditions = Conditions(cr.metadata, cr.status.conditions)
    add_invalid_conditions(conditions, reason, message)
    return msgspec.structs.replace(
        _seen(cr, facts, None), conditions=conditions.merged(now), scale_in=cr.status.scale_in
    )


def _seen(cr: Broker, facts: BrokerFacts, progress: Progress | None) -> BrokerStatus:
    by_name = {pod.metadata.name: pod for pod in facts.pods}
    wanted = list(names.members(cr))
    waiting = progress.decision.waiting if progress is not None else _waiting_before(cr)
    rows = tuple(_row(cr, state, waiting.get(state.name, "")) for state in member_states(cr, facts))
    seen = BrokerStatus(
        observed_generation=cr.metadata.generation,
        volume_size=volume_size(facts.claims),
        size=sum(row.broker_id == 0 and row.name in by_name for row in rows),
        brokers_total=len(wanted),
        brokers_ready=sum(row.ready for row in rows[: len(wanted)]),
        brokers_up_to_date=sum(row.up_to_date for row in rows[: len(wanted)]),
        name_servers_acknowledged=_acknowledged(rows, facts),
        nodes=_in_order(by_name, (row.name for row in rows)),
        brokers=rows,
    )
    return _with_name_servers(seen, cr, facts)


def _waiting_before(cr: Broker) -> dict[str, str]:
    return {row.name: row.waiting_for for row in cr.status.brokers}


def _acknowledged(rows: Sequence[BrokerRow], facts: BrokerFacts) -> int:
    found = facts.name_servers
    wanted = found.text if isinstance(found, NameServers) else None
    return sum(row.name_servers == wanted for row in rows)


def _empty_masters(cr: Broker, facts: BrokerFacts) -> tuple[str, str] | None:
    found = [state.refuses_start for state in member_states(cr, facts) if state.refuses_start]
    return (reasons.EMPTY_MASTER, "; ".join(found)) if found else None


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


def _row(cr: Broker, state: MemberState, waiting_for: str) -> BrokerRow:
    member, pod, answer = state.member, state.pod, state.answer
    version, name_servers = "", ""
    if isinstance(answer, BrokerAnswer):
        version = answer.version.removeprefix("V").replace("_", ".")
        name_servers = answer.settings.get(NAME_SERVERS, "")
    return BrokerRow(
        name=member.pod,
        group=member.broker_name,
        role="Master" if member.is_master else "Replica",
        broker_id=member.broker_id,
        address=_address(cr, member, pod),
        node=pod.spec.node_name if pod is not None else "",
        ready=pod is not None and pod.ready and not is_closed(state),
        reason=state.refuses_start or (CLOSED_WORDS if is_closed(state) else _reason(pod)),
        version=version,
        up_to_date=pod is not None and not state.outdated,
        lag_bytes=rounded_lag(state.lag or 0),
        name_servers=name_servers,
        waiting_for=waiting_for,
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
