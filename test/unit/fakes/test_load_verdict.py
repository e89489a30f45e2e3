from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.load_journal import (
    SEND_OK,
    Ack,
    Begin,
    Corrupt,
    End,
    Failure,
    Line,
    Receipt,
    Stopped,
    Undone,
)
from fakes.load_verdict import EARLY_MS, EvidenceError, Journals, Verdict, awaited, verdict


def ack(sequence: int, at_ms: int = 0, status: str = SEND_OK, **place: Any) -> Ack:
    shard, broker = place.get("shard", 0), place.get("broker", "broker-0")
    offset = place.get("offset", sequence)
    return Ack(at_ms, sequence, shard, status, "id", broker, place.get("queue", 0), offset)


def got(sent: Ack, at_ms: int = 0) -> Receipt:
    return Receipt(at_ms, sent.sequence, sent.shard, sent.broker, sent.queue, sent.offset)


def failed(sequence: int, kind: str = "RemotingTimeoutException") -> Failure:
    return Failure(0, sequence, 0, kind, "text")


def whole(lines: Sequence[Line], at_ms: int = 0, *, told: bool = True) -> list[Line]:
    return [Begin(0), *lines, End(at_ms, told=told, lines=len(lines) + 1)]


def judged(
    produced: Sequence[Line],
    consumed: Sequence[Line],
    stored: Sequence[Line] | None = None,
    at_ms: int = 0,
) -> Verdict:
    stored = consumed if stored is None else stored
    return verdict(Journals(whole(produced, at_ms), whole(consumed), whole(stored)))


ONE, TWO, THREE = ack(1), ack(2), ack(3)
ALL = [ONE, TWO, THREE]


def test_nothing_is_lost_when_everything_acknowledged_was_received_and_is_stored() -> None:
    seen = judged(ALL, [got(one) for one in ALL])
    assert (seen.lost, seen.lost_unconfirmed, seen.erased) == (set(), set(), set())
    assert (seen.sent, seen.acked, seen.received, seen.failed) == (3, 3, 3, 0)
    assert (seen.duplicates, seen.reordered) == (0, 0)


def test_an_acknowledged_message_that_the_consumer_never_got_is_lost() -> None:
    seen = judged(ALL, [got(ONE), got(THREE)], stored=[got(one) for one in ALL])
    assert (seen.lost, seen.erased) == ({2}, set())
    assert "lost 1 (2)," in str(seen)


def test_a_message_that_was_received_and_is_in_no_broker_any_more_is_erased() -> None:
    seen = judged(ALL, [got(one) for one in ALL], stored=[got(ONE)])
    assert (seen.lost, seen.erased) == (set(), {2, 3})


def test_a_failed_send_is_not_lost_whether_it_was_stored_or_not() -> None:
    stored_all_the_same = Receipt(0, 8, 0, "broker-0", 0, 8)
    seen = judged([ONE, failed(8), failed(9, "other")], [got(ONE), stored_all_the_same])
    assert (seen.lost, seen.erased, seen.failed, seen.sent) == (set(), set(), 2, 3)
    assert seen.errors == {"RemotingTimeoutException": 1, "other": 1}
    assert (seen.received, seen.duplicates) == (2, 0)


def test_a_send_that_was_stored_with_less_than_asked_for_is_told_apart() -> None:
    weak = [ack(2, status="SLAVE_NOT_AVAILABLE"), ack(3, status="FLUSH_SLAVE_TIMEOUT")]
    seen = judged([ONE, *weak], [got(ONE), got(weak[1])])
    assert (seen.acked, seen.sent, seen.failed) == (1, 3, 0)
    assert seen.unconfirmed == {"SLAVE_NOT_AVAILABLE": 1, "FLUSH_SLAVE_TIMEOUT": 1}
    assert (seen.lost, seen.lost_unconfirmed, seen.erased) == (set(), {2}, set())


def test_every_reception_beyond_the_first_is_a_duplicate() -> None:
    elsewhere = Receipt(0, 1, 0, "broker-1", 3, 7)
    assert judged([ONE, TWO], [got(ONE), got(ONE), got(TWO), elsewhere]).duplicates == 2


OTHER_QUEUE = ack(4, queue=1, offset=0)
ANEW = [ack(6 + offset, offset=offset) for offset in (1, 2, 3)]


@pytest.mark.parametrize(
    ("acks", "receipts", "reordered"),
    [
        (ALL, [ONE, THREE, TWO], 1),
        (ALL, [THREE, TWO, ONE], 2),
        ([*ALL, OTHER_QUEUE], [OTHER_QUEUE, *ALL], 0),
        # Redelivered from the last offset that the group had stored.
        (ALL, [ONE, TWO, ONE, TWO, THREE], 0),
        # Offsets that are given a second time, after a broker lost its tail.
        ([ONE, ack(5, offset=1)], [ONE, ack(5, offset=1)], 0),
        ([ack(5, offset=6), ack(6, offset=5)], [ack(5, offset=6), ack(6, offset=5)], 1),
        # A topic that was deleted and is back: another message stands at the first place.
        ([*ALL, *ANEW], [*ALL, *ANEW], 0),
        ([*ALL, *ANEW], [*ALL, ANEW[0], ANEW[2], ANEW[1]], 1),
        # One sender's messages, stored in another order than they were sent in.
        ([ack(5, offset=6), ack(6, offset=5)], [ack(6, offset=5), ack(5, offset=6)], 1),
        # Of two senders there is no order.
        (
            [ack(5, shard=1, offset=6), ack(6, offset=5)],
            [ack(6, offset=5), ack(5, shard=1, offset=6)],
            0,
        ),
        # The copy of an attempt that timed out comes before the one that was acknowledged.
        ([ONE, TWO], [ack(2, offset=0), ONE, TWO], 0),
    ],
)
def test_order_is_judged_inside_a_queue_and_by_first_receptions(
    acks: list[Ack], receipts: list[Ack], reordered: int
) -> None:
    assert judged(acks, [got(one) for one in receipts]).reordered == reordered


@pytest.mark.parametrize(
    ("receipts", "out_of_turn"),
    [
        ([ONE, TWO, THREE, ack(4, queue=1, offset=0)], 0),
        ([ack(4, queue=1, offset=0), ONE, TWO, THREE], 3),
        ([ONE, ack(4, queue=1, offset=0), TWO, TWO], 1),
    ],
)
def test_a_senders_messages_are_in_turn_whatever_queue_they_were_in(
    receipts: list[Ack], out_of_turn: int
) -> None:
    acks = [*ALL, ack(4, queue=1, offset=0)]
    assert judged(acks, [got(one) for one in receipts]).out_of_turn == out_of_turn


def test_the_longest_gap_of_sending_reaches_from_the_first_answer_to_the_end() -> None:
    acks = [ack(1, 5_000), ack(2, 6_500, "FLUSH_SLAVE_TIMEOUT"), ack(3, 7_000)]
    receipts = [got(one) for one in acks]
    assert judged(acks, receipts, at_ms=7_100).longest_send_gap_s == 1.5
    # A producer that fails until it is stopped.
    late = judged([*acks, failed(4)], receipts, at_ms=20_000)
    assert (late.longest_send_gap_s, late.duration_s) == (13.0, 15.0)
    # One that waits to be asked about its transactions sends nothing any more.
    waited = judged([*acks, Stopped(7_200)], receipts, at_ms=40_000)
    assert (waited.longest_send_gap_s, waited.duration_s) == (1.5, 2.2)


def test_the_longest_gap_of_receiving_is_between_two_receptions() -> None:
    receipts = [got(ONE, 1_000), got(TWO, 1_250), got(THREE, 9_250)]
    assert judged(ALL, receipts, at_ms=60_000).longest_receive_gap_s == 8.0
    assert judged([ONE], []).longest_receive_gap_s == 0.0


def test_what_each_broker_acknowledged_is_counted() -> None:
    acks = [ONE, ack(2, broker="broker-1"), ack(3, broker="broker-1")]
    assert judged(acks, []).acked_by_broker == {"broker-0": 1, "broker-1": 2}


LATER = Ack(0, 4, 0, SEND_OK, "id", "broker-0", 0, 2, "delayed", 10_000)


def test_special_messages_are_counted_by_kind_and_have_no_place_in_the_order_of_a_queue() -> None:
    receipts = [got(one) for one in (THREE, LATER)]
    # Its place in the broker's own topic is by chance that of another message.
    seen = judged([THREE, LATER], receipts)
    assert (seen.acked_by_kind, seen.reordered, seen.lost) == ({"delayed": 1}, 0, set())


@pytest.mark.parametrize(("at_ms", "early"), [(9_000, set()), (10_000 - EARLY_MS - 1, {4})])
def test_a_message_that_comes_before_its_time_is_told(at_ms: int, early: set[int]) -> None:
    seen = judged([LATER], [got(LATER, 11_000)], [got(LATER, at_ms)])
    assert seen.early == early
    assert f"early {len(early)}" in str(seen)


def test_a_transaction_that_was_rolled_back_is_received_by_nobody() -> None:
    undone = Undone(0, 9, 0)
    seen = judged([ONE, undone], [got(ONE)])
    assert (seen.sent, seen.acked, seen.lost, seen.revived) == (2, 1, set(), set())
    revived = Receipt(0, 9, 0, "broker-0", 0, 9)
    assert judged([ONE, undone], [got(ONE)], [got(ONE), revived]).revived == {9}
    with pytest.raises(EvidenceError, match="given twice"):
        judged([ONE, Undone(0, 1, 0)], [got(ONE)])


def test_further_groups_are_to_get_everything_that_was_acknowledged_however_well() -> None:
    weak = ack(2, status="FLUSH_SLAVE_TIMEOUT")
    both = [got(ONE), got(weak)]
    journals = Journals(
        whole([ONE, weak]),
        whole(both),
        whole(both),
        {"slow": whole(both), "offline": whole([got(ONE)])},
    )
    assert awaited(journals) == {2}
    seen = verdict(journals)
    assert (seen.lost, seen.missed) == (set(), {"offline": {2}})
    assert "offline missed 1 (2)" in str(seen)


def test_what_nobody_looked_for_is_not_erased() -> None:
    journals = Journals(whole([ONE, TWO]), whole([got(ONE)]), None)
    assert awaited(journals) == {2}
    assert (verdict(journals).lost, verdict(journals).erased) == ({2}, set())


GOOD = Journals(whole([ONE]), whole([got(ONE)]), whole([got(ONE)]))


@pytest.mark.parametrize("field", ["produced", "consumed", "stored", "others"])
@pytest.mark.parametrize(
    ("journal", "why"),
    [
        ([], "has no end"),
        ([Begin(0), ONE], "has no end"),
        ([Begin(0), End(0, told=True, lines=2)], "1 lines of 2"),
        (whole([ONE], told=False), "time limit"),
        (whole([Corrupt(0, "1 under the key 2")]), "1 under the key 2"),
    ],
)
def test_no_client_may_have_died_or_ended_early_or_received_what_was_not_sent(
    field: str, journal: list[Line], why: str
) -> None:
    assert verdict(GOOD).lost == set()
    other = {"slow": journal} if field == "others" else journal
    with pytest.raises(EvidenceError, match=why):
        verdict(msgspec.structs.replace(GOOD, **{field: other}))


@pytest.mark.parametrize(
    ("produced", "consumed", "why"),
    [
        ([], [], "none was acknowledged"),
        ([failed(1)], [], "none was acknowledged"),
        ([ack(1, status="FLUSH_DISK_TIMEOUT")], [], "none was acknowledged"),
        ([ONE, ONE], [], "given twice"),
        ([ONE, failed(1)], [], "given twice"),
        ([ONE], [got(TWO)], "nobody sent"),
    ],
)
def test_a_load_that_did_not_run_as_it_should_has_no_verdict(
    produced: list[Line], consumed: list[Line], why: str
) -> None:
    with pytest.raises(EvidenceError, match=why):
        judged(produced, consumed)


def test_the_wait_ends_when_both_readers_have_what_was_acknowledged() -> None:
    produced = [ONE, ack(2, status="FLUSH_SLAVE_TIMEOUT"), failed(3)]
    both = [got(ONE), got(TWO)]
    assert awaited(Journals(produced, both, both)) == set()
    assert awaited(Journals(produced, both, [got(ONE)])) == {2}
    assert awaited(Journals(produced, [], both)) == {1, 2}


@settings(max_examples=60)
@given(
    count=st.integers(1, 40),
    dropped=st.sets(st.integers(0, 39)),
    erased=st.sets(st.integers(0, 39)),
    again=st.lists(st.integers(0, 39), max_size=10),
)
def test_exactly_what_a_reader_never_had_is_reported(
    count: int, dropped: set[int], erased: set[int], again: list[int]
) -> None:
    acks = [ack(number) for number in range(count)]
    receipts = [got(one) for one in acks if one.sequence not in dropped]
    more = [one for number in again for one in receipts if one.sequence == number]
    stored = [got(one) for one in acks if one.sequence not in erased]
    seen = judged(acks, [*receipts, *more], stored)
    assert seen.lost == dropped & set(range(count))
    assert seen.erased == erased & set(range(count))
    assert (seen.duplicates, seen.reordered) == (len(more), 0)
