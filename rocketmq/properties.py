"""Java properties text, as the servers read their configuration files and the admin bodies. Pure.

The rules are those of `java.util.Properties.load`. What `rendered` writes is plain ASCII, for the
servers read their files as ISO-8859-1 and the admin bodies as UTF-8; and `:` stays as it is in a
value, so that a shell can read an address from a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_NEWLINE = re.compile(r"\r\n|\r|\n")
_BLANK = " \t\f"
_LETTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}


class PropertiesError(ValueError):
    """A `\\u` that four hexadecimal digits do not follow: Java refuses the whole text."""


def parsed(text: str) -> dict[str, str]:
    """Keys and values of a properties text; of a key given twice the last value counts.

    Raises PropertiesError.
    """
    return dict(_pair(line) for line in _logical_lines(text))


def rendered(pairs: Mapping[str, str]) -> str:
    """One line `key=value` for each pair, in the order given: `parsed` gives the pairs back."""
    return "".join(f"{_key(key)}={_value(value)}\n" for key, value in pairs.items())


def _logical_lines(text: str) -> Iterator[str]:
    pending: str | None = None
    for natural in _NEWLINE.split(text):
        line = natural.lstrip(_BLANK)
        if pending is None and (not line or line[0] in "#!"):
            continue
        line = (pending or "") + line
        continued = (len(line) - len(line.rstrip("\\"))) % 2 == 1
        if continued:
            pending = line[:-1]
            continue
        pending = None
        if line:
            yield line
    if pending:
        yield pending


def _pair(line: str) -> tuple[str, str]:
    end = 0
    while end < len(line) and line[end] not in "=:" + _BLANK:
        end += 2 if line[end] == "\\" else 1
    rest = line[end:].lstrip(_BLANK)
    if rest[:1] in {"=", ":"}:
        rest = rest[1:].lstrip(_BLANK)
    return _unescaped(line[:end]), _unescaped(rest)


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    units: list[str] = []
    at = 0
    while at < len(text):
        if text[at] != "\\":
            units.append(text[at])
            at += 1
            continue
        letter = text[at + 1 : at + 2]
        if letter == "u":
            units.append(_unit(text[at + 2 : at + 6]))
            at += 6
        else:
            units.append(_LETTERS.get(letter, letter))
            at += 2
    # Two \u of a surrogate pair are one character; a lonely one has no other form in Java either.
    return "".join(units).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unit(digits: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{4}", digits, re.ASCII):
        raise PropertiesError(
            f"\\u{digits} is not a character: four hexadecimal digits must follow"
        )
    return chr(int(digits, 16))


def _key(text: str) -> str:
    return "".join(f"\\{char}" if char in " =:#!" else _ascii(char) for char in text)


def _value(text: str) -> str:
    kept = text.lstrip(" ")
    return "\\ " * (len(text) - len(kept)) + "".join(_ascii(char) for char in kept)


def _ascii(char: str) -> str:
    if char in _ESCAPED:
        return _ESCAPED[char]
    if " " <= char <= "~":
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
