"""Frames of the remoting protocol: bytes to values and back. Pure.

A frame is `total` (4 bytes, counting all that follows), a mark (serialize type in the top byte,
header length in the low 24 bits), the header and the body. Headers are written as JSON, which every
server reads, and read as JSON or in the binary form. A length is judged before anything of that
length is kept. After a ProtocolError a reader is of no more use.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import msgspec

from rocketmq.codes import MQVersion
from rocketmq.errors import ProtocolError

FRAME_LIMIT_BYTES = 64 * 1024 * 1024
"""Default for what a peer may send in one frame. Servers themselves accept 16 MiB."""

SENT_VERSION = MQVersion.V5_1_4
"""What requests say: from 4.9.4 a route comes in standard JSON; above 5.3.1 GO_AWAY may come."""

_RESPONSE = 1
_ONE_WAY = 2
_JSON, _BINARY = 0, 1
_PREFIX = struct.Struct(">II")
_FIXED = struct.Struct(">hbhii")
_INT = struct.Struct(">i")
_SHORT = struct.Struct(">h")


class Frame(msgspec.Struct, frozen=True):
    """One command; `code` is a request's or a response's, as `flag` says."""

    code: int
    opaque: int
    flag: int = 0
    version: int = SENT_VERSION
    remark: str = ""
    ext_fields: dict[str, str] = {}
    body: bytes = b""

    @property
    def is_response(self) -> bool:
        """The opaque number is one of ours; a request carries the peer's own."""
        return bool(self.flag & _RESPONSE)

    @property
    def is_one_way(self) -> bool:
        """Nobody waits for an answer."""
        return bool(self.flag & _ONE_WAY)


class _Header(msgspec.Struct, omit_defaults=True, rename="camel"):
    code: int
    language: str | None = None
    version: int = 0
    opaque: int = 0
    flag: int = 0
    remark: str | None = None
    ext_fields: Mapping[str, str | None] | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Header)


def request_frame(
    code: int, opaque: int, ext_fields: dict[str, str], body: bytes, *, one_way: bool = False
) -> bytes:
    """The bytes of a request."""
    flag = _ONE_WAY if one_way else 0
    return frame_bytes(Frame(code, opaque, flag, ext_fields=ext_fields, body=body))


def response_frame(code: int, opaque: int, remark: str) -> bytes:
    """The bytes of a response without header fields or body."""
    return frame_bytes(Frame(code, opaque, _RESPONSE, remark=remark))


def frame_bytes(frame: Frame) -> bytes:
    """A frame with a JSON header.

    Raises ProtocolError when the header is longer than its length can say (16 MiB).
    """
    header = _encoder.encode(
        _Header(
            code=frame.code,
            language="PYTHON",
            version=frame.version,
            opaque=frame.opaque,
            flag=frame.flag,
            remark=frame.remark or None,
            ext_fields=frame.ext_fields or None,
        )
    )
    if len(header) > 0xFFFFFF:
        raise ProtocolError(f"a header of {len(header)} bytes cannot be sent")
    return _PREFIX.pack(4 + len(header) + len(frame.body), len(header)) + header + frame.body


class FrameReader:
    """Cuts a stream into frames, however its bytes come; holds at most one unfinished frame."""

    def __init__(self, limit_bytes: int = FRAME_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._buffer = bytearray()

    @property
    def unfinished(self) -> bool:
        """A part of a frame has come and the rest has not."""
        return bool(self._buffer)

    def receive_data(self, data: bytes) -> None:
        """Take what the stream gave; `next_frame` until None before giving more."""
        self._buffer += data

    def next_frame(self) -> Frame | None:
        """The next whole frame, or None when more bytes are needed. Raises ProtocolError."""
        if len(self._buffer) < 4:
            return None
        total = int.from_bytes(self._buffer[:4], "big")
        if not 4 <= total <= self._limit_bytes:
            raise ProtocolError(
                f"a frame of {total} bytes is announced; 4 to {self._limit_bytes} are allowed"
            )
        if len(self._buffer) < 8:
            return None
        kind, header_bytes = self._buffer[4], int.from_bytes(self._buffer[5:8], "big")
        if header_bytes > total - 4:
            raise ProtocolError(f"a header of {header_bytes} bytes in a frame of {total}")
        if kind not in {_JSON, _BINARY}:
            raise ProtocolError(f"unknown serialize type {kind}")
        if len(self._buffer) < 4 + total:
            return None
        with memoryview(self._buffer) as view:
            header = bytes(view[8 : 8 + header_bytes])
            body = bytes(view[8 + header_bytes : 4 + total])
        del self._buffer[: 4 + total]
        return _json_frame(header, body) if kind == _JSON else _binary_frame(header, body)


def _json_frame(header: bytes, body: bytes) -> Frame:
    try:
        read = _decoder.decode(header)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ProtocolError(f"unreadable JSON header: {error}") from error
    ext_fields = read.ext_fields or {}
    return Frame(
        read.code,
        read.opaque,
        read.flag,
        read.version,
        read.remark or "",
        # fastjson leaves null values out; other servers may write them, and mean the same.
        {key: value for key, value in ext_fields.items() if value is not None},
        body,
    )


def _binary_frame(header: bytes, body: bytes) -> Frame:
    try:
        code, _language, version, opaque, flag = _FIXED.unpack_from(header)
        remark, at = _text(header, _FIXED.size, _INT)
        ext_bytes, at = _length(header, at, _INT)
        ext_fields = _binary_ext_fields(header[at : at + ext_bytes])
    except (struct.error, UnicodeError) as error:
        raise ProtocolError(f"unreadable binary header: {error}") from error
    return Frame(code, opaque, flag, version, remark, ext_fields, body)


def _binary_ext_fields(data: bytes) -> dict[str, str]:
    ext_fields: dict[str, str] = {}
    at = 0
    while at < len(data):
        key, at = _text(data, at, _SHORT)
        ext_fields[key], at = _text(data, at, _INT)
    return ext_fields


def _text(data: bytes, at: int, length: struct.Struct) -> tuple[str, int]:
    size, at = _length(data, at, length)
    return data[at : at + size].decode(), at + size


def _length(data: bytes, at: int, length: struct.Struct) -> tuple[int, int]:
    (size,) = length.unpack_from(data, at)
    at += length.size
    if not 0 <= size <= len(data) - at:
        raise ProtocolError(f"a field of {size} bytes where {len(data) - at} are left")
    return size, at
