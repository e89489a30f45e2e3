from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocketmq.errors import ProtocolError
from rocketmq.messages.stored import Message, messages, properties_text, uncompressed

_PROPERTIES = st.dictionaries(
    st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5),
    st.text(st.characters(categories=["L", "N", "P"]), max_size=5),
    max_size=3,
)


def _stored(
    body: bytes = b"text",
    topic: str = "t1",
    properties: dict[str, str] | None = None,
    *,
    sys_flag: int = 0,
    magic: int = 0xDAA320A7,
) -> bytes:
    """As a broker lays it out (dossier 2.6)."""
    born = b"\x00" * (20 if sys_flag & 16 else 8)
    store = b"\x00" * (20 if sys_flag & 32 else 8)
    name, rest = topic.encode(), properties_text(properties or {}).encode()
    width = ">H" if magic == 0xDAA320AB else ">B"
    fields = struct.pack(">IIiiqqiq", magic, 7, 3, 5, 11, 13, sys_flag, 17) + born
    fields += struct.pack(">q", 19) + store + struct.pack(">iqi", 2, 0, len(body)) + body
    fields += struct.pack(width, len(name)) + name + struct.pack(">H", len(rest)) + rest
    return struct.pack(">i", len(fields) + 4) + fields


@given(
    bodies=st.lists(st.binary(max_size=20), max_size=4),
    properties=_PROPERTIES,
    sys_flag=st.sampled_from([0, 16, 32, 48]),
    magic=st.sampled_from([0xDAA320A7, 0xDAA320AB]),
)
def test_what_a_broker_stored_is_read_in_its_order(
    bodies: list[bytes], properties: dict[str, str], sys_flag: int, magic: int
) -> None:
    data = b"".join(
        _stored(body, properties=properties, sys_flag=sys_flag, magic=magic) for body in bodies
    )
    found = messages(data)
    assert [one.body for one in found] == bodies
    assert all(one.properties == properties for one in found)
    assert {(one.topic, one.queue_id, one.offset) for one in found} <= {("t1", 3, 11)}


def test_every_field_is_where_it_belongs() -> None:
    (found,) = messages(_stored(properties={"KEYS": "k1 k2", "TAGS": "a"}))
    assert found == Message(
        topic="t1",
        queue_id=3,
        offset=11,
        body=b"text",
        properties={"KEYS": "k1 k2", "TAGS": "a"},
        flag=5,
        sys_flag=0,
        body_crc=7,
        born_timestamp=17,
        store_timestamp=19,
        commit_log_offset=13,
        reconsume_times=2,
    )
    assert (found.keys, found.tags, found.compression) == (("k1", "k2"), "a", None)


@given(cut=st.integers(1, 90), data=st.just(_stored() * 2))
def test_a_body_cut_anywhere_is_a_protocol_error(cut: int, data: bytes) -> None:
    short = data[:-cut]
    if len(short) in (0, len(data) // 2):
        return
    with pytest.raises(ProtocolError):
        messages(short)


@given(st.binary(max_size=200), st.integers(0, 80), st.binary(max_size=8))
def test_garbage_is_a_protocol_error_or_messages(noise: bytes, at: int, patch: bytes) -> None:
    patched = bytearray(_stored())
    patched[at : at + len(patch)] = patch
    for data in (noise, bytes(patched)):
        try:
            messages(data)
        except ProtocolError:
            continue


def test_a_compressed_body_is_read_within_a_limit() -> None:
    packed = zlib.compress(b"x" * 10_000)
    (found,) = messages(_stored(packed, sys_flag=1 | 3 << 8))
    assert found.compression == "zlib"
    assert uncompressed(found) == b"x" * 10_000
    with pytest.raises(ProtocolError, match="over 100 bytes"):
        uncompressed(found, limit_bytes=100)
    (damaged,) = messages(_stored(b"no zlib", sys_flag=1))
    with pytest.raises(ProtocolError, match="damaged"):
        uncompressed(damaged)
    (other,) = messages(_stored(b"lz4", sys_flag=1 | 1 << 8))
    with pytest.raises(ProtocolError, match="lz4"):
        uncompressed(other)


def test_a_property_that_would_break_the_others_is_refused() -> None:
    with pytest.raises(ValueError, match="characters 1 and 2"):
        properties_text({"a": "b\x02c"})
    assert properties_text({"a": "b", "c": ""}) == "a\x01b\x02c\x01\x02"
