from datetime import timedelta
from typing import Any

import pytest

from fakes.gate_facts import (
    ADDRESSES,
    HUNG,
    M0,
    M1,
    NAME_SERVERS,
    NEW,
    NOW,
    OLD,
    R0,
    R1,
    Seen,
    all_outdated,
    decided,
    moved,
    outdated,
    seen,
    steps,
)
from reconcilers.desired import names
from reconcilers.facts import NameServerAnswer, NameServerProblem, NameServers
from reconcilers.steps.broker import BUSY_S, IDLE_S
from reconcilers.steps.decision import (
    DISRUPTIVE,
    Decision,
    MoveWrites,
    PushSettings,
    RemoveReplica,
    Restart,
    RestoreWrites,
)
from reconcilers.steps.members import TEMPLATE_CHANGED
from reconcilers.steps.obstacles import CAUGHT_UP_SOON_BYTES

R02, R2 = "broker-0-replica-2-0", "broker-2-replica-1-0"
GONE = moved(100)
"""A master whose producers have left."""


# Nothing to do


def test_a_cluster_that_is_as_it_should_be_is_left_alone() -> None:
    assert decided({}) == Decision(phase="current", lags={R0: 0, R1: 0}, again_after_s=IDLE_S)


def test_nothing_is_done_while_a_template_is_not_understood_yet() -> None:
    """Its StatefulSet's controller has not looked at it: nobody knows which pods are current."""
    decision = decided(all_outdated() | {M1: outdated(newest="")})
    assert (decision.phase, decision.steps) == ("waiting", ())
    assert "broker-1-master has no current revision yet" in decision.message
    assert not decision.known


@pytest.mark.parametrize("problem", ["paused", "pushed"])
def test_paused_means_that_nothing_is_done_at_all(problem: str) -> None:
    servers = all_outdated() | {M1: seen(settings={"deleteWhen": "05"}, **GONE)}
    paused = decided(servers, annotations={names.PAUSED: "true"})
    assert (paused.phase, paused.steps) == ("paused", ())
    assert set(paused.outdated) == {M0, R0, R1}
    assert decided(servers, annotations={names.PAUSED: "false"}).steps


# The order


def test_a_replica_is_restarted_before_its_master() -> None:
    decision = decided(all_outdated())
    assert decision.steps == (Restart(R0, f"uid of {R0}", TEMPLATE_CHANGED, evict=True),)
    assert decision.phase == "rolling"
    assert dict.fromkeys(decision.outdated) == dict.fromkeys([M0, R0, M1, R1])


def test_replicas_go_one_after_the_other_the_last_one_first() -> None:
    servers = {M0: outdated(), R0: outdated(), R02: outdated()}
    assert steps(decided(servers, 1, 2)) == [("Restart", R02)]
    servers[R02] = Seen()
    assert steps(decided(servers, 1, 2)) == [("Restart", R0)]


@pytest.mark.parametrize(
    "replica", ["missing", "terminating", "starting", "crashing", "unscheduled"]
)
def test_while_one_of_a_group_is_down_no_other_is_touched(replica: Any) -> None:
    for servers in (
        all_outdated() | {R0: seen(state=replica)},
        all_outdated() | {M0: seen(state=replica)},
    ):
        assert decided(servers).steps == ()


def test_the_next_group_waits_until_the_one_before_is_settled() -> None:
    of_the_next = {M1: outdated(), R1: outdated()}
    for of_the_first in (
        {R0: seen(state="starting")},
        {M0: seen(state="missing")},
        {R0: seen(silent=True)},
        {R0: seen(log_end=1000), M0: seen(log_end=1001 + CAUGHT_UP_SOON_BYTES)},
        {M0: seen(connected=0)},
        {M0: seen(version="V4_9_7", started=NOW - timedelta(seconds=44))},
    ):
        decision = decided(of_the_first | of_the_next)
        assert decision.steps == (), of_the_first
        assert decision.phase == "waiting"
        assert decision.again_after_s == BUSY_S
    for settled in (
        {},
        {M0: seen(connected=1)},
        {M0: seen(version="V4_9_7", started=NOW - timedelta(seconds=45))},
        {M0: seen(log_end=1000 + CAUGHT_UP_SOON_BYTES)},
    ):
        assert steps(decided(settled | of_the_next)) == [("Restart", R1)]


def test_more_groups_at_a_time_only_if_asked() -> None:
    servers = all_outdated(3)
    assert steps(decided(servers, 3)) == [("Restart", R0)]
    two = decided(servers, 3, maxUnavailableGroups=2)
    assert steps(two) == [("Restart", R0), ("Restart", R1)]
    assert "comes after that of other groups" in two.waiting[R2]
    under_way = servers | {R2: seen(state="starting")}
    assert steps(decided(under_way, 3, maxUnavailableGroups=2)) == [("Restart", R0)]


def test_all_groups_at_a_time_would_leave_producers_nowhere_to_go() -> None:
    masters = {M0: outdated(), M1: outdated()}
    both = decided(masters, maxUnavailableGroups=2)
    assert steps(both) == [("MoveWrites", M0)]
    masters[M0] = outdated(**moved(10))
    assert decided(masters, maxUnavailableGroups=2).steps == ()
    alone = decided(masters, maxUnavailableGroups=2, clusterPerGroup=True)
    assert ("Restart", M1) in steps(alone)


def test_a_group_that_failed_by_itself_counts_as_well() -> None:
    servers = {R0: outdated(), M0: outdated(), R1: seen(state="missing")}
    decision = decided(servers)
    assert decision.steps == ()
    assert decision.waiting[R1] == f"waits: {R1} does not exist"
    # A group whose producers have left is not stopped either: it can still go back.
    assert decided(servers | {R0: Seen(), M0: outdated(**GONE)}, 2).steps == ()
    assert steps(decided(servers, 2, maxUnavailableGroups=2)) == [("Restart", R0)]


def test_no_group_goes_on_beside_too_many_others_that_are_not_whole() -> None:
    moved_twice = {M0: outdated(**GONE), M1: outdated(**GONE)}
    two = {"maxUnavailableGroups": 2}
    assert steps(decided(moved_twice, 3, **two)) == [("Restart", M0), ("Restart", M1)]
    assert decided(moved_twice | {R2: seen(state="starting")}, 3, **two).steps == ()
    # Only one is allowed by now: the second one has its producers again.
    assert steps(decided(moved_twice, 3)) == [("RestoreWrites", M1)]


# A broken broker


@pytest.mark.parametrize("state", ["crashing", "no image", "unscheduled"])
def test_a_broken_broker_goes_first_and_asks_nobody(state: Any) -> None:
    servers = all_outdated() | {M1: outdated(state=state)}
    decision = decided(servers)
    assert decision.steps == (Restart(M1, f"uid of {M1}", TEMPLATE_CHANGED, evict=False),)


def test_a_corrected_spec_heals_what_an_earlier_one_broke() -> None:
    """Also while name servers are silent, and without the producers' leave."""
    servers = {R0: outdated(state="crashing"), M0: outdated()}
    silent = {"registrations": dict.fromkeys(ADDRESSES, HUNG)}
    assert steps(decided(servers, facts=silent)) == [("Restart", R0)]


@pytest.mark.parametrize("allowed", [1, 2])
def test_a_template_that_fails_stops_everything_after_one_pod(allowed: int) -> None:
    servers = all_outdated(3) | {R0: seen(state="crashing")}
    decision = decided(servers, 3, maxUnavailableGroups=allowed)
    assert (decision.phase, decision.steps) == ("held", ())
    assert f"pod {R0} keeps ending" in decision.message
    # Not even a pod that is broken already: it would fail as well.
    broken = decided(servers | {M1: outdated(state="crashing")}, 3, maxUnavailableGroups=allowed)
    assert (broken.phase, broken.steps) == ("held", ())


def test_a_hung_broker_is_waited_for_and_restarted_only_after_long() -> None:
    """It is not ready and does not answer, and the rest of its group serves."""
    for seconds, done in ((299.0, []), (300.0, [("Restart", R0)])):
        hung = outdated(state="starting", since_s=seconds)
        assert steps(decided({R0: hung})) == done
    # On a busy machine all are silent at once; that proves nothing.
    both = {R0: outdated(state="starting", since_s=999), M0: seen(silent=True)}
    assert decided(both).steps == ()
    # Ready and silent: the kubelet speaks for it.
    assert decided({R0: outdated(silent=True, since_s=999)}).steps == ()


# What speaks against it


def test_a_broker_that_is_not_registered_everywhere_stops_the_roll() -> None:
    listed = {"broker-0": {0: "a", 1: "b"}, "broker-1": {0: "c", 1: "d"}}
    for group, broker_id, pod in (("broker-1", 1, R1), ("broker-0", 0, M0)):
        partly = {name: dict(ids) for name, ids in listed.items()}
        del partly[group][broker_id]
        known = {
            ADDRESSES[0]: NameServerAnswer(listed),
            ADDRESSES[1]: NameServerAnswer(partly),
        }
        decision = decided({R0: outdated()}, facts={"registrations": known})
        assert (decision.phase, decision.steps) == ("waiting", ())
        assert decision.message == (
            f"waits: {pod} is not registered with name server {ADDRESSES[1]}"
        )


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"registrations": {}}, f"name server {ADDRESSES[0]} does not answer: it was not asked"),
        (
            {"registrations": dict.fromkeys(ADDRESSES, HUNG)},
            f"name server {ADDRESSES[0]} does not answer: no answer within 4 s",
        ),
        (
            {"registrations": {address: NameServerAnswer({}) for address in ADDRESSES}},
            f"{M0} is not registered",
        ),
        ({"name_service_waits": "ns-1 is to be restarted"}, "name servers come first: ns-1"),
        (
            {"name_servers": NameServerProblem(reason="NameServiceNotFound", message="no such")},
            "no such",
        ),
        (
            {"name_servers": NameServers(addresses=("a:1", *NAME_SERVERS.addresses))},
            "name server a:1 does not answer",
        ),
    ],
)
def test_without_proof_by_every_name_server_nothing_that_serves_is_touched(
    facts: dict[str, Any], why: str
) -> None:
    for servers in ({R0: outdated()}, {M0: outdated(**GONE)}):
        decision = decided(servers, facts=facts)
        assert not any(isinstance(step, DISRUPTIVE) for step in decision.steps)
        assert why in decision.message


def test_a_restart_that_is_not_allowed_is_not_done_and_named() -> None:
    decision = decided(all_outdated(), allowRestart=False)
    assert (decision.phase, decision.steps) == ("held", ())
    assert set(decision.outdated) == {M0, R0, M1, R1}
    assert f"only a restart brings {M0}, {R0} up to date" in decision.message
    assert steps(decided({M0: seen(settings={"deleteWhen": "05"})}, allowRestart=False)) == [
        ("PushSettings", M0)
    ]


def test_a_version_that_cannot_be_told_is_restarted_for_other_name_servers() -> None:
    servers = {R0: seen(version="V4_9_3", name_servers="left:9876")}
    decision = decided(servers)
    assert steps(decision) == [("Restart", R0)]
    assert "before 4.9.4" in decision.message


@pytest.mark.parametrize("revision", [OLD, NEW])
def test_it_does_not_wait_for_what_only_its_restart_brings(revision: str) -> None:
    """It is not registered with the new name server, and that one's fellow waits for this."""
    learns_late = {"version": "V4_9_3", "name_servers": ADDRESSES[0], "revision": revision}
    servers = {M0: seen(**learns_late), R0: seen(**learns_late)}
    known = {
        ADDRESSES[0]: NameServerAnswer({"broker-0": {0: "a", 1: "b"}}),
        ADDRESSES[1]: NameServerAnswer({}),
    }
    facts = {"registrations": known, "name_service_waits": "ns-0 is to be restarted"}
    assert steps(decided(servers, 1, facts=facts)) == [("Restart", R0)]
    # It has restarted, and is not registered everywhere yet.
    servers[R0] = seen(version="V4_9_3")
    assert decided(servers, 1, facts=facts).steps == ()


def test_settings_are_told_while_brokers_are_restarted() -> None:
    servers = all_outdated() | {M1: seen(settings={"deleteWhen": "05"})}
    told, restart = decided(servers).steps
    assert isinstance(told, PushSettings)
    assert isinstance(restart, Restart)


# Storage that does not last

EMPTY = {"storageMode": "EmptyDir"}
CONSENT = {names.ALLOW_DATA_LOSS: "true"}


@pytest.mark.parametrize(
    ("replicas", "annotations", "step"),
    [
        (0, {}, []),
        (0, CONSENT, [("MoveWrites", M0)]),
        # Its replicas would not follow an empty master: no consent helps.
        (1, {}, []),
        (1, CONSENT, []),
    ],
)
def test_a_master_that_would_lose_its_messages_stays(
    replicas: int, annotations: dict[str, str], step: list[tuple[str, str]]
) -> None:
    decision = decided({M0: outdated()}, 2, replicas, annotations=annotations, **EMPTY)
    assert steps(decision) == step
    if not step:
        assert decision.phase == "held"
        assert "storageMode EmptyDir" in decision.message


def test_a_replica_that_loses_its_copy_gets_it_again() -> None:
    assert steps(decided({R0: outdated()}, **EMPTY)) == [("Restart", R0)]


@pytest.mark.parametrize(("state", "step"), [("no image", [("Restart", M0)]), ("crashing", [])])
def test_a_master_that_never_ran_has_nothing_to_lose(
    state: Any, step: list[tuple[str, str]]
) -> None:
    assert steps(decided({M0: outdated(state=state)}, **EMPTY)) == step


# Brokers that are not wanted any more

SURPLUS = {R0: Seen(), R1: Seen()}


def test_a_replica_that_is_not_wanted_goes_when_all_else_serves() -> None:
    decision = decided({}, 2, 0, surplus=SURPLUS)
    assert decision.steps == (RemoveReplica("broker-0-replica-1", "uid of broker-0-replica-1", R0),)
    for busy in ({M1: outdated()}, {M1: seen(state="starting")}, {M1: seen(**GONE)}):
        assert ("RemoveReplica", R0) not in steps(decided(busy, 2, 0, surplus=SURPLUS))
    silent = {"registrations": dict.fromkeys(ADDRESSES, HUNG)}
    assert decided({}, 2, 0, surplus=SURPLUS, facts=silent).steps == ()


def test_replicas_that_are_not_wanted_go_one_after_the_other() -> None:
    leaving = {R0: seen(removed=True, state="terminating"), R1: Seen()}
    assert decided({}, 2, 0, surplus=leaving).steps == ()
    assert steps(decided({}, 2, 0, surplus={R1: Seen()})) == [("RemoveReplica", R1)]


def test_a_group_that_is_not_wanted_is_not_restarted_for_an_edit() -> None:
    whole = {M1: outdated(), R1: outdated()}
    assert steps(decided({}, 1, 1, surplus=whole)) == [("StopWrites", M1)]


def test_lags_and_reasons_stand_in_the_decision() -> None:
    decision = decided({M0: seen(log_end=3000), R0: seen(log_end=1000), R1: seen(silent=True)})
    assert decision.lags == {R0: 2000}


def test_an_operator_that_died_while_writes_were_moved_goes_on() -> None:
    """The note is on the pod, the broker was not told yet."""
    half = outdated(**GONE | {"permission": "6"})
    (step,) = decided({M0: half}).steps
    assert isinstance(step, MoveWrites)
    assert step.note.since == NOW


def test_an_operator_that_died_while_writes_were_restored_goes_on() -> None:
    half = seen(**GONE | {"permission": "6"})
    assert decided({M0: half}).steps == (
        RestoreWrites(M0, f"uid of {M0}", f"ip-of-{M0}:10911", "6"),
    )


def test_a_pod_of_an_older_template_that_is_newest_again_stays() -> None:
    """The user has taken the change back."""
    back = {M0: seen(revision=OLD, newest=OLD), R0: outdated(newest="r1")}
    assert decided(back).phase == "current"
