from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.leader_lease import (
    LEASES,
    Candidate,
    Durations,
    Record,
    Seen,
    candidate_pause_s,
    holder_pause_s,
    next_record,
    over_at,
    record_of,
    released,
    seen,
    spec_of,
)
from controller.objects import ObjectRef

ME = Candidate(ObjectRef(LEASES, "operators", "rocketmq-operator"), "a_1", Durations())
AT = datetime(2026, 3, 1, 12, 0, 0, 250, tzinfo=UTC)
TIME = "2026-03-01T12:00:00.000250Z"
EARLIER = "2020-01-01T00:00:00.000000Z"


def record(holder: str, **changes: object) -> Record:
    fields = {"duration_s": 15, "acquired": EARLIER, "renewed": EARLIER, "transitions": 4}
    return Record(holder=holder, **{**fields, **changes})


@pytest.mark.parametrize(
    ("known", "now", "expected"),
    [
        pytest.param(None, 0.0, ("a_1", TIME, TIME, 0), id="there is no lease"),
        pytest.param(record(""), 100.0, ("a_1", TIME, TIME, 5), id="nobody's, at once"),
        pytest.param(record("a_1"), 114.0, ("a_1", EARLIER, TIME, 4), id="ours is kept"),
        pytest.param(record("a_1"), 999.0, ("a_1", EARLIER, TIME, 4), id="ours, though over"),
        pytest.param(record("b_1"), 114.9, None, id="another's"),
        pytest.param(record("b_1"), 115.0, ("a_1", TIME, TIME, 5), id="another's, and over"),
        pytest.param(record("b_1", duration_s=60), 159.9, None, id="for as long as it says"),
        pytest.param(record("b_1", duration_s=0), 114.9, None, id="it says nothing: as ours"),
        pytest.param(record("a_2"), 114.9, None, id="an earlier run of this pod is another"),
    ],
)
def test_who_may_write_what(
    known: Record | None, now: float, expected: tuple[str, str, str, int] | None
) -> None:
    found = next_record(ME, Seen(known, "7", 100.0) if known else None, now=now, at=AT)
    shown = found and (found.holder, found.acquired, found.renewed, found.transitions)
    assert shown == expected
    assert found is None or found.duration_s == 15


@given(skew=st.timedeltas(timedelta(days=-999), timedelta(days=999)))
def test_no_clock_in_a_record_changes_who_may_take_the_lease(skew: timedelta) -> None:
    theirs = spec_of(record("b_1", renewed=(AT + skew).isoformat()))
    known = Seen(record_of({"spec": theirs}), "7", 100.0)
    assert next_record(ME, known, now=114.9, at=AT - skew) is None
    assert next_record(ME, known, now=115.1, at=AT - skew) is not None


def test_only_a_write_of_the_lease_starts_its_time_anew() -> None:
    first = seen(None, record("b_1"), "7", 1.0)
    assert seen(first, record("b_1"), "7", 9.0) == first
    assert seen(first, record("b_1"), "8", 9.0) == Seen(record("b_1"), "8", 9.0)


def test_a_released_lease_keeps_its_count_and_is_nobodys_at_once() -> None:
    given_back = released(record("a_1"), at=AT)
    assert given_back == Record(holder="", duration_s=1, acquired=TIME, renewed=TIME, transitions=4)
    assert over_at(Seen(given_back, "7", 7.0), Durations()) == 7.0


def test_a_record_is_read_as_it_was_written_and_an_empty_lease_is_nobodys() -> None:
    spec = spec_of(record("b_1"))
    assert spec == {
        "holderIdentity": "b_1",
        "leaseDurationSeconds": 15,
        "acquireTime": EARLIER,
        "renewTime": EARLIER,
        "leaseTransitions": 4,
    }
    assert record_of({"spec": {**spec, "strategy": "OldestEmulationVersion"}}) == record("b_1")
    assert record_of({}) == record_of({"spec": {"holderIdentity": None}}) == Record()


@pytest.mark.parametrize(
    ("known", "now", "chance", "pause_s"),
    [
        pytest.param(None, 0.0, 0.0, 2.0, id="nothing is known"),
        pytest.param(record("b_1"), 101.0, 0.0, 2.0, id="a retry"),
        pytest.param(record("b_1"), 101.0, 1.0, 2.4, id="a retry, at most"),
        pytest.param(record("b_1"), 114.0, 1.0, 1.0, id="to the end of the lease"),
        pytest.param(record("b_1"), 114.9999, 1.0, 0.1, id="never a busy loop"),
        pytest.param(record("b_1"), 200.0, 0.0, 2.0, id="over, and still not ours"),
        pytest.param(record(""), 101.0, 0.5, 2.2, id="nobody's"),
    ],
)
def test_how_long_a_candidate_waits(
    known: Record | None, now: float, chance: float, pause_s: float
) -> None:
    before = Seen(known, "7", 100.0) if known else None
    found = candidate_pause_s(Durations(), before, now=now, chance=chance)
    assert found == pytest.approx(pause_s)


@pytest.mark.parametrize(("took_s", "pause_s"), [(0.0, 2.0), (0.5, 1.5), (5.0, 0.1)])
def test_a_holders_tries_begin_two_seconds_apart(took_s: float, pause_s: float) -> None:
    assert holder_pause_s(Durations(), took_s=took_s) == pytest.approx(pause_s)


@pytest.mark.parametrize(
    "durations",
    [
        {"lease_s": 10},
        {"renew_s": 15.0},
        {"retry_s": 8.4},
        {"retry_s": 0.0},
        {"retry_s": float("nan")},
    ],
)
def test_durations_that_overlap_are_refused(durations: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="does not hold"):
        Durations(**durations)
