"""ARCHITECTURE.md names a test for each invariant: they must exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_test_that_the_architecture_names_exists() -> None:
    rows = re.findall(r"`(test/[\w/]+\.py)::(\w+)`", (ROOT / "ARCHITECTURE.md").read_text())
    assert rows, "the table of invariants is gone"
    missing = [
        f"{path}::{name}"
        for path, name in rows
        if not re.search(rf"def {name}\(", (ROOT / path).read_text())
    ]
    assert missing == []
