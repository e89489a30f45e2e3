from __future__ import annotations

import pytest

from reconcilers.api.compatibility import narrowed
from reconcilers.api.kinds import DEFINITIONS
from reconcilers.api.schema import Schema, object_schema

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer", "minimum": 1}
FREE: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def of(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def rules(*texts: str) -> Schema:
    return TEXT | {"x-kubernetes-validations": [{"rule": text, "message": "m"} for text in texts]}


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (of(a=TEXT), of(a={"type": "integer"}), "Kind.a: type string -> integer"),
        (of(a=NUMBER), of(a=NUMBER | {"minimum": 2}), "Kind.a: minimum 1 -> 2"),
        (of(a=TEXT), of(a=TEXT | {"maxLength": 5}), "Kind.a: maxLength None -> 5"),
        (of(a=TEXT), of(a=TEXT | {"pattern": "^b"}), "Kind.a: pattern ^b"),
        (of(a=TEXT), of(a=TEXT | {"enum": ["b"]}), "Kind.a: enum added"),
        (
            of(a=TEXT | {"enum": ["b", "c"]}),
            of(a=TEXT | {"enum": ["c", "d"]}),
            "Kind.a: enum without 'b'",
        ),
        (of(a=TEXT), of(a=TEXT) | {"required": ["a"]}, "Kind: a required"),
        (of(a=TEXT), of(), "Kind.a: removed"),
        (of(a=TEXT | {"nullable": True}), of(a=TEXT), "Kind.a: no longer nullable"),
        (rules("x"), rules("x", "y"), "Kind: rule y"),
        (FREE, FREE | of(a=TEXT), "Kind.a: was free"),
        (FREE, {"type": "object"}, "Kind: unknown fields are dropped"),
        (
            {"type": "array", "items": TEXT},
            {"type": "array", "items": TEXT | {"minLength": 1}},
            "Kind[]: minLength None -> 1",
        ),
        (
            {"type": "array", "items": TEXT},
            {"type": "array", "items": TEXT, "x-kubernetes-list-type": "map"},
            "Kind: items must differ in their key",
        ),
        (
            {"type": "object", "additionalProperties": TEXT},
            {"type": "object", "additionalProperties": TEXT | {"minLength": 1}},
            "Kind{}: minLength None -> 1",
        ),
        (of(a=of(b=NUMBER)), of(a=of(b={"type": "boolean"})), "Kind.a.b: type integer"),
    ],
)
def test_a_narrower_field_is_named_with_its_path(old: Schema, new: Schema, line: str) -> None:
    (found,) = narrowed(old, new, "Kind")
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (of(a=TEXT), of(a=TEXT, b=NUMBER)),
        (of(a=NUMBER), of(a=NUMBER | {"minimum": 0})),
        (of(a=NUMBER), of(a={"type": "integer"})),
        (of(a=TEXT | {"enum": ["b"]}), of(a=TEXT | {"enum": ["b", "c"]})),
        (of(a=TEXT | {"enum": ["b"]}), of(a=TEXT)),
        (of(a=TEXT) | {"required": ["a"]}, of(a=TEXT)),
        (of(a=TEXT), of(a=TEXT | {"default": "b"}) | {"required": ["a"]}),
        (of(a=TEXT), FREE),
        (of(a=TEXT), of(a=TEXT | {"description": "Other."})),
        (of(a=TEXT), of(a=TEXT | {"nullable": True})),
        (rules("x", "y"), rules("y")),
    ],
)
def test_a_wider_or_equal_field_is_not_named(old: Schema, new: Schema) -> None:
    assert narrowed(old, new) == ()


@pytest.mark.parametrize("kind", DEFINITIONS, ids=lambda kind: kind.resource.kind)
def test_a_schema_is_not_narrower_than_itself(kind: object) -> None:
    assert isinstance(kind, type(DEFINITIONS[0]))
    assert narrowed(object_schema(kind), object_schema(kind)) == ()
