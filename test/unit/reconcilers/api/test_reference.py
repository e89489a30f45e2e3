from __future__ import annotations

import re

from reconcilers.api.kinds import DEFINITIONS
from reconcilers.api.reference import reference
from reconcilers.api.schema import object_schema

PAGE = reference(DEFINITIONS)


def test_every_field_of_spec_and_status_has_a_row() -> None:
    for kind in DEFINITIONS:
        properties = object_schema(kind)["properties"]
        for part in ("spec", "status"):
            section = PAGE.split(f"### {kind.resource.kind} {part}\n")[1].split("\n### ")[0]
            for field in properties[part]["properties"]:
                assert f"| `{field}` |" in section


def test_a_row_gives_default_limits_and_meaning() -> None:
    assert "| `size` | integer | required | at least 1; at most 100 | Number of" in PAGE
    assert '| `addressMode` | string | `"PodDNS"` | `HostIP`, `PodDNS`, `PodIP` |' in PAGE
    assert "| `allowRestart` | boolean | `true` |" in PAGE
    assert "| `resources.limits` | map to quantity |" in PAGE


def test_every_rule_is_told() -> None:
    for kind in DEFINITIONS:
        for rule in kind.object_rules + kind.spec_rules:
            assert rule.message.replace("<", "&lt;").replace(">", "&gt;") in PAGE


def test_no_table_row_is_broken_by_a_bar_or_swallowed_as_html() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    for row in rows:
        assert len(re.findall(r"(?<!\\)\|", row)) in {4, 6}, row
        assert not re.search(r"<\w", re.sub(r"`[^`]*`", "", row)), row
