from __future__ import annotations

import math

import pytest

from controller.leader_lease import Durations
from controller.leader_term import Leadership
from controller.leader_watchdog import Watchdog


class Recorder:
    """A clock that tests set, the end of the process, and faulthandler's timer."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ended: list[str] = []
        self.timer: float | None = math.inf
        self.leadership = Leadership(10.0, end=self.ended.append, now=lambda: self.now)
        self.watchdog = Watchdog(
            self.leadership, Durations(), end=self.ended.append, timer=self._wind_up
        )

    def _wind_up(self, within_s: float | None) -> None:
        self.timer = within_s


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_a_process_that_does_not_lead_is_left_alone(recorder: Recorder) -> None:
    recorder.now = 1e6
    assert recorder.watchdog.look() == 1.0
    assert recorder.timer is None
    assert recorder.ended == []


@pytest.mark.parametrize(
    ("age_s", "next_s", "timer_s", "ends"),
    [
        pytest.param(0.0, 1.0, 12.0, False, id="just renewed"),
        pytest.param(9.9, 1.0, 2.1, False, id="nearly over"),
        pytest.param(10.5, 0.5, 1.5, False, id="the holder itself comes first"),
        pytest.param(11.0, 0.001, 1.0, True, id="time to end it"),
        pytest.param(60.0, 0.001, 0.001, True, id="the process was stopped"),
    ],
)
def test_it_looks_again_when_there_is_something_to_see(
    recorder: Recorder, age_s: float, next_s: float, timer_s: float, *, ends: bool
) -> None:
    recorder.leadership.hold(since=0.0)
    recorder.now = age_s
    assert recorder.watchdog.look() == pytest.approx(next_s)
    assert recorder.timer == pytest.approx(timer_s)
    assert bool(recorder.ended) is ends


def test_after_a_release_the_timer_is_off(recorder: Recorder) -> None:
    recorder.leadership.hold(since=0.0)
    recorder.watchdog.look()
    recorder.leadership.give_up()
    recorder.watchdog.look()
    assert recorder.timer is None


def test_all_ends_lie_between_the_holders_deadline_and_the_end_of_the_lease(
    recorder: Recorder,
) -> None:
    durations = Durations()
    recorder.leadership.hold(since=0.0)
    recorder.watchdog.look()
    assert recorder.timer is not None
    assert durations.renew_s < recorder.timer < durations.lease_s - 1
