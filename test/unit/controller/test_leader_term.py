from __future__ import annotations

import math
import time

import pytest

from controller.leader_term import Leadership, NotLeadingError, clock, unguarded


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Ended:
    """What was said at the end of the process."""

    def __init__(self) -> None:
        self.why: list[str] = []

    def __call__(self, why: str) -> None:
        self.why.append(why)


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def ended() -> Ended:
    return Ended()


@pytest.fixture
def leadership(now: Clock, ended: Ended) -> Leadership:
    return Leadership(10.0, end=ended, now=now)


def test_before_its_term_a_process_may_not_write_and_goes_on(
    leadership: Leadership, ended: Ended
) -> None:
    with pytest.raises(NotLeadingError):
        leadership.require()
    assert not leadership.leading
    assert leadership.left_s() == math.inf
    assert ended.why == []


def test_a_term_counts_from_the_start_of_the_request_that_renewed_it(
    leadership: Leadership, now: Clock
) -> None:
    assert leadership.hold(since=996.0)
    assert leadership.left_s() == 6.0
    now.now = 1005.9
    leadership.require()
    assert leadership.hold(since=1005.0)
    assert leadership.left_s() == pytest.approx(9.1)


def test_a_term_that_ran_out_ends_the_process_before_the_next_write(
    leadership: Leadership, now: Clock, ended: Ended
) -> None:
    leadership.hold(since=1000.0)
    now.now = 1010.0
    with pytest.raises(NotLeadingError, match="not renewed in time"):
        leadership.require()
    assert ended.why == ["the Lease was not renewed in time"]


def test_no_term_begins_with_an_answer_that_comes_too_late(
    leadership: Leadership, now: Clock
) -> None:
    assert not leadership.hold(since=990.0)
    assert not leadership.leading


def test_a_late_answer_does_not_save_a_term_that_ran_out(
    leadership: Leadership, now: Clock
) -> None:
    leadership.hold(since=1000.0)
    now.now = 1020.0
    leadership.hold(since=1005.0)
    assert leadership.left_s() == -5.0


def test_after_it_gave_up_a_process_may_not_write_and_goes_on(
    leadership: Leadership, now: Clock, ended: Ended
) -> None:
    leadership.hold(since=1000.0)
    leadership.give_up()
    now.now = 1999.0
    with pytest.raises(NotLeadingError):
        leadership.require()
    assert ended.why == []


def test_without_an_election_everything_may_be_written() -> None:
    unguarded()


def test_the_clock_runs_as_fast_as_the_monotonic_one() -> None:
    before = clock() - time.monotonic()
    assert clock() - time.monotonic() == pytest.approx(before, abs=1.0)
