"""The condition UpToDate, and what the other conditions and the rows say while a roll goes on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller.apply import Outcome
from fakes.gate_facts import NAME_SERVERS, NOW, Seen, a_broker, broker_facts, outdated, seen
from reconcilers.api.broker import BrokerRow, BrokerStatus
from reconcilers.status.broker import broker_status
from reconcilers.steps.decision import Decision, Done, Phase, Progress, Restart

M0, R0 = "broker-0-master-0", "broker-0-replica-1-0"
DONE = Outcome(())
OLD_PODS = {M0: "its pod template changed"}


def status(progress: Progress | None, **spec: Any) -> BrokerStatus:
    cr = a_broker(**spec)
    return broker_status(cr, broker_facts(cr), DONE, progress, NOW)


def conditions(found: BrokerStatus) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in found.conditions}


def message(found: BrokerStatus) -> str:
    return next(one.message for one in found.conditions if one.type == "UpToDate")


@pytest.mark.parametrize(
    ("decision", "spec", "up_to_date"),
    [
        (Decision(phase="current"), {}, ("True", "AllCurrent")),
        # A pod that is not there yet, or a lag: no restart would help.
        (Decision(phase="waiting"), {}, ("True", "AllCurrent")),
        (Decision(phase="waiting", known=False), {}, ("Unknown", "NotDecided")),
        (Decision(phase="rolling", outdated=OLD_PODS, known=False), {}, ("False", "Rolling")),
        (Decision(phase="rolling", outdated=OLD_PODS), {}, ("False", "Rolling")),
        (Decision(phase="waiting", outdated=OLD_PODS), {}, ("False", "Waiting")),
        (Decision(phase="held", outdated=OLD_PODS), {}, ("False", "Held")),
        (Decision(phase="paused", outdated=OLD_PODS), {}, ("False", "Paused")),
        (
            Decision(phase="held", outdated=OLD_PODS),
            {"allowRestart": False},
            ("False", "RestartNotAllowed"),
        ),
    ],
)
def test_whether_every_pod_runs_with_what_the_spec_says(
    decision: Decision, spec: dict[str, Any], up_to_date: tuple[str, str]
) -> None:
    found = status(Progress(decision), **spec)
    assert conditions(found)["UpToDate"] == up_to_date
    assert (f"to be restarted: {M0}" in message(found)) is bool(decision.outdated)


@pytest.mark.parametrize(
    ("phase", "spec", "progressing", "degraded"),
    [
        ("current", {}, ("False", "Settled"), ("False", "Healthy")),
        ("rolling", {}, ("True", "Rolling"), ("False", "Healthy")),
        ("waiting", {}, ("True", "Waiting"), ("False", "Healthy")),
        ("held", {}, ("False", "Settled"), ("True", "Held")),
        ("paused", {}, ("False", "Settled"), ("False", "Healthy")),
        # The user has said so: nothing is wrong.
        ("held", {"allowRestart": False}, ("False", "Settled"), ("False", "Healthy")),
    ],
)
def test_a_roll_is_told_from_a_trouble(
    phase: Phase, spec: dict[str, Any], progressing: tuple[str, str], degraded: tuple[str, str]
) -> None:
    found = conditions(status(Progress(Decision(phase=phase, outdated=OLD_PODS)), **spec))
    assert (found["Progressing"], found["Degraded"]) == (progressing, degraded)
    assert found["Ready"] == ("True", "AllReady")


def test_a_step_that_failed_is_said_with_what_it_was_a_part_of() -> None:
    step = Restart(M0, "u", "", evict=True)
    decision = Decision(phase="rolling", message=f"restarting {M0}", outdated=OLD_PODS)
    found = status(Progress(decision, (Done(step, "a budget forbids it"), Done(step))))
    assert found.step == f"restarting {M0}; a budget forbids it"
    assert "a budget forbids it" in message(found)


def test_while_nothing_was_decided_the_last_word_stands() -> None:
    cr = a_broker()
    facts = broker_facts(cr)
    waiting = Decision(phase="waiting", message="waits", outdated=OLD_PODS, waiting={M0: "waits"})
    before = broker_status(cr, facts, DONE, Progress(waiting), NOW)
    cr = msgspec.structs.replace(cr, status=before)
    after = broker_status(cr, facts, DONE, None, NOW)
    assert after.step == "waits"
    assert after.brokers[0].waiting_for == "waits"
    assert conditions(after)["UpToDate"] == ("False", "Waiting")


def row(one: Seen, replica: Seen | None = None) -> BrokerRow:
    """The row of a master, or of the replica if one is given."""
    cr = a_broker()
    facts = broker_facts(cr, {M0: one} | ({R0: replica} if replica is not None else {}))
    rows = broker_status(cr, facts, DONE, None, NOW).brokers
    return rows[1] if replica is not None else rows[0]


def test_a_row_says_what_the_broker_said() -> None:
    found = row(seen(version="V4_9_7"))
    assert (found.version, found.name_servers) == ("4.9.7", NAME_SERVERS.text)
    silent = row(seen(silent=True))
    assert (silent.version, silent.name_servers) == ("", "")


@pytest.mark.parametrize(
    ("one", "current"), [(Seen(), True), (outdated(), False), (seen(state="missing"), False)]
)
def test_a_row_says_whether_a_restart_would_change_something(one: Seen, current: bool) -> None:
    assert row(one).up_to_date is current


@pytest.mark.parametrize(
    ("ahead", "lag"), [(0, 0), (1000, 0), (1 << 20, 1 << 20), (3 << 20, 2 << 20)]
)
def test_a_lag_in_a_row_moves_in_steps(ahead: int, lag: int) -> None:
    """Bytes that move with every message would have the status written all the time."""
    assert row(seen(log_end=ahead), seen(log_end=0)).lag_bytes == lag


def test_brokers_are_counted_by_what_they_run_with_and_which_name_servers_they_use() -> None:
    cr = a_broker()
    facts = broker_facts(cr, {M0: outdated(), R0: seen(name_servers="left:9876")})
    found = broker_status(cr, facts, DONE, None, NOW)
    assert (found.brokers_ready, found.brokers_up_to_date) == (2, 1)
    assert found.name_servers_acknowledged == 1
