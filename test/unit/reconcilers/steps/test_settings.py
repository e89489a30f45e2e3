from typing import Any

import pytest

from fakes.gate_facts import NAME_SERVERS, Seen, a_broker, broker_facts, seen
from reconcilers.facts import NameServerProblem
from reconcilers.steps.decision import PushSettings
from reconcilers.steps.members import member_states
from reconcilers.steps.settings import pushes

MASTER, REPLICA = "broker-0-master-0", "broker-0-replica-1-0"
LIVE = {"deleteWhen": "04", "traceOn": "true"}


def pushed(
    servers: dict[str, Seen], spec: dict[str, Any] | None = None, **facts: Any
) -> dict[str, dict[str, str]]:
    """What each broker is told, by pod; those that are told nothing are left out."""
    cr = a_broker(**(spec or {}))
    found = broker_facts(cr, servers, **facts)
    told = pushes(cr, found, member_states(cr, found))
    return {step.pod: dict(step.changes) for step in told}


def test_a_broker_that_does_what_it_should_is_told_nothing() -> None:
    assert pushed({MASTER: seen(settings=LIVE)}) == {}


@pytest.mark.parametrize(
    ("has", "spec", "told"),
    [
        ({"deleteWhen": "05"}, {}, {"deleteWhen": "04"}),
        ({"deleteWhen": "04"}, {"config": {"deleteWhen": "05"}}, {"deleteWhen": "05"}),
        # Its version does not have this key.
        ({"deleteWhen": "04"}, {"config": {"traceOn": "false"}}, {}),
        # It writes values in its own way.
        ({"diskMaxUsedSpaceRatio": "75.0", "traceOn": "TRUE"}, {}, {}),
    ],
)
def test_a_broker_is_told_what_differs(
    has: dict[str, str], spec: dict[str, Any], told: dict[str, str]
) -> None:
    assert pushed({MASTER: seen(settings=has)}, spec) == ({MASTER: told} if told else {})


@pytest.mark.parametrize(
    "one",
    [
        seen(silent=True, settings={"deleteWhen": "05"}),
        seen(state="terminating", settings={"deleteWhen": "05"}),
        seen(state="missing"),
        seen(state="starting"),
    ],
)
def test_a_broker_that_cannot_be_asked_is_told_nothing(one: Seen) -> None:
    assert pushed({MASTER: one}) == {}


def test_every_broker_is_told_by_its_own_address() -> None:
    cr = a_broker()
    other = {name: seen(settings={"deleteWhen": "05"}) for name in (MASTER, REPLICA)}
    facts = broker_facts(cr, other)
    assert list(pushes(cr, facts, member_states(cr, facts))) == [
        PushSettings(name, f"ip-of-{name}:10911", {"deleteWhen": "04"}) for name in other
    ]


def test_a_broker_that_is_not_wanted_any_more_is_told_as_well() -> None:
    cr = a_broker(1, 0)
    other = seen(name_servers="left:9876")
    facts = broker_facts(cr, surplus={REPLICA: other})
    told = list(pushes(cr, facts, member_states(cr, facts)))
    assert [step.pod for step in told] == [REPLICA]


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("V4_9_3", {}),
        ("V4_9_4", {MASTER: {"namesrvAddr": NAME_SERVERS.text}}),
        ("V5_3_3", {MASTER: {"namesrvAddr": NAME_SERVERS.text}}),
        ("", {MASTER: {"namesrvAddr": NAME_SERVERS.text}}),
    ],
)
def test_other_name_servers_are_told_from_4_9_4_on(
    version: str, told: dict[str, dict[str, str]]
) -> None:
    assert pushed({MASTER: seen(version=version, name_servers="left:9876")}) == told


def test_name_servers_that_are_not_known_are_not_told() -> None:
    problem = NameServerProblem(reason="NameServiceNotReady", message="none yet")
    servers = {MASTER: seen(name_servers="left:9876", settings={"deleteWhen": "05"})}
    told = pushed(servers, name_servers=problem)
    assert told == {MASTER: {"deleteWhen": "04"}}
