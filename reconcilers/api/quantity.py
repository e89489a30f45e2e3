"""Kubernetes quantities (`8Gi`, `500M`, `1e9`) as numbers. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

_MULTIPLES = {
    "": Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
    "m": Decimal(10) ** -3,
    "u": Decimal(10) ** -6,
    "n": Decimal(10) ** -9,
}
_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)", re.ASCII
)


def quantity_bytes(quantity: int | str) -> int:
    """A quantity of memory or storage in whole bytes; ValueError if it is none."""
    match = _QUANTITY.fullmatch(str(quantity).strip())
    if match is None or match.group(2) not in _MULTIPLES:
        raise ValueError(f"{quantity!r} is not a quantity")
    return int(Decimal(match.group(1)) * _MULTIPLES[match.group(2)])
