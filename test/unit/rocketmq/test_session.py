from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocketmq.calls import Request, Response
from rocketmq.errors import ProtocolError
from rocketmq.frames import Frame, FrameReader, frame_bytes
from rocketmq.session import Answer, Refusal, Session


def events(session: Session, data: bytes) -> list[Answer | Refusal]:
    session.receive_data(data)
    found = []
    while (event := session.next_event()) is not None:
        found.append(event)
    return found


def response(opaque: int, body: bytes = b"") -> bytes:
    return frame_bytes(Frame(0, opaque, 1, 479, body=body))


def only_frame(data: bytes) -> Frame:
    reader = FrameReader()
    reader.receive_data(data)
    frame = reader.next_frame()
    assert frame is not None
    assert not reader.unfinished
    return frame


@given(st.permutations(range(6)), st.lists(st.integers(0, 900), max_size=6))
def test_answers_find_their_requests_in_any_order_and_split(
    order: list[int], cuts: list[int]
) -> None:
    session = Session()
    numbers = [session.send(Request(26, {"n": str(n)}))[0] for n in range(6)]
    data = b"".join(response(numbers[n], body=bytes([n])) for n in order)
    edges = [0, *sorted(cut % len(data) for cut in cuts), len(data)]

    found = [
        event
        for start, end in itertools.pairwise(edges)
        for event in events(session, data[start:end])
    ]

    assert found == [Answer(numbers[n], Response(0, "", {}, bytes([n]), 479)) for n in order]
    assert session.pending == 0


def test_a_request_is_sent_under_its_number() -> None:
    number, data = Session(first_opaque=7).send(Request(105, {"topic": "t"}, b"b"))

    assert number == 7
    assert only_frame(data) == Frame(105, 7, ext_fields={"topic": "t"}, body=b"b")


def test_numbers_begin_again_after_the_last_and_pass_by_those_in_use() -> None:
    session = Session(first_opaque=2**31 - 1)
    numbers = [session.send(Request(1))[0] for _ in range(3)]
    session = Session(first_opaque=2**31 - 2)
    session.send(Request(1))
    session._next = 2**31 - 2

    assert numbers == [2**31 - 1, 0, 1]
    assert session.send(Request(1))[0] == 2**31 - 1


def test_late_unknown_and_second_answers_are_dropped() -> None:
    session = Session()
    late, _ = session.send(Request(1))
    number, _ = session.send(Request(1))
    session.forget(late)

    assert events(session, response(late) + response(4711)) == []
    assert len(events(session, response(number) + response(number))) == 1
    assert session.frames_received == 4


def test_one_way_requests_wait_for_nothing() -> None:
    session = Session()
    frame = only_frame(session.send_one_way(Request(15)))

    assert frame.is_one_way
    assert session.pending == 0


def test_what_the_peer_tells_one_way_is_ignored_even_under_our_number() -> None:
    session = Session()
    number, _ = session.send(Request(1))

    assert events(session, frame_bytes(Frame(40, number, 2))) == []
    assert session.pending == 1


def test_what_the_peer_asks_is_refused_under_its_number_and_ours_still_waits() -> None:
    session = Session()
    number, _ = session.send(Request(1))

    (refusal,) = events(session, frame_bytes(Frame(307, number, 0)))

    assert isinstance(refusal, Refusal)
    answer = only_frame(refusal.data)
    assert (answer.code, answer.opaque, answer.is_response) == (3, number, True)
    assert session.pending == 1


def test_answers_before_garbage_are_given_out() -> None:
    session = Session()
    number, _ = session.send(Request(1))
    session.receive_data(response(number) + b"\xff" * 8)

    assert isinstance(session.next_event(), Answer)
    with pytest.raises(ProtocolError):
        session.next_event()


def test_half_an_answer_shows() -> None:
    session = Session()
    number, _ = session.send(Request(1))

    assert not session.answer_begun
    assert events(session, response(number)[:5]) == []
    assert session.answer_begun
