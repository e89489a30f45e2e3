"""The supervisor's decisions, and how a process is recognised again."""

import pytest
from control_plane.components import Component
from control_plane.processes import parse_start_ticks
from control_plane.supervisor import (
    FAILED,
    READY,
    STARTING,
    WAITING,
    State,
    after_exit,
    startable,
)

FIRST = Component("first", ("a",))
SECOND = Component("second", ("b",), after=("first",))
ONCE = Component("once", ("c",), once=True)


def names(states: dict[str, State]) -> list[str]:
    return [item.name for item in startable([FIRST, SECOND], states)]


def test_a_component_waits_until_what_it_needs_is_ready() -> None:
    waiting = {"first": State(), "second": State()}
    assert names(waiting) == ["first"]
    assert names({**waiting, "first": State(STARTING, 7)}) == []
    assert names({**waiting, "first": State(READY, 7)}) == ["second"]


def test_nothing_is_started_twice() -> None:
    assert names({"first": State(READY, 7), "second": State(STARTING, 8)}) == []


def test_nothing_starts_after_a_failure_of_what_it_needs() -> None:
    assert names({"first": State(FAILED), "second": State()}) == []


@pytest.mark.parametrize(
    ("component", "code", "state"),
    [(FIRST, 0, FAILED), (FIRST, 1, FAILED), (ONCE, 0, READY), (ONCE, 1, WAITING)],
)
def test_only_what_runs_once_may_end(component: Component, code: int, state: str) -> None:
    assert after_exit(component, code) == state


def test_the_start_time_is_found_behind_any_process_name() -> None:
    tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20"
    assert parse_start_ticks(f"12 (a) b (c d)) {tail}") == 4242
