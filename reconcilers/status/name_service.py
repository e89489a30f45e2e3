"""The status of a NameService, from what was seen and what was done. Pure.

Equal input gives an equal status: no time stands in it but those at which a condition moved.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from controller.apply import Outcome
from reconcilers.api.kube import Pod
from reconcilers.api.name_service import NameServerRow, NameService, NameServiceStatus
from reconcilers.desired import names
from reconcilers.desired.files import ignored_settings
from reconcilers.desired.name_servers import name_server_addresses, own_address
from reconcilers.facts import NameServerAnswer, NameServiceFacts
from reconcilers.pods import pod_states
from reconcilers.status.conditions import (
    Conditions,
    add_configuration_condition,
    add_invalid_conditions,
    add_pod_conditions,
    add_up_to_date_condition,
    claim_words,
    held_words,
    moving_words,
    step_words,
)
from reconcilers.steps.decision import Progress
from reconcilers.steps.name_service import registered, wanted_pods
from reconcilers.steps.storage import growing_words, volume_size


def name_service_status(
    cr: NameService,
    facts: NameServiceFacts,
    outcome: Outcome,
    progress: Progress | None,
    now: datetime,
) -> NameServiceStatus:
    """What there is."""
    conditions = Conditions(cr.metadata, cr.status.conditions)
    states = pod_states(wanted_pods(cr), facts.pods)
    held = claim_words(facts.claims, progress, cr.status.conditions) or held_words(
        progress, allow_restart=True
    )
    moving = moving_words(progress) or growing_words(facts.claims)
    add_pod_conditions(conditions, "name servers", states, outcome, held, moving)
    add_up_to_date_condition(conditions, progress, allow_restart=True)
    add_configuration_condition(conditions, ignored_settings(cr))
    return msgspec.structs.replace(
        _seen(cr, facts),
        conditions=conditions.merged(now),
        step=step_words(progress) if progress is not None else cr.status.step,
    )


def invalid_status(
    cr: NameService, facts: NameServiceFacts, reason: str, message: str, now: datetime
) -> NameServiceStatus:
    """What there is of a resource that cannot be acted upon until `message` is heeded."""
    conditions = Conditions(cr.metadata, cr.status.conditions)
    add_invalid_conditions(conditions, reason, message)
    return msgspec.structs.replace(_seen(cr, facts), conditions=conditions.merged(now))


def _seen(cr: NameService, facts: NameServiceFacts) -> NameServiceStatus:
    name = cr.metadata.name
    selector = names.selector(names.NAME_SERVER_COMPONENT, name)
    return NameServiceStatus(
        observed_generation=cr.metadata.generation,
        volume_size=volume_size(facts.claims),
        replicas=len(facts.pods),
        ready_replicas=sum(pod.ready for pod in facts.pods),
        selector=",".join(f"{key}={value}" for key, value in selector.items()),
        name_servers=_counted(cr, facts),
        servers=tuple(_row(cr, pod, facts) for pod in facts.pods),
    )


def _counted(cr: NameService, facts: NameServiceFacts) -> tuple[str, ...]:
    """The addresses that clients may use: those of before, and the new ones that know all."""
    addresses = name_server_addresses(cr, facts.pods)
    known = {
        own_address(cr, pod) for pod in facts.pods if pod.metadata.name in registered(cr, facts)
    }
    counted = tuple(one for one in addresses if one in known or one in cr.status.name_servers)
    # Before the first broker is there, nobody can be told apart.
    return counted or addresses


def _row(cr: NameService, pod: Pod, facts: NameServiceFacts) -> NameServerRow:
    name = pod.metadata.name
    answer = facts.answers.get(name)
    revision = facts.stateful_set.revision if facts.stateful_set is not None else ""
    return NameServerRow(
        name=name,
        address=own_address(cr, pod),
        ready=pod.ready,
        brokers=sum(map(len, answer.brokers.values()))
        if isinstance(answer, NameServerAnswer)
        else 0,
        up_to_date=not revision or pod.revision == revision,
    )
