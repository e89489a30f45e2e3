"""Messages as brokers store them and give them out (dossier 2.6): bytes to values. Pure.

A body is left as it was stored: compressed by its producer, it stays so for whoever sends it on;
`uncompressed` gives the text to a reader.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

import msgspec

from rocketmq.errors import ProtocolError

_MAGIC, _MAGIC_LONG_TOPIC = 0xDAA320A7, 0xDAA320AB
_COMPRESSED, _BORN_HOST_V6, _STORE_HOST_V6 = 1, 1 << 4, 1 << 5
_COMPRESSION_TYPES = {0: "zlib", 1 << 8: "lz4", 2 << 8: "zstd", 3 << 8: "zlib"}
_NAME_END, _PAIR_END = "\x01", "\x02"

_HEAD = struct.Struct(">iIIiiqqiq")
_STORED = struct.Struct(">q")
_RETRIES = struct.Struct(">iqi")


class Message(msgspec.Struct, frozen=True):
    """A stored message; times are milliseconds, `offset` is its place in the queue."""

    topic: str
    queue_id: int
    offset: int
    body: bytes
    properties: dict[str, str]
    flag: int
    sys_flag: int
    body_crc: int
    born_timestamp: int
    store_timestamp: int
    commit_log_offset: int
    reconsume_times: int

    @property
    def keys(self) -> tuple[str, ...]:
        """What the producer named it."""
        return tuple(self.properties.get("KEYS", "").split())

    @property
    def tags(self) -> str | None:
        """What consumers filter by."""
        return self.properties.get("TAGS")

    @property
    def compression(self) -> str | None:
        """How the body is compressed: zlib, lz4, zstd or not at all."""
        if not self.sys_flag & _COMPRESSED:
            return None
        return _COMPRESSION_TYPES.get(self.sys_flag & (7 << 8), "unknown")


def messages(data: bytes) -> tuple[Message, ...]:
    """The messages of a pull's body, in their order. Raises ProtocolError."""
    try:
        return tuple(_messages(data))
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise ProtocolError(f"a body of {len(data)} bytes holds no messages: {error}") from error


def properties_text(properties: Mapping[str, str]) -> str:
    """Properties as a request carries them. Raises ValueError for what cannot be carried."""
    for text in (*properties, *properties.values()):
        if _NAME_END in text or _PAIR_END in text:
            raise ValueError("a message property cannot contain the characters 1 and 2")
    return "".join(f"{key}{_NAME_END}{value}{_PAIR_END}" for key, value in properties.items())


def uncompressed(message: Message, limit_bytes: int = 64 * 1024 * 1024) -> bytes:
    """The body as its producer had it.

    Raises ProtocolError when it is damaged, longer than the limit, or compressed by something
    else than zlib.
    """
    if message.compression is None:
        return message.body
    if message.compression != "zlib":
        raise ProtocolError(f"the body is compressed with {message.compression}")
    reader = zlib.decompressobj()
    try:
        body = reader.decompress(message.body, limit_bytes)
    except zlib.error as error:
        raise ProtocolError(f"the compressed body is damaged: {error}") from error
    if not reader.eof:
        raise ProtocolError(f"the compressed body is cut short, or over {limit_bytes} bytes")
    return body


def _messages(data: bytes) -> Iterator[Message]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big", signed=True)
        if size < _HEAD.size or at + size > len(data):
            raise ProtocolError(f"a message of {size} bytes in {len(data) - at} that are left")
        yield _message(data[at : at + size])
        at += size


def _message(data: bytes) -> Message:
    _, magic, crc, queue_id, flag, offset, commit_log_offset, sys_flag, born = _HEAD.unpack_from(
        data
    )
    if magic not in (_MAGIC, _MAGIC_LONG_TOPIC):
        raise ProtocolError(f"a message begins with {magic:#x}")
    at = _HEAD.size + (20 if sys_flag & _BORN_HOST_V6 else 8)
    (stored,) = _STORED.unpack_from(data, at)
    at += _STORED.size + (20 if sys_flag & _STORE_HOST_V6 else 8)
    retries, _, body_length = _RETRIES.unpack_from(data, at)
    body, at = _piece(data, at + _RETRIES.size, body_length)
    topic, at = _sized(data, at, 2 if magic == _MAGIC_LONG_TOPIC else 1)
    properties, _ = _sized(data, at, 2)
    return Message(
        topic=topic.decode(),
        queue_id=queue_id,
        offset=offset,
        body=body,
        properties=_properties(properties.decode()),
        flag=flag,
        sys_flag=sys_flag,
        body_crc=crc,
        born_timestamp=born,
        store_timestamp=stored,
        commit_log_offset=commit_log_offset,
        reconsume_times=retries,
    )


def _sized(data: bytes, at: int, width: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">H" if width == 2 else ">B", data, at)
    return _piece(data, at + width, length)


def _piece(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if length < 0 or at + length > len(data):
        raise ProtocolError(f"a part of {length} bytes where {len(data) - at} are left")
    return data[at : at + length], at + length


def _properties(text: str) -> dict[str, str]:
    pairs = (pair.partition(_NAME_END) for pair in text.split(_PAIR_END) if pair)
    return {name: value for name, separator, value in pairs if separator}
