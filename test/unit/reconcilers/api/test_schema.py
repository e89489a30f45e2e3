from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from reconcilers.api.definition import CATEGORIES, Definition
from reconcilers.api.kinds import DEFINITIONS
from reconcilers.api.schema import NotStructuralError, Schema, crd, object_schema, struct_schema

Judge = Callable[[Schema, object], list[str]]

every_kind = pytest.mark.parametrize("kind", DEFINITIONS, ids=lambda kind: kind.resource.kind)


class Inner(msgspec.Struct, frozen=True):
    depth: int = 3


class Plain(msgspec.Struct, frozen=True):
    name: str = ""


def field_schema(annotation: Any, default: Any = msgspec.NODEFAULT) -> Schema:
    struct = msgspec.defstruct("Toy", [("field", annotation, default)], frozen=True)
    schema: Schema = struct_schema(struct)["properties"]["field"]
    return schema


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (bool, {"type": "boolean"}),
        (Annotated[int, Meta(ge=1, le=9)], {"type": "integer", "minimum": 1, "maximum": 9}),
        (Annotated[str, Meta(pattern="^a$")], {"type": "string", "pattern": "^a$"}),
        (Literal["b", "a"], {"type": "string", "enum": ["a", "b"]}),
        (str | None, {"type": "string"}),
        (int | str, {"x-kubernetes-int-or-string": True}),
        (dict[str, str], {"type": "object", "additionalProperties": {"type": "string"}}),
        (dict[str, Any], {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        (
            tuple[str, ...],
            {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
        ),
        (
            Annotated[str, Meta(description="Why.", extra_json_schema={"maxLength": 5})],
            {"type": "string", "description": "Why.", "maxLength": 5},
        ),
    ],
)
def test_a_type_has_one_structural_form(annotation: Any, expected: Schema) -> None:
    assert field_schema(annotation) == expected


@pytest.mark.parametrize(
    "annotation",
    [
        bool | str,
        int | str | None | bool,
        Any,
        float,
        Literal[1, 2],
        tuple[str, int],
        dict[int, str],
        Annotated[int, Meta(gt=1)],
        Annotated[int, Meta(multiple_of=2)],
    ],
)
def test_what_is_not_structural_is_refused(annotation: Any) -> None:
    with pytest.raises(NotStructuralError):
        field_schema(annotation)


def test_a_default_is_published_and_an_empty_one_is_not() -> None:
    assert field_schema(int, 0)["default"] == 0
    assert field_schema(bool, default=False)["default"] is False
    empties: list[tuple[Any, Any]] = [
        (str, ""),
        (str | None, None),
        (tuple[str, ...], ()),
        (dict[str, str], {}),
    ]
    for annotation, empty in empties:
        assert "default" not in field_schema(annotation, empty)


def test_a_parent_of_defaults_gets_an_empty_default_so_that_they_apply() -> None:
    assert field_schema(Inner, Inner())["default"] == {}
    assert "default" not in field_schema(Plain, Plain())


def test_a_nested_default_other_than_the_structs_own_is_refused() -> None:
    with pytest.raises(NotStructuralError, match="field"):
        field_schema(Inner, Inner(depth=4))


def test_a_computed_default_is_refused() -> None:
    with pytest.raises(NotStructuralError, match="field"):
        field_schema(int, msgspec.field(default_factory=lambda: 4))


def test_required_names_only_fields_without_a_default_and_is_dropped_when_empty() -> None:
    struct = msgspec.defstruct("Toy", [("a", int), ("b", int, 1)])
    assert struct_schema(struct)["required"] == ["a"]
    assert "required" not in struct_schema(Inner)


def nodes(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from nodes(part, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from nodes(schema[name], f"{path}[]")


@every_kind
def test_every_node_has_a_type_and_no_node_refers_elsewhere(kind: Definition) -> None:
    forbidden = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "nullable"}
    for path, node in nodes(object_schema(kind), kind.resource.kind):
        assert not forbidden & node.keys(), path
        assert ("type" in node) != ("x-kubernetes-int-or-string" in node), path


@every_kind
def test_every_field_is_described(kind: Definition) -> None:
    # The API server allows no description on metadata.
    for path, node in nodes(object_schema(kind), kind.resource.kind):
        for name, part in node.get("properties", {}).items():
            if not f"{path}.{name}".startswith(f"{kind.resource.kind}.metadata"):
                assert part.get("description", "").endswith("."), f"{path}.{name}"


@every_kind
def test_every_default_passes_its_own_schema(kind: Definition, violations: Judge) -> None:
    for path, node in nodes(object_schema(kind), kind.resource.kind):
        if "default" in node:
            assert violations(node, node["default"]) == [], path


@every_kind
def test_keys_of_lists_are_required_fields_of_their_items(kind: Definition) -> None:
    for path, node in nodes(object_schema(kind), kind.resource.kind):
        if node.get("x-kubernetes-list-type") == "map":
            assert set(node["x-kubernetes-list-map-keys"]) <= set(node["items"]["required"]), path


@every_kind
def test_the_status_has_no_defaults(kind: Definition) -> None:
    status = object_schema(kind)["properties"]["status"]
    assert [path for path, node in nodes(status, "status") if "default" in node] == []


@every_kind
def test_columns_and_scale_point_at_fields_of_the_schema(kind: Definition) -> None:
    schema = object_schema(kind)
    paths = [column.json_path for column in kind.columns]
    if kind.scale is not None:
        paths += [kind.scale.spec_path, kind.scale.status_path, kind.scale.selector_path]
    for path in paths:
        node = schema
        for name in path.partition("[")[0].strip(".").split("."):
            if name != "creationTimestamp":
                node = node["properties"][name]


@every_kind
def test_rules_read_only_fields_that_exist(kind: Definition) -> None:
    schema = object_schema(kind)
    spec, status = (schema["properties"][part]["properties"] for part in ("spec", "status"))
    for rule in kind.spec_rules:
        read = re.findall(r"(?<!\.)\b(?:self|oldSelf|spec)\.(\w+)", rule.rule)
        assert set(read) - {"all"} <= set(spec)
    for rule in kind.object_rules:
        assert set(re.findall(r"\b(?:self|oldSelf)\.spec\.(\w+)", rule.rule)) <= set(spec)
        assert set(re.findall(r"\bself\.status\.(\w+)", rule.rule)) <= set(status)
        read = re.findall(r"\b(?:self|oldSelf)\.(\w+)", rule.rule)
        assert set(read) <= {"spec", "metadata", "status"}


@every_kind
def test_the_crd_is_one_served_and_stored_version_with_a_status_of_its_own(
    kind: Definition,
) -> None:
    manifest = crd(kind)
    (version,) = manifest["spec"]["versions"]
    assert manifest["metadata"]["name"] == f"{kind.resource.plural}.{kind.resource.group}"
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    assert version["subresources"]["status"] == {}
    assert manifest["spec"]["scope"] == "Namespaced"


def test_only_name_services_can_be_scaled() -> None:
    scalable = [kind.resource.kind for kind in DEFINITIONS if kind.scale is not None]
    assert scalable == ["NameService"]


def test_columns_of_the_go_operator_are_still_there() -> None:
    shown = {kind.resource.kind: {column.name for column in kind.columns} for kind in DEFINITIONS}
    assert shown["NameService"] >= {"Ready", "Size", "Host-Network", "Age"}
    assert shown["Broker"] >= {"Ready", "Size", "Replica-Per-Group", "Allow-Restart", "Age"}


def test_short_names_are_unique_and_not_those_of_kubernetes() -> None:
    names = [name for kind in DEFINITIONS for name in kind.short_names]
    assert len(set(names)) == len(names)
    assert not {"ns", "po", "svc", "sts", "cm", "pdb", "pvc", "no", "ev"} & set(names)


def test_deleting_all_of_a_namespace_does_not_delete_clusters() -> None:
    assert "all" not in CATEGORIES
