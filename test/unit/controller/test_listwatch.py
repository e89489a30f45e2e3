from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.errors import (
    ApiError,
    ForbiddenError,
    GoneError,
    InvalidError,
    MalformedError,
    NotFoundError,
    SilentError,
    ThrottledError,
    UnauthorizedError,
    UnreachableError,
)
from controller.listwatch import (
    FIRST_WAIT_S,
    LONGEST_RETRY_AFTER_S,
    LONGEST_WAIT_S,
    Ended,
    Failed,
    Failure,
    Listed,
    ListRequest,
    Outcome,
    State,
    Step,
    WatchRequest,
    advance,
    bookmark_version,
    failed,
    observed,
    start,
    watch_event,
)


def watching(resource_version: str = "100") -> State:
    state, _ = start()
    state, _ = advance(state, Listed(resource_version), now=0.0, random=0.0)
    return state


def after(state: State, *outcomes: Outcome, now: float = 0.0, random: float = 0.0) -> Step:
    for outcome in outcomes:
        state, step = advance(state, outcome, now=now, random=random)
    return step


def test_the_first_request_is_a_list_from_the_watch_cache_at_once() -> None:
    assert start()[1] == Step(ListRequest("0"), 0.0)


def test_a_complete_list_is_followed_by_a_watch_from_its_version_at_once() -> None:
    assert after(start()[0], Listed("100")) == Step(WatchRequest("100", 300), 0.0)


@pytest.mark.parametrize(("random", "timeout_s"), [(0.0, 300), (0.5, 450), (0.9999, 599)])
def test_watches_end_after_five_to_ten_minutes(random: float, timeout_s: int) -> None:
    step = after(start()[0], Listed("1"), random=random)
    assert step.request == WatchRequest("1", timeout_s)


def test_a_watch_that_ended_goes_on_at_once_from_the_last_version() -> None:
    state = observed(watching("100"), "107")
    assert after(state, Ended(412.0)) == Step(WatchRequest("107", 300), 0.0)


def test_a_short_watch_that_brought_something_goes_on_at_once() -> None:
    assert after(observed(watching("100"), "101"), Ended(0.1)).wait_s == 0.0


def test_what_an_earlier_watch_brought_does_not_excuse_a_short_one() -> None:
    state, _ = advance(observed(watching("100"), "101"), Ended(0.1), now=0.0, random=0.0)
    assert after(state, Ended(0.1)).wait_s == FIRST_WAIT_S


def test_very_short_watches_without_an_event_wait_longer_each_time_and_do_not_list() -> None:
    state, waits = watching(), []
    for _ in range(8):
        state, step = advance(state, Ended(0.1), now=1.0, random=0.0)
        assert isinstance(step.request, WatchRequest)
        waits.append(step.wait_s)
    assert waits == [0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0, 15.0]


def test_jitter_adds_at_most_as_much_again_and_never_passes_the_longest_wait() -> None:
    state, waits = watching(), []
    for _ in range(8):
        state, step = advance(state, Failed(Failure.UNAVAILABLE), now=1.0, random=0.9999)
        waits.append(round(step.wait_s, 1))
    assert waits == [1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0]


@pytest.mark.parametrize(
    "error",
    [
        UnreachableError("connection refused"),
        ThrottledError("slow down", status=429),
        ApiError("etcd is slow", status=500),
        ApiError("overloaded", status=503),
        UnauthorizedError("token expired", status=401),
        SilentError("no byte"),
    ],
)
def test_a_watch_refused_or_cut_is_made_again_from_the_same_version(error: ApiError) -> None:
    step = after(watching("100"), failed(error, lasted_s=2.0))
    assert step == Step(WatchRequest("100", 300), FIRST_WAIT_S)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (GoneError("too old", status=410), Failure.EXPIRED),
        (MalformedError("garbage"), Failure.MALFORMED),
        (NotFoundError("no such kind", status=404), Failure.NOT_SERVED),
        (ForbiddenError("no grant", status=403), Failure.NOT_SERVED),
        (InvalidError("what?", status=400), Failure.NOT_SERVED),
    ],
)
def test_a_watch_that_cannot_go_on_is_followed_by_a_list_not_older_than_it(
    error: ApiError, cause: Failure
) -> None:
    step = after(observed(watching("100"), "105"), failed(error, lasted_s=2.0))
    assert step == Step(ListRequest("105", cause), FIRST_WAIT_S)


@pytest.mark.parametrize(
    "error",
    [
        GoneError("too old", status=410),
        ApiError("Too large resource version: 105, current: 3", status=504, reason="Timeout"),
    ],
)
def test_a_list_whose_version_is_unknown_to_the_server_becomes_a_quorum_read(
    error: ApiError,
) -> None:
    gone = Failed(Failure.EXPIRED)
    state, _ = advance(watching("105"), gone, now=0.0, random=0.0)
    state, step = advance(state, failed(error, lasted_s=0.1), now=0.0, random=0.0)
    assert step.request == ListRequest("", Failure.EXPIRED)
    state, step = advance(state, Failed(Failure.UNAVAILABLE), now=0.0, random=0.0)
    assert step.request == ListRequest("", Failure.EXPIRED)
    assert after(state, Listed("3")).request == WatchRequest("3", 300)


def test_a_later_relist_after_a_quorum_read_starts_from_the_last_version_again() -> None:
    gone = Failed(Failure.EXPIRED)
    step = after(watching("5"), gone, gone, Listed("50"), gone)
    assert step.request == ListRequest("50", Failure.EXPIRED)


def test_a_first_list_that_fails_is_made_again_from_the_watch_cache() -> None:
    step = after(start()[0], Failed(Failure.NOT_SERVED), Failed(Failure.UNAVAILABLE))
    assert step == Step(ListRequest("0"), 1.6)


def test_what_the_server_asks_us_to_wait_is_waited_if_it_is_longer_and_bearable() -> None:
    error = ThrottledError("slow down", status=429, retry_after_s=7.0)
    assert after(watching(), failed(error, lasted_s=0.0)).wait_s == 7.0
    error = ThrottledError("slow down", status=429, retry_after_s=0.0)
    assert after(watching(), failed(error, lasted_s=0.0)).wait_s == FIRST_WAIT_S
    error = ThrottledError("slow down", status=429, retry_after_s=86400.0)
    assert after(watching(), failed(error, lasted_s=0.0)).wait_s == LONGEST_RETRY_AFTER_S


def test_two_quiet_minutes_make_the_next_failure_the_first_again() -> None:
    state, refused = watching(), Failed(Failure.UNAVAILABLE)
    for _ in range(5):
        state, step = advance(state, refused, now=1000.0, random=0.0)
    assert step.wait_s == 12.8
    assert after(state, refused, now=1000.0 + 12.8 + 119.0).wait_s == 15.0
    assert after(state, refused, now=1000.0 + 12.8 + 121.0).wait_s == FIRST_WAIT_S


def test_watches_that_break_once_a_minute_are_resumed_without_growing_waits() -> None:
    state, now, waits = watching(), 0.0, []
    for _ in range(5):
        now += 60.0
        state, step = advance(state, Failed(Failure.UNAVAILABLE, 60.0), now=now, random=0.0)
        waits.append(step.wait_s)
    assert waits == [FIRST_WAIT_S] * 5


def test_a_bookmark_that_is_behind_does_not_turn_the_version_back() -> None:
    assert observed(watching("100"), "99").resource_version == "100"
    assert observed(watching("99"), "100").resource_version == "100"


def test_versions_that_are_no_numbers_are_taken_as_they_come() -> None:
    assert observed(watching("b-2"), "a-1").resource_version == "a-1"
    assert observed(watching("b-2"), "").resource_version == "b-2"


outcomes = st.one_of(
    st.builds(Listed, st.integers(1, 10**6).map(str)),
    st.builds(Ended, st.floats(0, 600)),
    st.builds(
        Failed, st.sampled_from(Failure), st.floats(0, 600), st.one_of(st.just(0.0), st.floats(0))
    ),
)
events = st.lists(st.integers(0, 10**6).map(str), max_size=3)
fractions = st.floats(0, 1, exclude_max=True)
Course = list[tuple[list[str], Outcome, float, float]]
courses = st.lists(st.tuples(events, outcomes, st.floats(0, 500), fractions), max_size=30)


def fitting(outcome: Outcome, *, is_list: bool) -> Outcome:
    """What may come of a list, or of a watch."""
    if isinstance(outcome, Listed) and not is_list:
        return Ended(5.0)
    if isinstance(outcome, Ended) and is_list:
        return Failed(Failure.UNAVAILABLE)
    return outcome


def worked(outcome: Outcome, *, brought_something: bool) -> bool:
    """Whether it was what one hopes for."""
    if isinstance(outcome, Ended):
        return outcome.lasted_s >= 1.0 or brought_something
    return isinstance(outcome, Listed)


@settings(max_examples=200)
@given(courses)
def test_no_sequence_of_answers_makes_a_busy_loop_or_turns_the_version_back(course: Course) -> None:
    state, step = start()
    now = 0.0
    for seen, drawn, passed_s, random in course:
        is_list = isinstance(step.request, ListRequest)
        outcome = fitting(drawn, is_list=is_list)
        for version in () if is_list else seen:
            before = int(state.resource_version)
            state = observed(state, version)
            assert int(state.resource_version) == max(before, int(version))
        brought_something = state.progressed
        before = state.resource_version
        now += passed_s
        state, step = advance(state, outcome, now=now, random=random)

        if worked(outcome, brought_something=brought_something):
            assert step.wait_s == 0.0
        else:
            assert FIRST_WAIT_S <= step.wait_s <= max(LONGEST_WAIT_S, LONGEST_RETRY_AFTER_S)
        if isinstance(step.request, WatchRequest):
            assert step.request.resource_version == state.resource_version != ""
            assert 300 <= step.request.timeout_s < 600
        if isinstance(outcome, Listed):
            assert state.resource_version == outcome.resource_version
        else:
            assert state.resource_version == before


def line(event_type: str, /, **fields: object) -> bytes:
    return msgspec.json.encode({"type": event_type, "object": fields})


def test_an_event_gives_its_type_and_the_bytes_of_its_object() -> None:
    event = watch_event(line("ADDED", metadata={"name": "a"}))
    assert (event.type, bytes(event.object)) == ("ADDED", b'{"metadata":{"name":"a"}}')


def test_a_bookmark_gives_its_version() -> None:
    event = watch_event(line("BOOKMARK", kind="Broker", metadata={"resourceVersion": "12"}))
    assert bookmark_version(event) == "12"


def test_an_error_event_is_raised_as_the_error_of_its_code() -> None:
    gone = line("ERROR", kind="Status", code=410, reason="Expired", message="too old (1)")
    with pytest.raises(GoneError, match=r"^too old \(1\)$"):
        watch_event(gone)


def test_an_error_event_may_say_how_long_to_wait() -> None:
    details = {"retryAfterSeconds": 3}
    with pytest.raises(ThrottledError) as raised:
        watch_event(line("ERROR", code=429, message="slow down", details=details))
    assert raised.value.retry_after_s == 3


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"<html>",
        b'{"type":"ADDED"}',
        b'{"type":"ADDED","object":{',
        b"[]",
        b'"ADDED"',
        b"\xff",
    ],
)
def test_a_line_that_is_no_event_is_malformed(garbage: bytes) -> None:
    with pytest.raises(MalformedError):
        watch_event(garbage)


def test_an_error_event_without_a_status_is_malformed() -> None:
    with pytest.raises(MalformedError):
        watch_event(b'{"type":"ERROR","object":[]}')


@pytest.mark.parametrize("fields", [{}, {"metadata": {}}, {"metadata": {"resourceVersion": 5}}])
def test_a_bookmark_without_a_version_is_malformed(fields: dict[str, object]) -> None:
    with pytest.raises(MalformedError):
        bookmark_version(watch_event(line("BOOKMARK", **fields)))
