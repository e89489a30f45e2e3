r"""Bodies as the servers write them: JSON, and the dialect of fastjson 1.2 and 2.0. Pure.

The dialect adds keys without quotes (`{0:"a"}`), objects and arrays as keys, and references in
place of an object written before: `{"$ref":"$.a.b[0]"}` from the root, `".."` the container of the
one it stands in, `"@"` that one itself. All were seen in the output of fastjson 1.2.83; 2.0.59
(RocketMQ 5.5) writes no references.

A key without quotes becomes its text, so `{0:1}` and `{"0":1}` are the same answer; an object as
key becomes a MessageQueue where it has exactly those names, else a frozenset of its items. A
reference gives the very object it names, so a value may contain itself. Work is linear in the
body's length.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NamedTuple

import msgspec

from rocketmq.errors import ProtocolError

DEPTH = 64
"""How deep the dialect may be nested. Real bodies reach 7."""

_BLANKS = frozenset(" \t\r\n")
_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"([^"\\]*+)(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WORD = re.compile(r"[a-z]+")
_WORDS: Final = {"true": True, "false": False, "null": None}
# The common member in one step: plain or bare key, plain string or integer, and what follows.
_MEMBER = re.compile(
    r'[ \t\r\n]*(?:"([^"\\]*)"|([\w$.+-]+))[ \t\r\n]*:[ \t\r\n]*'
    r'(?:(?:"([^"\\]*)"|(-?[0-9]{1,18}))([,}]))?'
)
_STEP = re.compile(r"\.((?:[^\\.\[]|\\.)*)|\[([0-9]+)\]", re.DOTALL)
# The one object that is a key in practice, as every version writes it.
_QUEUE_MEMBER = re.compile(
    r'\{"brokerName":"([^"\\]*)","queueId":(-?[0-9]{1,18}),"topic":"([^"\\]*)"\}:'
)
_QUEUE_KEY = frozenset({"topic", "brokerName", "queueId"})
_QUEUE_TEXT = re.compile(
    r"MessageQueue \[topic=(.*), brokerName=(.*), queueId=(-?[0-9]{1,18})\]", re.DOTALL
)


class MessageQueue(NamedTuple):
    """A queue of a topic on one broker set, as the servers use it for a key."""

    topic: str
    broker_name: str
    queue_id: int


def decode(body: bytes) -> Any:
    """The value of a body; every key is a str, a MessageQueue, a frozenset or a tuple.

    Raises ProtocolError.
    """
    if b'"$ref"' not in body:
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass  # not standard JSON: the dialect, or nothing that can be read
    try:
        return _Parser(body.decode()).document()
    except ValueError as error:
        # Not UTF-8, a bad escape, a number of thousands of digits: no excerpt, it may be a secret.
        raise ProtocolError(f"unreadable body: {type(error).__name__}") from None


class _Reference:
    """Stands where a reference was until all containers are there."""

    __slots__ = ("container", "outer", "path", "target")

    def __init__(self, path: str, container: Any, outer: Any) -> None:
        self.path = path
        self.container = container
        self.outer = outer
        self.target: Any = None


class _Parser:
    """Recursive descent over one text; `at` is where to read, returned together with the value."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._may_refer = '"$ref"' in text
        self._references: list[tuple[Any, Any, _Reference]] = []

    def document(self) -> Any:
        root, at = self._value(self._skip(0), None, 0)
        if self._skip(at) != len(self._text):
            raise self._wrong(at)
        if _is_reference(root):
            raise ProtocolError("unreadable body: a reference to nothing")
        for container, key, reference in self._references:
            if container[key] is reference:
                container[key] = _target(reference, root, 0)
        return root

    def _value(self, at: int, outer: Any, depth: int) -> tuple[Any, int]:
        match self._text[at : at + 1]:
            case "{":
                return self._object(at + 1, outer, depth + 1)
            case "[":
                return self._array(at + 1, outer, depth + 1)
            case '"':
                return self._string(at)
            case _:
                return self._literal(at)

    def _object(self, at: int, outer: Any, depth: int) -> tuple[dict[Any, Any], int]:
        made: dict[Any, Any] = {}
        at, empty = self._opened(at, depth, "}")
        more = not empty
        while more:
            key: Any
            if member := _MEMBER.match(self._text, at):
                quoted, bare, string, integer, end = member.groups()
                key, at = bare if quoted is None else quoted, member.end()
                if end is not None:
                    made[key] = int(integer) if string is None else string
                    more = end == ","
                    continue
            else:
                key, at = self._key(at, depth)
            value, at = self._value(at, made, depth)
            made[key] = self._placed(value, key, made, outer)
            at, more = self._another(at, "}")
        return made, at

    def _array(self, at: int, outer: Any, depth: int) -> tuple[list[Any], int]:
        made: list[Any] = []
        at, empty = self._opened(at, depth, "]")
        more = not empty
        while more:
            value, at = self._value(self._skip(at), made, depth)
            made.append(self._placed(value, len(made), made, outer))
            at, more = self._another(at, "]")
        return made, at

    def _key(self, at: int, depth: int) -> tuple[Any, int]:
        if queue := _QUEUE_MEMBER.match(self._text, at):
            return MessageQueue(queue[3], queue[1], int(queue[2])), self._skip(queue.end())
        references = len(self._references)
        key: Any
        at = self._skip(at)
        if self._text[at : at + 1] not in {'"', "{", "["}:
            raise self._wrong(at)
        key, at = self._value(at, None, depth)
        if _is_reference(key) or len(self._references) > references:
            raise ProtocolError("unreadable body: a reference inside a key")
        at = self._skip(at)
        if self._text[at : at + 1] != ":":
            raise self._wrong(at)
        return _hashable(key), self._skip(at + 1)

    def _string(self, at: int) -> tuple[str, int]:
        string = _STRING.match(self._text, at)
        if string is None:
            raise self._wrong(at)
        if string.end() == string.end(1) + 1:
            return string[1], string.end()
        text: str = json.loads(string[0], strict=False)
        # An escape may leave half a surrogate pair, which nobody could print or send.
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return whole, string.end()

    def _literal(self, at: int) -> tuple[Any, int]:
        if number := _NUMBER.match(self._text, at):
            whole = number[1] is None and number[2] is None
            value = int(number[0]) if whole else float(number[0])
            if abs(value) != math.inf:
                return value, number.end()
        elif (word := _WORD.match(self._text, at)) and word[0] in _WORDS:
            return _WORDS[word[0]], word.end()
        raise self._wrong(at)

    def _opened(self, at: int, depth: int, end: str) -> tuple[int, bool]:
        if depth > DEPTH:
            raise ProtocolError(f"unreadable body: nested deeper than {DEPTH}")
        at = self._skip(at)
        empty = self._text[at : at + 1] == end
        return at + empty, empty

    def _another(self, at: int, end: str) -> tuple[int, bool]:
        at = self._skip(at)
        char = self._text[at : at + 1]
        if char not in {end, ","}:
            raise self._wrong(at)
        return at + 1, char == ","

    def _placed(self, value: Any, key: Any, container: Any, outer: Any) -> Any:
        if not (self._may_refer and _is_reference(value)):
            return value
        reference = _Reference(value["$ref"], container, outer)
        self._references.append((container, key, reference))
        return reference

    def _skip(self, at: int) -> int:
        if self._text[at : at + 1] not in _BLANKS:
            return at
        blank = _BLANK.match(self._text, at)
        return at if blank is None else blank.end()

    def _wrong(self, at: int) -> ProtocolError:
        return ProtocolError(f"unreadable body: position {at} of {len(self._text)}")


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("$ref"), str)


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_hashable(item) for item in value)
    if not isinstance(value, dict):
        return value
    if value.keys() == _QUEUE_KEY:
        topic, broker_name, queue_id = value["topic"], value["brokerName"], value["queueId"]
        if isinstance(topic, str) and isinstance(broker_name, str) and type(queue_id) is int:
            return MessageQueue(topic, broker_name, queue_id)
    return frozenset((key, _hashable(item)) for key, item in value.items())


def _target(reference: _Reference, root: Any, hops: int) -> Any:
    """What is referred to; kept, so that references through references cost no more than once."""
    if reference.target is None:
        if hops > DEPTH:
            raise ProtocolError("unreadable body: a reference to itself, or to too many others")
        reference.target = _found(reference, root, hops)
    return reference.target


def _found(reference: _Reference, root: Any, hops: int) -> Any:
    if reference.path == "@":
        return reference.container
    if reference.path == "..":
        if reference.outer is None:
            raise ProtocolError("unreadable body: a reference to nothing")
        return reference.outer
    if not reference.path.startswith("$"):
        raise ProtocolError("unreadable body: a reference that is no path")
    found, at = root, 1
    while at < len(reference.path):
        step = _STEP.match(reference.path, at)
        if step is None:
            raise ProtocolError("unreadable body: a reference that is no path")
        found, at = _child(found, step), step.end()
        if isinstance(found, _Reference):
            found = _target(found, root, hops + 1)
    return found


def _child(container: Any, step: re.Match[str]) -> Any:
    name, index = step.groups()
    try:
        if isinstance(container, list):
            return container[int(index)]
        key = index if name is None else re.sub(r"\\(.)", r"\1", name, flags=re.DOTALL)
        queue = _QUEUE_TEXT.fullmatch(key)
        if queue and key not in container:
            return container[MessageQueue(queue[1], queue[2], int(queue[3]))]
        return container[key]
    except (LookupError, TypeError, ValueError):
        raise ProtocolError("unreadable body: a reference to nothing") from None
