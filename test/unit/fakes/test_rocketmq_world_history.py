from __future__ import annotations

from fakes.rocketmq_world_history import Event, Outage, What, most_at_once, outages


def event(at: float, what: What, pod: str = "a", group: str = "g") -> Event:
    return Event(at, what, pod, group)


def test_an_outage_lasts_from_the_end_of_a_server_until_it_serves_again() -> None:
    course: list[What] = ["started", "serving", "stopped", "started", "serving", "crashed"]
    events = [event(at, what) for at, what in enumerate(course)]
    assert outages(events) == [Outage("a", "g", 2, 4), Outage("a", "g", 5, None)]


def test_a_first_start_and_a_failing_probe_are_no_outage() -> None:
    course: list[What] = ["started", "serving", "failing", "serving"]
    assert outages([event(at, what) for at, what in enumerate(course)]) == []
    assert outages([event(0, "started"), event(1, "crashed")]) == []


def test_an_end_before_it_served_again_prolongs_the_outage() -> None:
    course: list[What] = ["serving", "stopped", "started", "stopped", "started", "serving"]
    events = [event(at, what) for at, what in enumerate(course)]
    assert outages(events) == [Outage("a", "g", 1, 5)]


def test_outages_that_follow_each_other_are_one_at_once() -> None:
    one, two = Outage("a", "g", 0, 2), Outage("b", "g", 2, 4)
    assert most_at_once([one, two]) == 1
    assert most_at_once([one, two, Outage("c", "g", 1, None)]) == 2
    assert most_at_once([]) == 0
