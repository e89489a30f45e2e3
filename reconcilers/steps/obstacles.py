"""Why a broker that serves must not be touched now, in words; empty words speak for it. Pure.

Fail closed: each fact that is missing is a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from reconcilers.api.broker import Broker
from reconcilers.desired import names
from reconcilers.facts import BrokerAnswer, BrokerFacts, NameServerProblem, Silence
from reconcilers.rounding import rounded
from reconcilers.steps.members import MemberState, learns_name_servers

CAUGHT_UP_SOON_BYTES = 1 << 20
"""A replica this near to its master is at its end in a moment: producers may be sent away."""

RECONNECTED_S = 45.0
"""After its master's start a replica that does not tell (4.9) is connected: the JVM keeps the old
address of a name for 30 s, and the replica tries every 5 s (dossier 4.4)."""


def obstacle(states: Sequence[MemberState], facts: BrokerFacts) -> str:
    """What speaks against touching any broker at all."""
    if isinstance(facts.name_servers, NameServerProblem):
        return facts.name_servers.message
    found = unknown_template(states) or failing_template(states)
    if found:
        return found
    learning = any(
        _needs_restart_to_learn(state, address)
        for state in states
        for address in facts.name_servers.addresses
    )
    # Name servers wait in their turn until all brokers are known to the new ones.
    if facts.name_service_waits and not learning:
        return f"name servers come first: {facts.name_service_waits}"
    problems = (
        _registration_problem(address, states, facts) for address in facts.name_servers.addresses
    )
    return next(filter(None, problems), "")


def unknown_template(states: Iterable[MemberState]) -> str:
    """Whose StatefulSet has not looked at its template: nobody knows whether its pod is current."""
    for state in states:
        if state.stateful_set is None or not state.stateful_set.revision:
            return f"StatefulSet {state.member.stateful_set} has no current revision yet"
    return ""


def failing_template(states: Iterable[MemberState]) -> str:
    """What is wrong with a pod that has the newest template and does not become ready with it."""
    return next((state.down for state in states if state.stuck and not state.outdated), "")


def _registration_problem(address: str, states: Iterable[MemberState], facts: BrokerFacts) -> str:
    """Why this name server is no proof that all brokers are in place."""
    known = facts.registrations.get(address, Silence("it was not asked"))
    if isinstance(known, Silence):
        return f"name server {address} does not answer: {known.reason}"
    for state in states:
        member = state.member
        known_there = known.lists(member.broker_name, member.broker_id)
        if not state.down and not known_there and not _needs_restart_to_learn(state, address):
            return f"{state.name} is not registered with name server {address}"
    return ""


def _needs_restart_to_learn(state: MemberState, address: str) -> bool:
    """Whether only its restart makes the broker register there."""
    if not state.outdated or not isinstance(state.answer, BrokerAnswer):
        return False
    if learns_name_servers(state.answer.version):
        return False
    return address not in state.answer.settings.get("namesrvAddr", "").split(";")


def behind(replicas: Iterable[MemberState], allowed: int) -> tuple[str, str] | None:
    """The first replica that is further behind its master than allowed, and the words for it."""
    for state in replicas:
        if state.lag is None:
            return state.name, f"waits: it is not known how far {state.name} is behind its master"
        if state.lag > allowed:
            words = lag_words(state.lag)
            return state.name, f"waits: {state.name} is {words} behind its master"
    return None


def lag_words(lag_bytes: int) -> str:
    """How far a replica is behind, in steps: words that follow every message would never rest."""
    mebibytes = rounded_lag(lag_bytes) >> 20
    return f"{mebibytes} MiB or more" if mebibytes else "less than 1 MiB"


def rounded_lag(lag_bytes: int) -> int:
    """The power of two below; nothing under 1 MiB, which a replica under load always is behind."""
    return rounded(lag_bytes) if lag_bytes >= CAUGHT_UP_SOON_BYTES else 0


def unconnected(
    master: MemberState, replicas: Sequence[MemberState], now: datetime
) -> tuple[str, str] | None:
    """The master that its replicas have not found again since it started, and the words for it."""
    answer = master.answer
    if not replicas or not isinstance(answer, BrokerAnswer):
        return None
    if answer.replicas_connected is not None:
        missing = len(replicas) - answer.replicas_connected
    else:
        started_s = answer.boot_time_ms / 1000
        missing = len(replicas) if now.timestamp() - started_s < RECONNECTED_S else 0
    if missing <= 0:
        return None
    return master.name, f"waits: {missing} replicas have not connected to {master.name} yet"


def loss(state: MemberState, group: Sequence[MemberState], cr: Broker) -> str:
    """What a restart would lose without the user's consent."""
    if cr.spec.storage_mode != "EmptyDir" or not state.member.is_master or state.never_ran:
        return ""
    if cr.metadata.annotations.get(names.ALLOW_DATA_LOSS) == "true" and len(group) == 1:
        return ""
    if len(group) > 1:
        return (
            f"storageMode EmptyDir: a restart of {state.name} would lose its messages, and its "
            "replicas would not follow an empty master; use StorageClass for what has to last"
        )
    return (
        f"storageMode EmptyDir: a restart of {state.name} would lose its messages; set the "
        f"annotation {names.ALLOW_DATA_LOSS} to true if that does not matter"
    )
