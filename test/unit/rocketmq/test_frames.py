from __future__ import annotations

import itertools
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocketmq.errors import ProtocolError
from rocketmq.frames import Frame, FrameReader, frame_bytes, request_frame

# What Java's RemotingCommand.encode wrote (RocketMQ 5.3.3 and 5.5.0, byte for byte the same).
JAVA_JSON = bytes.fromhex(
    "00000088000000847b22636f6465223a31372c226578744669656c6473223a7b226b223a2276227d2c22666c6167"
    "223a312c226c616e6775616765223a224a415641222c226f7061717565223a352c2272656d61726b223a226e6fc3"
    "a9222c2273657269616c697a655479706543757272656e74525043223a224a534f4e222c2276657273696f6e223a"
    "307d"
)
JAVA_BINARY = bytes.fromhex(
    "000000250100002100110000000000000500000001000000046e6fc3a90000000800016b0000000176"
)
JAVA_BINARY_WITH_BODY = bytes.fromhex(
    "0000001b010000150011000000000000050000000100000000000000000102"
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
frames = st.builds(
    Frame,
    code=st.integers(-(2**31), 2**31 - 1),
    opaque=st.integers(-(2**31), 2**31 - 1),
    flag=st.integers(0, 3),
    version=st.integers(0, 1000),
    remark=texts,
    ext_fields=st.dictionaries(texts, texts, max_size=4),
    body=st.binary(max_size=60),
)


def read(chunks: list[bytes], limit_bytes: int = 2**20) -> list[Frame | str]:
    """All frames, and at the end "error" when there is one."""
    reader = FrameReader(limit_bytes)
    found: list[Frame | str] = []
    try:
        for chunk in chunks:
            reader.receive_data(chunk)
            while (frame := reader.next_frame()) is not None:
                found.append(frame)
    except ProtocolError:
        found.append("error")
    return found


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def binary(frame: Frame) -> bytes:
    """The ROCKETMQ form, as RocketMQSerializable writes it."""
    fields = b"".join(
        struct.pack(">h", len(key.encode()))
        + key.encode()
        + struct.pack(">i", len(value.encode()))
        + value.encode()
        for key, value in frame.ext_fields.items()
    )
    remark = frame.remark.encode()
    header = struct.pack(">hbhii", frame.code, 0, frame.version, frame.opaque, frame.flag)
    header += struct.pack(">i", len(remark)) + remark + struct.pack(">i", len(fields)) + fields
    total = 4 + len(header) + len(frame.body)
    return struct.pack(">II", total, 1 << 24 | len(header)) + header + frame.body


@given(st.lists(frames, max_size=4), st.lists(st.integers(0, 2000), max_size=8))
def test_any_split_of_the_bytes_gives_the_frames_that_were_sent(
    sent: list[Frame], cuts: list[int]
) -> None:
    data = b"".join(map(frame_bytes, sent))

    assert read(pieces(data, cuts)) == sent


@given(frames.filter(lambda frame: -(2**15) <= frame.code < 2**15), st.lists(st.integers(0, 500)))
def test_a_binary_header_says_the_same_as_a_json_header(frame: Frame, cuts: list[int]) -> None:
    assert read(pieces(binary(frame), cuts)) == [frame]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_garbage_is_an_error_or_nothing_yet_whatever_the_split(
    garbage: bytes, cuts: list[int]
) -> None:
    assert read(pieces(garbage, cuts)) == read([garbage])


@given(frames, st.data())
def test_a_changed_byte_is_an_error_or_a_frame_and_splits_do_not_matter(
    frame: Frame, data: st.DataObject
) -> None:
    changed = bytearray(frame_bytes(frame) if data.draw(st.booleans()) else binary_of(frame))
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] = data.draw(st.integers(0, 255))

    found = read([bytes(changed)])

    assert read([bytes([byte]) for byte in changed]) == found


def binary_of(frame: Frame) -> bytes:
    return binary(Frame(frame.code % 2**15, frame.opaque, frame.flag, ext_fields=frame.ext_fields))


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        (JAVA_JSON, Frame(17, 5, 1, 0, "noé", {"k": "v"})),
        (JAVA_BINARY, Frame(17, 5, 1, 0, "noé", {"k": "v"})),
        (JAVA_BINARY_WITH_BODY, Frame(17, 5, 1, 0, "", {}, b"\x01\x02")),
    ],
)
def test_what_java_writes_is_read(data: bytes, frame: Frame) -> None:
    assert read([data]) == [frame]


def test_a_request_is_one_json_header_with_text_fields() -> None:
    data = request_frame(106, 1, {"topic": "t1"}, b"body")

    header = b'{"code":106,"language":"PYTHON","version":441,"opaque":1,"extFields":{"topic":"t1"}}'
    assert data == struct.pack(">II", 4 + len(header) + 4, len(header)) + header + b"body"


def test_a_one_way_request_says_so() -> None:
    (frame,) = read([request_frame(15, 3, {}, b"", one_way=True)])

    assert isinstance(frame, Frame)
    assert (frame.is_one_way, frame.is_response) == (True, False)


def test_null_fields_are_left_out() -> None:
    header = b'{"code":0,"remark":null,"extFields":{"a":null,"b":"c"}}'

    assert read([struct.pack(">II", 4 + len(header), len(header)) + header]) == [
        Frame(0, 0, 0, 0, "", {"b": "c"})
    ]


@pytest.mark.parametrize(
    "start",
    [
        struct.pack(">I", 0),
        struct.pack(">I", 3),
        struct.pack(">I", 1025),
        struct.pack(">I", 2**31 - 1),
        struct.pack(">i", -1),
        struct.pack(">II", 100, 97),
        struct.pack(">II", 100, 2 << 24 | 10),
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x15\x03\x03\x00\x02",  # a TLS alert
    ],
)
def test_an_impossible_start_is_refused_before_more_has_come(start: bytes) -> None:
    assert read([start], limit_bytes=1024) == ["error"]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"code":"0"}',
        b'{"code":0,"extFields":[]}',
        b'{"code":0,"extFields":{"a":{}}}',
        b'{"code":0,"remark":"\xff"}',
        b'{"code":0,"x":' + b"[" * 5000,
    ],
)
def test_an_unreadable_json_header_is_an_error(header: bytes) -> None:
    assert read([struct.pack(">II", 4 + len(header), len(header)) + header]) == ["error"]


@pytest.mark.parametrize(
    "tail",
    [
        struct.pack(">i", -1),
        struct.pack(">i", 2**31 - 1),
        struct.pack(">ii", 0, -1),
        struct.pack(">ii", 0, 9),
        struct.pack(">ii", 0, 2) + b"\x00\x05",
        struct.pack(">ii", 0, 6) + b"\x00\x01a\x00\x00\x00",
        struct.pack(">i", 1) + b"\xff" + struct.pack(">i", 0),
    ],
)
def test_an_unreadable_binary_header_is_an_error(tail: bytes) -> None:
    header = struct.pack(">hbhii", 0, 0, 0, 1, 1) + tail

    assert read([struct.pack(">II", 4 + len(header), 1 << 24 | len(header)) + header]) == ["error"]


def test_after_an_error_the_reader_stays_in_error() -> None:
    reader = FrameReader(1024)
    reader.receive_data(struct.pack(">I", 2**31 - 1))
    for _ in range(2):
        with pytest.raises(ProtocolError, match="a frame of 2147483647 bytes is announced"):
            reader.next_frame()


def test_an_announced_length_takes_no_memory() -> None:
    reader = FrameReader(64 * 1024 * 1024)
    tracemalloc.start()
    try:
        reader.receive_data(struct.pack(">I", 64 * 1024 * 1024))
        assert reader.next_frame() is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 10_000


def test_a_header_too_long_to_be_announced_is_not_sent() -> None:
    with pytest.raises(ProtocolError):
        request_frame(1, 1, {"a": "x" * 2**24}, b"")
