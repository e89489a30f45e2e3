"""What a command found, as a table for people or JSON for programs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from rocketmq.errors import RocketmqError

Cell = str | int | float | bool | None


class Output(msgspec.Struct, frozen=True):
    """Rows of values under their column names, and what went wrong, by address."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    problems: dict[str, str] = {}


def problems_of(errors: Mapping[str, RocketmqError]) -> dict[str, str]:
    """Errors as sentences; each names its address already."""
    return {address: str(error) for address, error in errors.items()}


def json_text(output: Output) -> str:
    """`{"rows": [{column: value}], "problems": {address: sentence}}`, one line."""
    rows = [dict(zip(output.columns, row, strict=True)) for row in output.rows]
    return msgspec.json.encode({"rows": rows, "problems": output.problems}).decode() + "\n"


def table_text(output: Output) -> str:
    """Columns as wide as they must be, numbers to the right; nothing for no rows."""
    if not output.rows:
        return ""
    cells = [tuple(_cell(value) for value in row) for row in output.rows]
    lines = [tuple(name.upper() for name in output.columns), *cells]
    widths = [max(len(line[at]) for line in lines) for at in range(len(output.columns))]
    right = [_is_number_column([row[at] for row in output.rows]) for at in range(len(widths))]
    return "".join(_line(line, widths, right) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip() + "\n"


def _is_number_column(values: Sequence[Cell]) -> bool:
    return all(isinstance(value, int | float) or value is None for value in values)


def _cell(value: Cell) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}"
    return printable(str(value))


def printable(text: str) -> str:
    """Text without what could steer a terminal: a server's words are not ours."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
