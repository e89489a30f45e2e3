from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.client.config import Anonymous, ClientConfig
from controller.client.requests import HttpRequest
from controller.client.transport import AiohttpTransport, LineAssembler, retry_after
from controller.errors import MalformedError

lines = st.lists(st.binary(min_size=1, max_size=20).filter(lambda line: b"\n" not in line))


@settings(max_examples=150)
@given(lines, st.lists(st.integers(0, 200)), st.binary(max_size=5).filter(lambda b: b"\n" not in b))
def test_however_the_bytes_are_split_the_lines_are_the_same(
    lines: list[bytes], cuts: list[int], rest: bytes
) -> None:
    sent = b"".join(line + b"\n" for line in lines) + rest
    edges = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    assembler = LineAssembler()
    pieces = [sent[start:end] for start, end in pairwise(edges)]
    assert [line for piece in pieces for line in assembler.lines(piece)] == lines
    assert assembler.incomplete is bool(rest)


def test_empty_lines_are_passed_over() -> None:
    assert LineAssembler().lines(b"\n\na\n\nb\n") == [b"a", b"b"]


@pytest.mark.parametrize("pieces", [[b"12345\n"], [b"123", b"45"], [b"1\n", b"23456"]])
def test_a_line_that_is_too_long_is_malformed_even_before_it_ends(pieces: list[bytes]) -> None:
    assembler = LineAssembler(limit_bytes=4)
    *fine, last = pieces
    for piece in fine:
        assembler.lines(piece)
    with pytest.raises(MalformedError, match="more than 4 bytes"):
        assembler.lines(last)


def test_a_line_of_the_longest_length_is_fine() -> None:
    assert LineAssembler(limit_bytes=4).lines(b"1234\n1234\n") == [b"1234", b"1234"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("1", 1.0), ("0", 0.0), ("-1", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)
def test_retry_after_is_read_in_seconds(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


async def test_a_transport_that_is_not_open_says_so() -> None:
    transport = AiohttpTransport(ClientConfig("http://api.example", Anonymous()))
    with pytest.raises(RuntimeError, match="not open"):
        await transport.send(HttpRequest("GET", "/"), timeout_s=1)
