"""How groups leave: none while anything is pending or unknown, and any of them may come back."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fakes.gate_facts import (
    ADDRESSES,
    M0,
    M1,
    NOW,
    R1,
    Seen,
    a_broker,
    broker_facts,
    decided,
    moved,
    outdated,
    seen,
    steps,
)
from fakes.leaving_facts import (
    EMPTY,
    FORCED,
    LOG_END,
    M2,
    ago,
    decide,
    drained,
    held,
    leaving,
    quiet,
    row,
)
from fakes.leaving_world import LeavingWorld
from reconcilers.desired import names
from reconcilers.desired.files import group_conf
from reconcilers.facts import NameServerAnswer, NameServerProblem, Silence
from reconcilers.steps.decision import (
    Leaving,
    NoteDrained,
    NoteLeaving,
    RemoveBroker,
    StopWrites,
)
from reconcilers.steps.scale_in import BROADCAST_S, HELD_AGAIN_S
from rocketmq.backlog import REVIVED_S, STILL_S, Backlog, Broadcast, Delay, Left
from rocketmq.properties import parsed

# Writes


def test_all_groups_that_leave_lose_their_writes_at_once() -> None:
    decision = decide({M1: Seen(), M2: Seen()})
    assert steps(decision) == [("StopWrites", M1), ("StopWrites", M2)]
    (first, _) = decision.steps
    assert isinstance(first, StopWrites)
    assert first.note == Leaving(began=NOW, since=NOW, permission="6")
    assert (first.permission, first.stateful_set) == ("4", "broker-1-master")
    assert [group.phase for group in decision.leaving] == ["StoppingWrites"] * 2


@pytest.mark.parametrize(
    ("remaining", "phase"),
    [
        (seen(permission="4"), "Held"),
        (seen(silent=True), "Waiting"),
        (seen(state="starting"), "Waiting"),
    ],
)
def test_no_group_leaves_while_no_other_takes_writes(remaining: Seen, phase: str) -> None:
    decision = decide({M1: Seen()}, servers={M0: remaining})
    assert not any(isinstance(step, StopWrites) for step in decision.steps)
    assert [group.phase for group in decision.leaving] == [phase]


def test_where_each_group_is_a_cluster_producers_have_nowhere_to_go() -> None:
    decision = decide({M1: Seen()}, servers={M0: seen(permission="4")}, clusterPerGroup=True)
    assert steps(decision) == [("StopWrites", M1)]


def test_the_permission_before_is_what_its_producers_had() -> None:
    """It was on its turn of a roll when the size was lowered."""
    decision = decide({M1: seen(**moved(10))})
    (step,) = decision.steps
    assert isinstance(step, StopWrites)
    assert (step.note.permission, step.permission) == ("6", "")


def test_a_broker_that_started_with_writes_loses_them_again() -> None:
    note = leaving(500, empty_since=ago(40), empty_log_end=LOG_END)
    (step,) = decide({M1: seen(permission="6", leaving=note)}, {M1: EMPTY}).steps
    assert isinstance(step, StopWrites)
    assert (step.note.began, step.note.since, step.note.empty_since) == (ago(500), NOW, None)


def test_producers_have_the_time_of_a_route_refresh() -> None:
    decision = decide({M1: quiet(59)}, {M1: EMPTY})
    assert (decision.steps, decision.again_after_s) == ((), 1.0)
    assert steps(decide({M1: quiet(60)}, {M1: EMPTY})) == [("NoteDrained", M1)]


def test_a_note_of_a_clock_that_was_ahead_tells_nothing() -> None:
    assert steps(decide({M1: quiet(-5)}, {M1: EMPTY})) == [("StopWrites", M1)]


# What it holds


PENDING = {
    "online": held(waiting=(row(online=True),)),
    "offline": held(waiting=(row(online=False),)),
    "unread": held(unread=(Left("t", 1),)),
    "delayed": held(delays=(Delay(1, 0, 1),)),
    "timed": held(timed=1),
    "half": held(half=1),
    "moving": held(log_begin=1),
    "undispatched": held(undispatched_bytes=1),
    "unknown": Silence("no answer"),
}


@pytest.mark.parametrize("pending", PENDING.values(), ids=PENDING.keys())
def test_nothing_stops_while_anything_is_pending_or_unknown(pending: Backlog | Silence) -> None:
    assert decide({M1: quiet()}, {M1: pending}).steps == ()
    for step in decide({M1: drained()}, {M1: pending}).steps:
        assert isinstance(step, NoteLeaving)
        assert step.note is not None
        assert step.note.empty_since is None
    assert decide({M1: drained()}).steps == ()  # nobody looked


@pytest.mark.parametrize(
    ("pending", "phase"),
    [("online", "Draining"), ("offline", "Held"), ("unread", "Held"), ("delayed", "Draining")],
)
def test_somebody_has_to_act_where_nothing_moves_by_itself(pending: str, phase: str) -> None:
    decision = decide({M1: quiet()}, {M1: PENDING[pending]})
    assert [group.phase for group in decision.leaving] == [phase]
    assert decision.phase == ("held" if phase == "Held" else "waiting")
    if phase == "Held":
        assert decision.again_after_s == HELD_AGAIN_S


def test_a_group_is_empty_when_two_looks_say_so() -> None:
    (first,) = decide({M1: quiet()}, {M1: EMPTY}).steps
    assert isinstance(first, NoteDrained)
    assert (first.note.empty_since, first.note.empty_log_end) == (NOW, LOG_END)
    assert decide({M1: drained(STILL_S - 1)}, {M1: EMPTY}).steps == ()
    # Not a second look: it was made before the first one was noted.
    assert decide({M1: drained(40)}, {M1: EMPTY}, at=ago(41)).steps == ()
    assert steps(decide({M1: drained(STILL_S)}, {M1: EMPTY})) == [("RemoveBroker", M1)]


@pytest.mark.parametrize(
    ("found", "pause_s"),
    [
        (held(revivals=1), REVIVED_S),
        (held(broadcasts=(Broadcast("t", "g"),)), BROADCAST_S),
    ],
)
def test_what_is_seen_late_gets_a_longer_pause(found: Backlog, pause_s: float) -> None:
    assert decide({M1: drained(pause_s - 1)}, {M1: found}).steps == ()
    assert steps(decide({M1: drained(pause_s)}, {M1: found})) == [("RemoveBroker", M1)]


def test_a_log_that_grew_between_the_looks_begins_anew() -> None:
    grown = held(log_begin=1001, log_end=1001)
    (step,) = decide({M1: drained()}, {M1: grown}).steps
    assert isinstance(step, NoteLeaving)
    assert step.note is not None
    assert (step.note.empty_since, step.note.empty_log_end) == (NOW, 1001)


def test_a_log_that_grew_since_the_last_look_is_looked_at_again() -> None:
    found = msgspec.structs.replace(drained(), log_end=1001)
    assert decide({M1: found}, {M1: EMPTY}).steps == ()


# What is not there


@pytest.mark.parametrize(
    ("master", "phase"),
    [
        (seen(silent=True), "Waiting"),
        (seen(state="starting"), "Waiting"),
        (seen(state="missing"), "Waiting"),
        (seen(state="crashing"), "Held"),
    ],
)
def test_a_master_that_says_nothing_stays(master: Seen, phase: str) -> None:
    found = msgspec.structs.replace(master, leaving=drained().leaving)
    decision = decide({M1: found}, {M1: EMPTY})
    assert decision.steps == ()
    assert [group.phase for group in decision.leaving] == [phase]


def test_replicas_without_a_master_stay_for_what_they_may_hold() -> None:
    decision = decide({R1: Seen()}, replicas=1)
    assert (decision.steps, decision.phase) == ((), "held")
    assert steps(decide({R1: Seen()}, replicas=1, annotations=FORCED)) == [("RemoveBroker", R1)]


def test_a_broker_that_fails_is_made_anew_for_its_messages() -> None:
    assert steps(decide({M1: outdated(state="crashing")})) == [("Restart", M1)]
    assert decide({M1: outdated(permission="4", leaving=leaving())}).steps == ()


# The order


def test_replicas_go_before_their_master_and_the_highest_group_first() -> None:
    two = {M1: drained(), R1: Seen(), M2: drained(), "broker-2-replica-1-0": Seen()}
    looks = {M1: EMPTY, M2: EMPTY}
    removed = steps(decide(two, looks, replicas=1))
    assert removed == [("RemoveBroker", "broker-2-replica-1-0"), ("RemoveBroker", M2)]
    going = two | {M2: msgspec.structs.replace(drained(), removed=True)}
    assert decide(going, looks, replicas=1).steps == ()
    one = {M1: drained(), R1: Seen()}
    assert steps(decide(one, looks, replicas=1))[-1] == ("RemoveBroker", M1)


@pytest.mark.parametrize(
    "busy",
    [outdated(), seen(state="terminating"), seen(silent=True), seen(state="crashing")],
)
def test_nothing_is_removed_while_another_group_is_down_or_on_its_turn(busy: Seen) -> None:
    decision = decide({M1: drained()}, {M1: EMPTY}, servers={M0: busy})
    assert not any(isinstance(step, RemoveBroker) for step in decision.steps)


def test_nothing_is_removed_without_every_name_server_s_word() -> None:
    silent = {"registrations": dict.fromkeys(ADDRESSES, Silence("refused"))}
    assert decide({M1: drained()}, {M1: EMPTY}, facts=silent).steps == ()


def test_the_next_group_waits_until_no_name_server_lists_the_last_one() -> None:
    listed = {"broker-0": {0: "a"}, "broker-1": {0: "b"}}
    still = {ADDRESSES[0]: NameServerAnswer(listed | {"broker-2": {0: "c"}})}
    gone = dict.fromkeys(ADDRESSES, NameServerAnswer(listed))
    facts = {"registrations": gone | still}
    decision = decide({M1: drained()}, {M1: EMPTY}, facts=facts)
    assert decision.steps == ()
    assert "still lists broker-2" in decision.message
    assert steps(decide({M1: drained()}, {M1: EMPTY}, facts={"registrations": gone})) == [
        ("RemoveBroker", M1)
    ]


def test_while_the_name_servers_are_not_known_nothing_changes() -> None:
    problem = NameServerProblem(reason="NameServiceNotFound", message="there is none")
    facts = {"name_servers": problem}
    for master in (Seen(), drained()):
        assert decide({M1: master}, {M1: EMPTY}, facts=facts).steps == ()
    assert decided({M1: quiet()}, 2, 0, facts=facts).steps == ()


def test_paused_means_that_no_group_leaves() -> None:
    paused = {names.PAUSED: "true"}
    assert decide({M1: Seen(), M2: drained()}, {M2: EMPTY}, annotations=paused).steps == ()


# What a start is told


def test_a_start_is_told_that_its_group_leaves_once_that_is_noted() -> None:
    def told(found: Mapping[str, Seen], size: int = 1) -> str | None:
        cr = a_broker(size, 0)
        servers = {pod: one for pod, one in found.items() if int(pod.split("-")[1]) < size}
        surplus = {pod: one for pod, one in found.items() if pod not in servers}
        return parsed(group_conf(cr, broker_facts(cr, servers, surplus=surplus))).get("leaving")

    assert told({M1: Seen()}) is None
    assert told({M1: quiet(), M2: Seen()}) == "broker-1"
    assert told({M1: quiet(), M2: quiet()}) == "broker-1 broker-2"
    assert told({M1: quiet(), M2: quiet()}, size=2) == "broker-2"


# Every order of events


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=60, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_whatever_happens_no_message_goes_with_a_group_and_every_scale_in_ends(seed: int) -> None:
    world = LeavingWorld(Random(seed))  # noqa: S311 - no secret
    world.run(600, faults=0.1)
    world.mend()
    world.run(3600, faults=0.0)
    assert world.is_settled(), world.decision.message
