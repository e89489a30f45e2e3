"""What a load client writes down: JSON arrays, one a line. Pure.

`hack/images/client/Journal.java` writes them. A line's kind is its first element; times are those
of the client's node.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

SEND_OK = "SEND_OK"
PLAIN = "plain"


class _Line(msgspec.Struct, frozen=True, array_like=True):
    at_ms: int
    """Milliseconds since the epoch."""


class Begin(_Line, frozen=True, tag="begin", array_like=True):
    """The client is connected."""


class Ack(_Line, frozen=True, tag="ack", array_like=True):
    """A send that returned: the message is stored at least by the master."""

    sequence: int
    shard: int
    """The sending thread; one sends one message at a time."""
    status: str
    """SendStatus of the library: anything but SEND_OK is less than was asked for."""
    message_id: str
    broker: str
    queue: int
    offset: int
    """Of what the broker stored: for a kind that is not plain, not that of what is received."""
    kind: str = PLAIN
    """`delayed`, `timed`, `committed` or `undecided`: see LoadKind.java."""
    due_ms: int = 0
    """When it may be received, by the sender's clock; 0: at once."""


class Undone(_Line, frozen=True, tag="undone", array_like=True):
    """A transaction that was rolled back: nobody may receive it."""

    sequence: int
    shard: int


class Failure(_Line, frozen=True, tag="fail", array_like=True):
    """A send that raised: the message may be stored or not."""

    sequence: int
    shard: int
    kind: str
    """Class of the innermost error, with its response code if it has one."""
    text: str


class Stopped(_Line, frozen=True, tag="stopped", array_like=True):
    """The producer sends nothing more; it may still be asked about its transactions."""


class Receipt(_Line, frozen=True, tag="got", array_like=True):
    """A message that the library handed to the consumer."""

    sequence: int
    shard: int
    broker: str
    queue: int
    offset: int


class Corrupt(_Line, frozen=True, tag="bad", array_like=True):
    """A received message whose body and key are not what was sent."""

    text: str


class End(_Line, frozen=True, tag="end", array_like=True):
    """The last line."""

    told: bool
    """Whether the client was told to end; otherwise it came to its time limit."""
    lines: int
    """How many lines are before it."""


Line = Begin | Ack | Undone | Failure | Stopped | Receipt | Corrupt | End

_DECODER = msgspec.json.Decoder(Line)


def whole_lines(chunk: bytes) -> tuple[list[Line], int]:
    """The lines that are complete, and how many bytes they are; the rest is still being written."""
    length = chunk.rfind(b"\n") + 1
    return [_DECODER.decode(line) for line in chunk[:length].splitlines()], length


def joined(parts: Sequence[Sequence[Line]]) -> list[Line]:
    """One journal of a client that was started again and again; ValueError if one died.

    The last part may still be going on.
    """
    lines: list[Line] = []
    for part in parts[:-1]:
        last = part[-1] if part else None
        if not isinstance(last, End) or not last.told or last.lines != len(part) - 1:
            raise ValueError(f"a client ended without being told to, with {last} as its last line")
        lines += part[:-1]
    earlier = len(lines)
    return lines + [_after(earlier, line) for line in (parts[-1] if parts else ())]


def _after(earlier: int, line: Line) -> Line:
    if not isinstance(line, End):
        return line
    return msgspec.structs.replace(line, lines=line.lines + earlier)


def is_ended(journal: Sequence[Line]) -> bool:
    """Whether the client wrote its last line."""
    return bool(journal) and isinstance(journal[-1], End)
