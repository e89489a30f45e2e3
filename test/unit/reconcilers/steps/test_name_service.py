from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from fakes.gate_facts import (
    NEW,
    NOW,
    Seen,
    a_name_service,
    a_pod,
    name_service_facts,
    outdated,
    seen,
)
from reconcilers.api.kube import PodStatus
from reconcilers.desired import names
from reconcilers.facts import Follower, NameServiceFacts
from reconcilers.steps.decision import Decision, Restart
from reconcilers.steps.members import TEMPLATE_CHANGED
from reconcilers.steps.name_service import (
    BUSY_S,
    IDLE_S,
    decide,
    leaving_waits_for,
    registered,
    replicas,
    unsettled,
)

KNOWS_NOBODY: Mapping[str, Mapping[int, str]] = {}
DNS = "ns-{}.ns-headless.shop.svc:9876"


def addresses(size: int) -> str:
    return ";".join(DNS.format(ordinal) for ordinal in range(size))


def follower(*acknowledged: str, name: str = "broker") -> Follower:
    """With a broker `b`, id by place, for each list of name servers."""
    return Follower(
        name=name,
        brokers=tuple(("b", broker_id) for broker_id in range(len(acknowledged))),
        acknowledged=acknowledged,
    )


def decided(servers: Mapping[str, Seen], size: int = 2, **more: Any) -> Decision:
    spec = {key: more.pop(key) for key in ("annotations",) if key in more}
    return decide(a_name_service(size, **spec), name_service_facts(servers, **more), NOW)


def restarted(decision: Decision) -> list[str]:
    return [step.pod for step in decision.steps]


def test_name_servers_that_are_as_they_should_be_are_left_alone() -> None:
    decision = decided({"ns-0": Seen(), "ns-1": Seen()})
    assert decision == Decision(phase="current", again_after_s=IDLE_S)


def test_one_is_restarted_at_a_time_the_last_one_first() -> None:
    decision = decided({"ns-0": outdated(), "ns-1": outdated()})
    assert decision.steps == (Restart("ns-1", "uid of ns-1", TEMPLATE_CHANGED, evict=True),)
    assert decision.phase == "rolling"
    assert set(decision.outdated) == {"ns-0", "ns-1"}
    assert restarted(decided({"ns-0": outdated(), "ns-1": Seen()})) == ["ns-0"]


@pytest.mark.parametrize(
    ("other", "knows", "why"),
    [
        (seen(state="missing"), None, "ns-1 is not ready"),
        (seen(state="terminating"), None, "ns-1 is not ready"),
        (seen(state="starting"), None, "ns-1 is not ready"),
        (seen(silent=True), None, "ns-1 does not answer: refused"),
        (Seen(), KNOWS_NOBODY, "ns-1 does not know b yet"),
        (Seen(), {"b": {1: "b:1"}}, "ns-1 does not know b yet"),
    ],
)
def test_the_next_one_waits_until_the_others_know_what_any_of_them_knows(
    other: Seen, knows: Mapping[str, Mapping[int, str]] | None, why: str
) -> None:
    """A name server that has just started is empty for up to 30 s."""
    servers = {"ns-0": outdated(), "ns-1": other}
    decision = decided(servers, knows={"ns-1": knows} if knows is not None else None)
    assert (decision.phase, decision.steps) == ("waiting", ())
    assert decision.message == f"waits: {why}"
    assert decision.waiting == {"ns-0": why}
    assert decision.again_after_s == BUSY_S


def test_one_that_does_not_say_what_it_knows_stays() -> None:
    """The other one may have just started: nobody would know that brokers are missing there."""
    servers = {"ns-0": outdated(silent=True), "ns-1": Seen()}
    decision = decided(servers, knows={"ns-1": KNOWS_NOBODY})
    assert (decision.phase, decision.steps) == ("waiting", ())
    assert decision.message == "waits: ns-0 does not answer: refused"


def test_the_only_one_is_restarted_and_its_effect_is_said() -> None:
    decision = decided({"ns-0": outdated()}, 1)
    assert restarted(decision) == ["ns-0"]
    assert "it is the only name server" in decision.message


def test_name_servers_without_brokers_wait_for_none() -> None:
    servers = {"ns-0": outdated(), "ns-1": Seen()}
    nobody = {"ns-0": KNOWS_NOBODY, "ns-1": KNOWS_NOBODY}
    assert restarted(decided(servers, knows=nobody)) == ["ns-0"]


@pytest.mark.parametrize("state", ["crashing", "no image", "unscheduled"])
def test_a_broken_one_goes_first_and_without_the_others(state: Any) -> None:
    servers = {"ns-0": outdated(state=state), "ns-1": outdated(silent=True)}
    decision = decided(servers)
    assert decision.steps == (Restart("ns-0", "uid of ns-0", TEMPLATE_CHANGED, evict=False),)


@pytest.mark.parametrize("other", [outdated(), outdated(state="crashing")])
def test_a_template_that_fails_stops_after_one_pod(other: Seen) -> None:
    decision = decided({"ns-0": other, "ns-1": seen(state="crashing")})
    assert (decision.phase, decision.steps) == ("held", ())
    assert "ns-1" in decision.message


def test_a_hung_one_is_restarted_only_after_long() -> None:
    for seconds, pods in ((299.0, []), (300.0, ["ns-1"])):
        hung = outdated(state="starting", since_s=seconds)
        assert restarted(decided({"ns-0": seen(silent=True), "ns-1": hung})) == pods


def test_paused_means_that_nothing_is_done() -> None:
    decision = decided({"ns-0": outdated()}, 1, annotations={names.PAUSED: "true"})
    assert (decision.phase, decision.steps, set(decision.outdated)) == ("paused", (), {"ns-0"})


def test_nothing_is_done_while_the_template_is_not_understood_yet() -> None:
    decision = decided({"ns-0": outdated(), "ns-1": Seen()}, newest="")
    assert (decision.phase, decision.steps, decision.known) == ("waiting", (), False)
    assert decide(a_name_service(), NameServiceFacts(), NOW).known is False


def test_one_that_is_not_wanted_is_not_restarted() -> None:
    servers = {"ns-0": Seen(), "ns-1": outdated()}
    assert decided(servers, 1, followers=(follower(addresses(2)),)).steps == ()


# What brokers wait for


@pytest.mark.parametrize(
    ("servers", "more", "why"),
    [
        ({"ns-0": Seen(), "ns-1": Seen()}, {}, ""),
        ({"ns-0": outdated(), "ns-1": Seen()}, {}, "ns-0 is to be restarted"),
        ({"ns-0": Seen()}, {}, "ns-1 is not ready"),
        ({"ns-0": Seen(), "ns-1": seen(silent=True)}, {}, "ns-1 does not answer: refused"),
        # Whom it knows is looked at broker by broker: one before 4.9.4 has to restart for it.
        ({"ns-0": Seen(), "ns-1": Seen()}, {"knows": {"ns-1": KNOWS_NOBODY}}, ""),
        (
            {"ns-0": Seen(), "ns-1": Seen()},
            {"newest": ""},
            "StatefulSet ns has no current revision yet",
        ),
        # One that is to leave does not matter.
        ({"ns-0": Seen(), "ns-1": Seen(), "ns-2": outdated(silent=True)}, {}, ""),
    ],
)
def test_brokers_wait_until_their_name_servers_are_settled(
    servers: dict[str, Seen], more: dict[str, Any], why: str
) -> None:
    assert unsettled(a_name_service(2), name_service_facts(servers, **more)) == why


def test_brokers_wait_while_an_edit_of_their_name_servers_has_not_been_looked_at() -> None:
    """An upgrade of both is applied at once, and name servers come first."""
    facts = name_service_facts({"ns-0": Seen(), "ns-1": Seen()})
    assert "was changed" in unsettled(a_name_service(2, observed=0), facts)


# Scaling


@pytest.mark.parametrize(
    ("size", "there", "acknowledged", "wanted"),
    [
        (3, 1, addresses(1), 3),
        (2, 2, addresses(2), 2),
        (1, 2, addresses(1), 1),
        (1, 2, addresses(2), 2),
        (1, 3, addresses(2), 3),
        (1, 2, "", 2),
    ],
)
def test_name_servers_leave_when_no_broker_uses_them(
    size: int, there: int, acknowledged: str, wanted: int
) -> None:
    gone = {f"ns-{ordinal}": KNOWS_NOBODY for ordinal in range(size, there)}
    facts = name_service_facts(
        {f"ns-{ordinal}": Seen() for ordinal in range(there)},
        knows=gone,
        followers=(follower(acknowledged),),
    )
    assert replicas(a_name_service(size), facts) == wanted


def test_a_stateful_set_is_made_with_the_size_of_the_spec() -> None:
    assert replicas(a_name_service(3), NameServiceFacts()) == 3


LEAVING = {"ns-0": Seen(), "ns-1": Seen()}


@pytest.mark.parametrize(
    ("servers", "followers", "knows", "why"),
    [
        (LEAVING, (), KNOWS_NOBODY, ""),
        (LEAVING, (follower(addresses(1)),), KNOWS_NOBODY, ""),
        (LEAVING, (follower(addresses(2)),), KNOWS_NOBODY, "a broker of broker still uses ns-1"),
        (
            LEAVING,
            (follower(addresses(1), addresses(2)),),
            KNOWS_NOBODY,
            "a broker of broker still uses ns-1",
        ),
        (
            LEAVING,
            (follower(addresses(1)), follower(addresses(2), name="other")),
            KNOWS_NOBODY,
            "a broker of other still uses ns-1",
        ),
        (
            LEAVING,
            (follower(addresses(1), ""),),
            KNOWS_NOBODY,
            "not every broker of broker has told which name servers it uses",
        ),
        # It is told so by the brokers, and it has dropped them itself: 5.x does not unregister.
        (
            LEAVING,
            (follower(addresses(1)),),
            {"b": {0: "b:1"}},
            "ns-1 still knows b, which leave it in a while",
        ),
        (LEAVING, (follower(addresses(1)),), {"b": {7: "b:1"}, "stranger": {0: "s:1"}}, ""),
        # It cannot be asked any more.
        ({"ns-0": Seen(), "ns-1": seen(state="crashing")}, (follower(addresses(1)),), {}, ""),
        ({"ns-0": Seen(), "ns-1": seen(state="terminating")}, (follower(addresses(2)),), {}, ""),
    ],
)
def test_what_a_name_server_that_leaves_waits_for(
    servers: dict[str, Seen],
    followers: tuple[Follower, ...],
    knows: Mapping[str, Mapping[int, str]],
    why: str,
) -> None:
    facts = name_service_facts(servers, followers=followers, knows={"ns-1": knows})
    assert leaving_waits_for(a_name_service(1), facts) == why


def test_a_broker_that_told_of_fewer_brokers_than_run_has_not_told_enough() -> None:
    short = msgspec.structs.replace(follower(addresses(1)), brokers=(("b", 0), ("b", 1)))
    facts = name_service_facts(LEAVING, followers=(short,), knows={"ns-1": KNOWS_NOBODY})
    assert "not every broker of broker has told" in leaving_waits_for(a_name_service(1), facts)


def test_on_the_network_of_the_node_a_name_server_is_known_by_the_nodes_address() -> None:
    pod = a_pod("ns-1", Seen())
    status = msgspec.structs.replace(pod.status, host_ip="192.168.0.2")
    facts = name_service_facts(LEAVING, followers=(follower("192.168.0.1:9876;192.168.0.2:9876"),))
    first = msgspec.structs.replace(facts.pods[0], status=PodStatus(host_ip="192.168.0.1"))
    facts = msgspec.structs.replace(
        facts, pods=(first, msgspec.structs.replace(pod, status=status))
    )
    cr = a_name_service(1, hostNetwork=True)
    assert leaving_waits_for(cr, facts) == "a broker of broker still uses ns-1"
    others = msgspec.structs.replace(facts, followers=(follower("192.168.0.1:9876"),), answers={})
    assert leaving_waits_for(cr, others) == ""


def test_it_is_said_who_still_uses_a_name_server_that_leaves() -> None:
    decision = decided(LEAVING, 1, followers=(follower(addresses(2)),))
    assert (decision.phase, decision.again_after_s) == ("waiting", BUSY_S)
    assert decision.message == "waits: a broker of broker still uses ns-1"


@pytest.mark.parametrize(
    ("knows", "counts"),
    [
        ({}, ("ns-0", "ns-1")),
        ({"ns-1": KNOWS_NOBODY}, ("ns-0",)),
        ({"ns-1": {"b": {1: "b:1"}}}, ("ns-0",)),
    ],
)
def test_a_name_server_counts_once_every_broker_is_registered_with_it(
    knows: dict[str, Any], counts: tuple[str, ...]
) -> None:
    facts = name_service_facts(LEAVING, followers=(follower(addresses(2)),), knows=knows)
    assert registered(a_name_service(2), facts) == counts


def test_one_that_is_silent_or_not_wanted_does_not_count() -> None:
    servers = {"ns-0": Seen(), "ns-1": seen(silent=True), "ns-2": Seen()}
    assert registered(a_name_service(2), name_service_facts(servers)) == ("ns-0",)


def test_the_revision_of_a_pod_is_compared_with_the_newest_only() -> None:
    assert decided({"ns-0": seen(revision="r3")}, 1, newest="r3").steps == ()
    assert restarted(decided({"ns-0": seen(revision=NEW)}, 1, newest="r3")) == ["ns-0"]
