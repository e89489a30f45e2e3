from datetime import timedelta
from typing import Any

import msgspec
import pytest

from fakes.gate_facts import NOW, Seen, a_broker, broker_facts, moved, seen
from reconcilers.facts import BrokerAnswer
from reconcilers.steps.decision import MoveWrites, NoteWrites, RestoreWrites, WritesMoved
from reconcilers.steps.members import MemberState, member_states
from reconcilers.steps.writes import permission_of, quieting, restoring

POD, UID, ADDRESS = "broker-0-master-0", "uid of broker-0-master-0", "ip-of-broker-0-master-0:10911"
REFRESH_S = 60.0


def master(**changes: Any) -> MemberState:
    cr = a_broker(1, 0)
    return member_states(cr, broker_facts(cr, {POD: seen(**changes)}))[0]


def an_answer(permission: str) -> BrokerAnswer:
    settings = {"brokerPermission": permission}
    return BrokerAnswer(version="V5_3_3", boot_time_ms=0, log_end=0, settings=settings)


@pytest.mark.parametrize(
    ("text", "permission"), [("6", 6), ("4", 4), ("2", 2), ("0", 0), ("", 6), ("rw", 6), ("-1", 6)]
)
def test_a_permission_that_nobody_can_read_counts_as_all(text: str, permission: int) -> None:
    assert permission_of(an_answer(text)) == permission


@pytest.mark.parametrize(("before", "after"), [("6", "4"), ("4", "4"), ("2", "0")])
def test_first_the_write_bit_goes_and_a_note_keeps_what_was(before: str, after: str) -> None:
    quiet = quieting(master(permission=before, log_end=77), REFRESH_S, NOW)
    assert quiet is not None
    note = WritesMoved(since=NOW, permission=before, log_end=77, still_since=NOW)
    assert quiet.step == MoveWrites(POD, UID, ADDRESS, note, after)


def test_an_operator_that_died_between_the_note_and_the_broker_begins_anew() -> None:
    """The time counts from when the broker was told; the permission is the one before the note."""
    state = master(**moved(3600) | {"permission": "6"}, log_end=5)
    original = WritesMoved(since=NOW, permission="2", log_end=5, still_since=NOW)
    assert state.note is not None
    state = msgspec.structs.replace(state, note=msgspec.structs.replace(original, log_end=1))
    quiet = quieting(state, REFRESH_S, NOW)
    assert quiet is not None
    assert quiet.step == MoveWrites(POD, UID, ADDRESS, original, "4")


@pytest.mark.parametrize(
    ("ago_s", "still_s", "log_end", "waits"),
    [
        # Until shortly before the end nothing is looked at but the time.
        (0, 0, 1000, "producers have until 12:01:00 to leave"),
        (54, 54, 1000, "producers have until 12:00:06 to leave"),
        (54, 54, 2000, "producers have until 12:00:06 to leave"),
        # Then the log has to stand still, for 5 s and at least until the end.
        (56, 56, 1000, "has to stand still for a moment"),
        (59.9, 59.9, 1000, "has to stand still for a moment"),
        (60, 60, 1000, None),
        (70, 4.9, 1000, "has to stand still for a moment"),
        (70, 5, 1000, None),
        # A log that grows is looked at again ...
        (70, 5, 1001, "is still written to"),
        (179, 0, 1001, "is still written to"),
        # ... but not for ever: delayed messages and the broker's own topics may keep it growing.
        (180, 0, 1001, None),
        (180, 10, 1001, None),
        # That it grew while nobody looked is no proof.
        (180, 11, 1001, "is still written to"),
        (180, 4, 1000, "has to stand still for a moment"),
    ],
)
def test_producers_have_left_when_time_is_up_and_the_log_stands_still(
    ago_s: float, still_s: float, log_end: int, waits: str | None
) -> None:
    state = master(**moved(ago_s, still_s=still_s), log_end=log_end)
    quiet = quieting(state, REFRESH_S, NOW)
    if waits is None:
        assert quiet is None
    else:
        assert quiet is not None
        assert waits in quiet.message


def test_a_log_that_grew_is_noted_with_the_time() -> None:
    state = master(**moved(70, log_end=1000), log_end=1500)
    quiet = quieting(state, REFRESH_S, NOW)
    assert quiet is not None
    assert state.note is not None
    fresh = msgspec.structs.replace(state.note, log_end=1500, still_since=NOW)
    assert quiet.step == NoteWrites(POD, UID, fresh)
    later = msgspec.structs.replace(state, note=fresh)
    assert quieting(later, REFRESH_S, NOW + timedelta(seconds=4)) is not None
    assert quieting(later, REFRESH_S, NOW + timedelta(seconds=5)) is None


@pytest.mark.parametrize(("refresh_s", "enough_s"), [(0, 0), (2, 2), (5, 5), (8, 8)])
def test_the_log_has_to_stand_still_no_longer_than_the_user_waits_for_producers(
    refresh_s: float, enough_s: float
) -> None:
    note = moved(enough_s - 0.1, still_s=enough_s - 0.1)
    assert quieting(master(**note), refresh_s, NOW) is not None
    assert quieting(master(**moved(enough_s, still_s=enough_s)), refresh_s, NOW) is None


def test_a_wait_is_looked_at_again_when_it_may_be_over() -> None:
    quiet = quieting(master(**moved(20)), REFRESH_S, NOW)
    assert quiet is not None
    assert quiet.again_after_s == 40.0


def test_a_note_of_a_clock_that_was_ahead_is_made_anew() -> None:
    quiet = quieting(master(**moved(-3600)), REFRESH_S, NOW)
    assert quiet is not None
    note = WritesMoved(since=NOW, permission="6", log_end=1000, still_since=NOW)
    assert quiet.step == MoveWrites(POD, UID, ADDRESS, note, "4")


def test_what_was_noted_is_given_back() -> None:
    assert restoring(master(**moved(5))) == RestoreWrites(POD, UID, ADDRESS, "6")


@pytest.mark.parametrize(
    "one",
    [Seen(), Seen(**moved(5), silent=True), Seen(**moved(5), state="missing")],
)
def test_nothing_is_given_back_to_a_broker_that_kept_it_or_cannot_be_told(one: Seen) -> None:
    cr = a_broker(1, 0)
    assert restoring(member_states(cr, broker_facts(cr, {POD: one}))[0]) is None
