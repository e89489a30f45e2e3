"""The status of a NameService, from what was seen and what was done. Pure.

Equal input gives an equal status: no time stands in it but those at which a condition moved.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from controller.apply import Outcome
from reconcilers.api.name_service import NameService, NameServiceStatus
from reconcilers.desired import names
from reconcilers.desired.files import ignored_settings
from reconcilers.desired.name_servers import name_server_addresses
from reconcilers.facts import NameServiceFacts
from reconcilers.status.conditions import (
    Conditions,
    add_configuration_condition,
    add_invalid_conditions,
    add_pod_conditions,
)
from reconcilers.status.pods import pod_states


def name_service_status(
    cr: NameService, facts: NameServiceFacts, outcome: Outcome, now: datetime
) -> NameServiceStatus:
    """What there is."""
    wanted = (f"{cr.metadata.name}-{ordinal}" for ordinal in range(cr.spec.size))
    conditions = Conditions(cr.metadata, cr.status.conditions)
    add_pod_conditions(conditions, "name servers", pod_states(wanted, facts.pods), outcome)
    add_configuration_condition(conditions, ignored_settings(cr))
    return msgspec.structs.replace(_seen(cr, facts), conditions=conditions.merged(now))


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
        replicas=len(facts.pods),
        ready_replicas=sum(pod.ready for pod in facts.pods),
        selector=",".join(f"{key}={value}" for key, value in selector.items()),
        name_servers=name_server_addresses(cr, facts.pods),
    )
