"""A request together with how its answer reads: the one type between messages and admin. Pure.

Header fields are text on the wire; `header` renders them, and `field_text` and `field_number`
read the answer's. Whatever an answer lacks is a ProtocolError, never a KeyError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from rocketmq import fastjson
from rocketmq.calls import Request, Response
from rocketmq.errors import ProtocolError

T = TypeVar("T")

CONSUME_STATS_TIMEOUT_S = 15.0
"""What the Java tools give the operations that walk every queue (dossier, 3)."""

MANY_TIMEOUT_S = 30.0
"""For operations on thousands of records at once."""


class Operation(msgspec.Struct, Generic[T], frozen=True):
    """One operation; `allow` are the codes beside SUCCESS that `answer` can read."""

    request: Request
    answer: Callable[[Response], T]
    timeout_s: float = 5.0
    allow: frozenset[int] = frozenset()


def header(**fields: str | float | bool | None) -> dict[str, str]:
    """Header fields as the servers read them; a field that is None is left out."""
    return {name: _text(value) for name, value in fields.items() if value is not None}


def nothing(_: Response) -> None:
    """For operations whose success is all they tell."""


def field_text(response: Response, name: str) -> str:
    """A header field that the answer must have."""
    value = response.ext_fields.get(name)
    if value is None:
        raise ProtocolError(f"the answer has no header field {name}")
    return value


def field_number(response: Response, name: str, *, default: int | None = None) -> int:
    """A header field that must be a whole number; `default` is for a field that may be missing."""
    if default is not None and name not in response.ext_fields:
        return default
    text = field_text(response, name)
    try:
        return int(text)
    except ValueError:
        raise ProtocolError(f"header field {name} is no whole number: {text!r}") from None


def body_as(kind: type[T], body: bytes) -> T:
    """The typed value of a JSON body, in standard JSON or in the servers' dialect.

    Standard JSON goes straight into the type: three quarters of the time and most of the memory
    of a large table are saved. A body with references needs the parser that resolves them.
    """
    try:
        if b'"$ref"' not in body:
            return msgspec.json.decode(body, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return msgspec.convert(fastjson.decode(body), kind, strict=False, str_keys=True)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"a body does not read as {kind.__name__}: {error}") from error


def in_body(kind: type[T]) -> Callable[[Response], T]:
    """For operations whose whole answer is a JSON body of one type."""
    return lambda response: body_as(kind, response.body)


def _text(value: str | float | bool) -> str:  # noqa: FBT001 - a value among others
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
