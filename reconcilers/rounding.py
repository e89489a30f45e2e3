"""Numbers that rest: a status that followed every message would be written without end. Pure."""

from __future__ import annotations


def rounded(number: int) -> int:
    """The power of two below; 0 for 0."""
    return 1 << (number.bit_length() - 1) if number > 0 else 0
