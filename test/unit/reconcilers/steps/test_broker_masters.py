from typing import Any

import pytest

from fakes.gate_facts import (
    M0,
    M1,
    R0,
    Seen,
    decided,
    moved,
    outdated,
    seen,
    steps,
)
from reconcilers.steps.decision import (
    Restart,
)
from reconcilers.steps.members import TEMPLATE_CHANGED
from reconcilers.steps.obstacles import CAUGHT_UP_SOON_BYTES, lag_words, rounded_lag

R02 = "broker-0-replica-2-0"
GONE = moved(100)
"""A master whose producers have left."""


# Before a master stops


def test_producers_are_sent_away_before_a_master_stops() -> None:
    decision = decided({M0: outdated()})
    assert steps(decision) == [("MoveWrites", M0)]
    waits = decided({M0: outdated(**moved(30))})
    assert (waits.steps, waits.phase, waits.again_after_s) == ((), "waiting", 30.0)
    gone = decided({M0: outdated(**GONE)})
    assert gone.steps == (Restart(M0, f"uid of {M0}", TEMPLATE_CHANGED, evict=True),)


@pytest.mark.parametrize(
    ("servers", "why"),
    [
        ({R0: seen(log_end=999)}, f"{R0} is less than 1 MiB behind its master"),
        ({R0: seen(silent=True)}, f"{R0} does not answer"),
        ({R0: seen(state="starting")}, f"{R0} is not ready yet"),
        ({M0: outdated(silent=True, **GONE)}, f"{M0} does not answer"),
        ({M1: seen(silent=True)}, f"{M1} does not answer"),
    ],
)
def test_a_master_does_not_stop_unless_every_replica_has_all_that_it_has(
    servers: dict[str, Seen], why: str
) -> None:
    decision = decided({M0: outdated(**GONE)} | servers)
    assert decision.steps == ()
    assert why in decision.message


def test_a_replica_that_is_far_behind_keeps_producers_where_they_are() -> None:
    far = {M0: outdated(log_end=5 + CAUGHT_UP_SOON_BYTES), R0: seen(log_end=4)}
    decision = decided(far)
    assert decision.steps == ()
    assert decision.waiting[R0] == f"waits: {R0} is 1 MiB or more behind its master"
    assert steps(decided(far | {R0: seen(log_end=5)})) == [("MoveWrites", M0)]


@pytest.mark.parametrize(
    ("lag", "rounded", "words"),
    [
        (0, 0, "less than 1 MiB"),
        ((1 << 20) - 1, 0, "less than 1 MiB"),
        (1 << 20, 1 << 20, "1 MiB or more"),
        ((1 << 21) - 1, 1 << 20, "1 MiB or more"),
        (7 << 30, 1 << 32, "4096 MiB or more"),
    ],
)
def test_a_lag_is_told_in_steps(lag: int, rounded: int, words: str) -> None:
    """Figures that follow every message would have the status written all the time."""
    assert (rounded_lag(lag), lag_words(lag)) == (rounded, words)


def test_the_last_replica_of_three_counts_as_much_as_the_first() -> None:
    servers = {M0: outdated(**GONE), R0: Seen(), R02: seen(log_end=1)}
    assert decided(servers, 2, 2).steps == ()


@pytest.mark.parametrize("servers", [{}, {M1: seen(permission="4")}, {M1: seen(permission="0")}])
def test_where_no_other_group_takes_writes_they_pause(servers: dict[str, Seen]) -> None:
    for spec in ({"clusterPerGroup": True}, {}):
        if not servers and not spec:
            continue
        decision = decided({M0: outdated()} | servers, **spec)
        assert steps(decision) == [("Restart", M0)]
        assert "writes to its group pause meanwhile" in decision.message


def test_a_single_group_has_nowhere_to_send_producers() -> None:
    assert steps(decided({M0: outdated()}, 1)) == [("Restart", M0)]
    # Writes go on to the end, so the replica is always a little behind; what it lacks comes back
    # with the master, which stops in order.
    full = CAUGHT_UP_SOON_BYTES
    assert steps(decided({M0: outdated(log_end=full), R0: seen(log_end=0)}, 1))
    assert decided({M0: outdated(log_end=full + 1), R0: seen(log_end=0)}, 1).steps == ()


def test_one_look_without_an_answer_is_no_proof_that_nobody_else_takes_writes() -> None:
    """The other group's master is slow to answer: producers still need their time to leave."""
    decision = decided({M0: outdated(**moved(1)), M1: seen(silent=True)}, maxUnavailableGroups=2)
    assert decision.steps == ()


@pytest.mark.parametrize(
    ("role", "replicas", "step"),
    [
        ("ASYNC_MASTER", 1, ("Restart", R0)),
        ("SYNC_MASTER", 1, ("MoveWrites", M0)),
        ("SYNC_MASTER", 2, ("Restart", R0)),
    ],
)
def test_the_only_replica_of_a_sync_master_takes_the_writes_with_it(
    role: str, replicas: int, step: tuple[str, str]
) -> None:
    decision = decided({R0: outdated(), M0: seen(role=role)}, 2, replicas)
    assert steps(decision) == [step]


def test_then_the_replica_and_its_master_share_one_wait() -> None:
    sync = {"role": "SYNC_MASTER", **GONE}
    assert steps(decided({R0: outdated(), M0: outdated(**sync)})) == [("Restart", R0)]
    assert steps(decided({M0: outdated(**sync)})) == [("Restart", M0)]


# Writes come back


@pytest.mark.parametrize(
    "spec",
    [{}, {"allowRestart": False}],
    ids=["the change is taken back", "restarts are forbidden"],
)
def test_writes_are_restored_when_the_master_is_not_to_stop_any_more(spec: dict[str, Any]) -> None:
    master = outdated(**GONE) if spec else seen(**GONE)
    decision = decided({M0: master}, **spec)
    assert steps(decision) == [("RestoreWrites", M0)]


@pytest.mark.parametrize(
    "servers",
    [{R0: seen(state="starting")}, {R0: seen(log_end=999)}, {M0: seen(connected=0, **GONE)}],
)
def test_not_before_the_replicas_are_there(servers: dict[str, Seen]) -> None:
    assert decided({M0: seen(**GONE)} | servers).steps == ()


@pytest.mark.parametrize("replica", [Seen(), seen(state="crashing"), outdated()])
def test_writes_are_restored_at_once_when_the_others_cannot_take_them(replica: Seen) -> None:
    for other in (seen(state="missing"), seen(state="starting"), seen(permission="4")):
        decision = decided({M0: outdated(**GONE), R0: replica, M1: other})
        assert steps(decision) == [("RestoreWrites", M0)]
        assert not any(isinstance(step, Restart) for step in decision.steps)
