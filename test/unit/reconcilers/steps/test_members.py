from datetime import timedelta

import msgspec
import pytest

from fakes.gate_facts import (
    NOW,
    OLD,
    Seen,
    State,
    a_broker,
    a_pod,
    a_set,
    broker_facts,
    moved,
    outdated,
    seen,
)
from reconcilers.api.kube import PodStatus
from reconcilers.desired import names
from reconcilers.facts import NameServerProblem
from reconcilers.steps.members import (
    HUNG_S,
    OTHER_NAME_SERVERS,
    TEMPLATE_CHANGED,
    MemberState,
    broker_address,
    is_hung,
    learns_name_servers,
    member_states,
    name_server_address,
    noted,
)

MASTER, REPLICA = "broker-0-master-0", "broker-0-replica-1-0"


def state_of(pod: str, **servers: Seen) -> MemberState:
    given = {name.replace("_", "-"): one for name, one in servers.items()}
    states = member_states(a_broker(), broker_facts(a_broker(), given))
    return next(state for state in states if state.name == pod)


def master(one: Seen) -> MemberState:
    return state_of(MASTER, broker_0_master_0=one)


def test_wanted_brokers_come_in_order_and_the_others_after_them() -> None:
    surplus = {"broker-1-master-0": Seen(), "broker-0-replica-2-0": Seen()}
    cr = a_broker(1, 1)
    states = member_states(cr, broker_facts(cr, surplus=surplus))
    assert [(state.name, state.surplus) for state in states] == [
        (MASTER, False),
        (REPLICA, False),
        ("broker-0-replica-2-0", True),
        ("broker-1-master-0", True),
    ]


@pytest.mark.parametrize(
    ("one", "down", "stuck"),
    [
        (Seen(), "", False),
        (seen(silent=True), f"{MASTER} does not answer: no answer within 4 s", False),
        (seen(state="missing"), f"{MASTER} does not exist", False),
        (seen(state="terminating"), f"{MASTER} is stopping", False),
        (seen(state="starting"), f"{MASTER} is not ready yet", False),
        (seen(state="crashing"), f"pod {MASTER} keeps ending", True),
        (seen(state="unscheduled"), f"pod {MASTER} cannot be scheduled", True),
        (seen(state="no image"), f"pod {MASTER} does not get its image", True),
    ],
)
def test_a_broker_counts_only_if_its_pod_is_ready_and_it_answers(
    one: Seen, down: str, stuck: bool
) -> None:
    state = master(one)
    assert state.down.startswith(down)
    assert bool(state.down) is bool(down)
    assert state.stuck is stuck


@pytest.mark.parametrize(
    ("state", "seconds", "hung"),
    [
        ("starting", HUNG_S, True),
        ("starting", HUNG_S - 1, False),
        ("crashing", HUNG_S, True),
        ("ready", 10 * HUNG_S, False),
    ],
)
def test_a_pod_is_hung_when_it_was_unready_for_long(
    state: State, seconds: float, hung: bool
) -> None:
    assert is_hung(a_pod("p", seen(state=state, since_s=seconds)), NOW) is hung


def test_a_pod_of_which_nothing_is_known_is_not_hung() -> None:
    pod = msgspec.structs.replace(a_pod("p", Seen()), status=PodStatus())
    assert is_hung(pod, NOW + timedelta(days=1)) is False


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (Seen(), ""),
        (outdated(), TEMPLATE_CHANGED),
        (outdated(silent=True), TEMPLATE_CHANGED),
        (outdated(state="crashing"), TEMPLATE_CHANGED),
        (outdated(state="terminating"), ""),
        (outdated(state="missing"), ""),
        # While the StatefulSet's controller has not looked at the template nobody knows.
        (outdated(newest=""), ""),
        (seen(version="V4_9_3", name_servers="other:9876"), OTHER_NAME_SERVERS),
        (seen(version="V4_9_3"), ""),
        (seen(version="V4_9_4", name_servers="other:9876"), ""),
        (seen(version="", name_servers="other:9876"), ""),
        (seen(version="V4_9_3", name_servers="other:9876", silent=True), ""),
    ],
)
def test_what_a_restart_would_apply(one: Seen, why: str) -> None:
    assert master(one).outdated == why


def test_name_servers_that_are_not_known_outdate_nobody() -> None:
    problem = NameServerProblem(reason="NameServiceNotFound", message="none")
    servers = {MASTER: seen(version="V4_9_3", name_servers="other:9876")}
    facts = broker_facts(a_broker(), servers, name_servers=problem)
    assert [state.outdated for state in member_states(a_broker(), facts)] == ["", ""]


@pytest.mark.parametrize(
    ("version", "learns"),
    [("V4_9_3", False), ("V4_9_4", True), ("V5_0_0", True), ("V9_0_0", True), ("", True)],
)
def test_brokers_follow_other_name_servers_from_4_9_4_on(version: str, learns: bool) -> None:
    assert learns_name_servers(version) is learns


@pytest.mark.parametrize(
    ("of_master", "of_replica", "lag"),
    [
        (seen(log_end=500), seen(log_end=500), 0),
        (seen(log_end=500), seen(log_end=100), 400),
        (seen(log_end=500), seen(log_end=501), 0),
        (seen(silent=True), Seen(), None),
        (Seen(), seen(silent=True), None),
        (seen(state="missing"), Seen(), None),
    ],
)
def test_how_far_a_replica_is_behind(of_master: Seen, of_replica: Seen, lag: int | None) -> None:
    servers = {"broker_0_master_0": of_master, "broker_0_replica_1_0": of_replica}
    assert state_of(REPLICA, **servers).lag == lag
    assert state_of(MASTER, **servers).lag is None


@pytest.mark.parametrize(
    ("one", "never"),
    [
        (seen(state="no image"), True),
        (seen(state="crashing"), False),
        (Seen(), False),
        (seen(state="missing"), False),
    ],
)
def test_only_a_pod_of_which_no_container_ever_started_never_ran(one: Seen, never: bool) -> None:
    assert master(one).never_ran is never


def test_a_note_outlives_the_operator_that_made_it() -> None:
    given = moved(7)
    pod = a_pod("p", Seen(**given))
    assert noted(pod) == given["note"]
    assert noted(a_pod("p", Seen())) is None


@pytest.mark.parametrize("text", ["", "{}", "yes", '{"since":"yesterday"}'])
def test_a_note_that_nobody_can_read_is_none(text: str) -> None:
    pod = a_pod("p", Seen())
    metadata = msgspec.structs.replace(pod.metadata, annotations={names.WRITES_MOVED: text})
    assert noted(msgspec.structs.replace(pod, metadata=metadata)) is None


@pytest.mark.parametrize(
    ("ip", "broker", "name_server"),
    [
        ("10.0.0.1", "10.0.0.1:10911", "10.0.0.1:9876"),
        ("fd00::1", "[fd00::1]:10911", "[fd00::1]:9876"),
        ("", "", ""),
    ],
)
def test_servers_are_asked_at_the_ip_of_their_pod(ip: str, broker: str, name_server: str) -> None:
    pod = msgspec.structs.replace(a_pod("p", Seen()), status=PodStatus(pod_ip=ip))
    assert (broker_address(pod), name_server_address(pod)) == (broker, name_server)


def test_the_revision_is_unknown_until_the_stateful_set_controller_has_looked() -> None:
    assert a_set("s", Seen(newest=OLD)).revision == OLD
    assert a_set("s", seen(newest="")).revision == ""
