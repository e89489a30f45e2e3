from __future__ import annotations

import pytest

from reconcilers.api.quantity import quantity_bytes
from rocketmq.memory import GIB, MIB


@pytest.mark.parametrize(
    ("quantity", "size"),
    [
        (1024, 1024),
        ("8Gi", 8 * GIB),
        ("1.5Gi", GIB * 3 // 2),
        ("512Mi", 512 * MIB),
        ("500M", 500_000_000),
        ("1e9", 1_000_000_000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("128974848000m", 128_974_848),
        ("4k", 4000),
        ("2Ki", 2048),
        (".5Ki", 512),
        ("-1Ki", -1024),
    ],
)
def test_quantities_in_bytes(quantity: int | str, size: int) -> None:
    assert quantity_bytes(quantity) == size


@pytest.mark.parametrize("quantity", ["", "Gi", "1 GB", "1Q", "1..2Gi", "."])
def test_what_is_no_quantity_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantity_bytes(quantity)
