"""Samples, and what users of the Go operator have, against the schema and the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from reconcilers.api.broker import Broker
from reconcilers.api.definition import Definition
from reconcilers.api.kinds import DEFINITIONS
from reconcilers.api.name_service import NameService
from reconcilers.api.schema import Schema, object_schema
from reconcilers.api.topic_transfer import TopicTransfer
from reconcilers.api.validation import problems

Judge = Callable[[Schema, object], list[str]]

ROOT = Path(__file__).parents[4]
INPUTS = ROOT / "test/unit/golden/inputs"
FILES = [*sorted((ROOT / "config/samples").glob("*.yaml")), *sorted(INPUTS.glob("[mn]*.yaml"))]
REFUSED = yaml.safe_load((INPUTS / "refused.yaml").read_text())
KINDS = {kind.resource.kind: kind for kind in DEFINITIONS}


def of_our_kinds(file: Path) -> Iterator[tuple[Definition, dict[str, Any]]]:
    for document in yaml.safe_load_all(file.read_text()):
        if document["kind"] in KINDS:
            yield KINDS[document["kind"]], document


def decoded(kind: Definition, document: dict[str, Any]) -> NameService | Broker | TopicTransfer:
    cr = msgspec.json.decode(msgspec.json.encode(document), type=kind.struct)
    assert isinstance(cr, NameService | Broker | TopicTransfer)
    return cr


def without_empty(value: Any) -> Any:
    """Absent and empty are the same to the models."""
    if isinstance(value, dict):
        kept = {name: without_empty(part) for name, part in value.items()}
        return {name: part for name, part in kept.items() if part not in (None, "", [], {})}
    if isinstance(value, list):
        return [without_empty(part) for part in value]
    return value


every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@every_file
def test_a_sample_passes_the_schema(file: Path, violations: Judge) -> None:
    for kind, document in of_our_kinds(file):
        assert violations(object_schema(kind), document) == []


@every_file
def test_a_sample_has_no_problems(file: Path) -> None:
    found = {cr.metadata.name: problems(cr) for cr in (decoded(*one) for one in of_our_kinds(file))}
    assert found
    assert set(found.values()) == {()}


@every_file
def test_a_sample_decodes_and_encodes_back_to_itself(
    file: Path, defaulted: Callable[[Schema, Any], Any]
) -> None:
    for kind, document in of_our_kinds(file):
        stored = defaulted(object_schema(kind), document)["spec"]
        encoded = msgspec.json.decode(msgspec.json.encode(decoded(kind, document).spec))
        assert without_empty(encoded) == without_empty(stored)


@pytest.mark.parametrize("kind", DEFINITIONS, ids=lambda kind: kind.resource.kind)
def test_a_full_sample_shows_every_field(kind: Definition) -> None:
    name = f"rocketmq_v1alpha1_{kind.resource.kind.lower()}_full.yaml"
    text = (ROOT / "config/samples" / name).read_text()
    fields = object_schema(kind)["properties"]["spec"]["properties"]
    assert [field for field in fields if f"  {field}:" not in text.replace("# ", "")] == []


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["name"])
def test_a_bad_object_is_refused_at_the_field_that_is_wrong(
    case: dict[str, Any], violations: Judge
) -> None:
    kind = KINDS[case["object"]["kind"]]
    found = violations(object_schema(kind), case["object"])
    if "schema" in case:
        assert [line for line in found if line.startswith(f"{case['schema']}:")] == found != []
        return
    # Only the API server can judge the rule itself; here: it exists, and validation says the same.
    messages = [rule.message for rule in kind.object_rules + kind.spec_rules]
    assert any(case["rule"] in message for message in messages)
    assert found == []
    assert {problem.reason for problem in problems(decoded(kind, case["object"]))} == {
        case["reason"]
    }
