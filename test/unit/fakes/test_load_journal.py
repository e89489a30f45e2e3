from __future__ import annotations

import msgspec
import pytest

from fakes.load_journal import (
    Ack,
    Begin,
    Corrupt,
    End,
    Failure,
    Line,
    Receipt,
    Stopped,
    Undone,
    is_ended,
    joined,
    whole_lines,
)

# As the client wrote them; the last has a character that is not ASCII.
LINES: dict[bytes, Line] = {
    b'["begin",1795464377463]': Begin(1795464377463),
    b'["ack",17,952,0,"SEND_OK","FD0002694D","broker-0",2,238]': Ack(
        17, 952, 0, "SEND_OK", "FD0002694D", "broker-0", 2, 238
    ),
    b'["ack",17,954,1,"SEND_OK","FD00","broker-0",2,7,"delayed",10017]': Ack(
        17, 954, 1, "SEND_OK", "FD00", "broker-0", 2, 7, "delayed", 10017
    ),
    b'["undone",18,955,1]': Undone(18, 955, 1),
    b'["fail",18,953,1,"MQBrokerException 16","CODE: 16  DESC: no permission"]': Failure(
        18, 953, 1, "MQBrokerException 16", "CODE: 16  DESC: no permission"
    ),
    b'["stopped",19]': Stopped(19),
    b'["got",19,952,0,"broker-0",2,238]': Receipt(19, 952, 0, "broker-0", 2, 238),
    b'["bad",20,"a \\"word\\" \\u00e9"]': Corrupt(20, 'a "word" é'),
    b'["end",21,true,5]': End(21, told=True, lines=5),
}


@pytest.mark.parametrize(("text", "line"), LINES.items())
def test_each_kind_of_line_is_read(text: bytes, line: Line) -> None:
    assert whole_lines(text + b"\n") == ([line], len(text) + 1)


def test_lines_cut_anywhere_are_read_once_and_whole() -> None:
    text = b"".join(line + b"\n" for line in LINES)
    for cut in range(len(text) + 1):
        first, length = whole_lines(text[:cut])
        rest, more = whole_lines(text[length:])
        assert first + rest == list(LINES.values())
        assert length + more == len(text)


def test_a_line_of_no_known_kind_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        whole_lines(b'["maybe",1]\n')


@pytest.mark.parametrize(
    ("journal", "ended"),
    [([], False), ([Begin(1)], False), ([Begin(1), End(2, told=True, lines=1)], True)],
)
def test_a_journal_has_ended_with_its_last_line(journal: list[Line], ended: bool) -> None:
    assert is_ended(journal) is ended


def part(*lines: Line, told: bool = True) -> list[Line]:
    return [Begin(0), *lines, End(9, told=told, lines=len(lines) + 1)]


ONE, TWO = (Receipt(5, number, 0, "broker-0", 0, number) for number in (1, 2))


def test_the_journals_of_a_client_that_came_back_are_one() -> None:
    assert joined([part(ONE), part(TWO)]) == [
        *(Begin(0), ONE, Begin(0), TWO),
        End(9, told=True, lines=4),
    ]
    assert joined([part(ONE), [Begin(0), TWO]]) == [Begin(0), ONE, Begin(0), TWO]
    assert joined([part(ONE)]) == part(ONE)
    assert joined([]) == joined([[]]) == []


@pytest.mark.parametrize(
    "earlier",
    [[], [Begin(0), ONE], part(ONE, told=False), [Begin(0), ONE, End(9, told=True, lines=3)]],
)
def test_a_client_that_did_not_leave_in_order_has_no_whole_journal(earlier: list[Line]) -> None:
    with pytest.raises(ValueError, match="without being told"):
        joined([earlier, part(TWO)])
