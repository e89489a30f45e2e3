"""A report says what was lost, came twice or out of order, and nothing else."""

from __future__ import annotations

from fakes.rocketmq_load_report import Acknowledged, Received, Report


def acked(number: int, *, key: int = -1, at: float = 0.0) -> Acknowledged:
    return Acknowledged(number, key, "a-0", 0, number, delayed=False, at=at)


def had(number: int, offset: int, *, broker: str = "a-0", group: str = "g") -> Received:
    return Received(group, number, broker, "t", 0, offset, 0.0)


def test_what_a_group_did_not_have_is_missing() -> None:
    report = Report(("g", "h"), (acked(0), acked(1)), (had(0, 0), had(1, 1, group="h")), ())
    assert report.all_missing == {"g": {1}, "h": {0}}
    assert report.missing("g") == {1}
    assert "missing {'g': '1 (1)'" in str(report)


def test_what_comes_again_is_a_duplicate_and_not_out_of_order() -> None:
    again = (had(0, 0), had(1, 1), had(0, 0), had(1, 1), had(2, 2))
    report = Report(("g",), (acked(0), acked(1), acked(2)), again, ())
    assert report.duplicates == {"g": 2}
    assert report.reordered == []


def test_what_comes_first_after_a_later_one_of_its_queue_is_out_of_order() -> None:
    report = Report(("g",), (acked(0), acked(1)), (had(1, 1), had(0, 0)), ())
    assert [one.number for one in report.reordered] == [0]
    apart = Report(("g",), (acked(0), acked(1)), (had(1, 1), had(0, 0, broker="b-0")), ())
    assert apart.reordered == []


def test_a_queue_that_is_made_anew_is_another_one() -> None:
    anew = (had(0, 0), had(1, 1), had(2, 2), had(7, 0), had(8, 1), had(9, 2))
    assert Report(("g",), (), anew, ()).reordered == []
    mixed = (*anew[:3], had(8, 1), had(7, 0), had(9, 2))
    assert [one.number for one in Report(("g",), (), mixed, ()).reordered] == [7]


def test_numbers_need_not_rise_in_a_queue() -> None:
    """In a retry queue messages stand in the order in which they failed."""
    retried = (had(9, 0), had(3, 2), had(5, 1))
    assert [one.number for one in Report(("g",), (), retried, ()).reordered] == [5]


def test_the_order_of_a_key_holds_over_brokers() -> None:
    sent = (acked(0, key=1), acked(1, key=2), acked(2, key=1))
    good = (had(0, 0), had(2, 0, broker="b-0"), had(1, 9), had(0, 0))
    assert Report(("g",), sent, good, ()).key_disorder("g") == []
    bad = (had(2, 0, broker="b-0"), had(0, 0), had(1, 9))
    assert Report(("g",), sent, bad, ()).key_disorder("g") == [0]


def test_the_longest_gap_is_between_acknowledgements() -> None:
    report = Report((), (acked(0), acked(1, at=2.0), acked(2, at=2.5)), (), ("0: refused",))
    assert report.longest_send_gap_s == 2.0
    assert report.by_broker == {"a-0": 3}
