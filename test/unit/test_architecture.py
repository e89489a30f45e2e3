"""Documents name the tests that show what they say: each of these exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
THIS = "test/unit/test_architecture.py"
DOCUMENTS = ("ARCHITECTURE.md", "docs/compared.md", "docs/scenarios.md")


def named_tests(text: str) -> list[tuple[str, str]]:
    """File and function of each test in a document, which may say that `x/` is `test/some/where/`.

    A file without a function is one too: its function is empty, and no file has that.
    """
    folders = dict(re.findall(r"`(\w/)`\s+is\s+`(test/[\w/]+/)`", text))
    found = re.findall(r"`((?:\w|test)/)([\w/]*test_\w+\.py)(?:::(\w+))?`", text)
    return [(folders.get(folder, folder) + path, name) for folder, path, name in found]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_test_that_a_document_names_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = [one for one in named_tests(text) if one != (THIS, "")]
    assert len(named) > 20, "the table is gone"
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file()
        or not re.search(rf"^(?:async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)
    ]
    assert missing == []


@pytest.mark.parametrize("document", ["docs/compared.md", "docs/scenarios.md"])
def test_every_numbered_row_names_a_test(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d+ \|.*", text, re.MULTILINE)
    assert rows
    assert [row for row in rows if not named_tests(row)] == []
