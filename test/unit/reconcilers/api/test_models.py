"""The model and the published schema accept the same values, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from reconcilers.api.definition import Definition
from reconcilers.api.kinds import DEFINITIONS
from reconcilers.api.schema import Schema, object_schema

Judge = Callable[[Schema, object], list[str]]

PARTS = [(kind, part) for kind in DEFINITIONS for part in ("spec", "status")]
WORD = st.characters(codec="ascii", exclude_categories=["Cc"])
WORDS = st.text(WORD, max_size=8)
every_part = pytest.mark.parametrize(
    ("kind", "part"), PARTS, ids=[f"{kind.resource.kind}-{part}" for kind, part in PARTS]
)


def texts(schema: Schema) -> st.SearchStrategy[Any]:
    if "pattern" in schema:
        # RE2's $ is the very end; without a newline Python's is, too.
        ascii_line = st.characters(codec="ascii", exclude_characters="\n")
        return st.from_regex(schema["pattern"], alphabet=ascii_line)
    return st.text(WORD, min_size=schema.get("minLength", 0), max_size=12)


def integers(schema: Schema) -> st.SearchStrategy[Any]:
    return st.integers(schema.get("minimum", -(2**31)), schema.get("maximum", 2**31))


def lists(schema: Schema, items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    if schema["x-kubernetes-list-type"] == "atomic":
        return st.lists(items, max_size=3)
    (key,) = schema["x-kubernetes-list-map-keys"]
    return st.lists(
        items,
        max_size=3,
        unique_by=lambda item: item[key] if isinstance(item, dict) else getattr(item, key),
    )


def objects(schema: Schema) -> st.SearchStrategy[Any]:
    if "additionalProperties" in schema:
        return st.dictionaries(WORDS, accepted(schema["additionalProperties"]), max_size=2)
    required = schema.get("required", ())
    parts = {name: accepted(part) for name, part in schema.get("properties", {}).items()}
    return st.fixed_dictionaries(
        {name: part for name, part in parts.items() if name in required},
        optional={name: part for name, part in parts.items() if name not in required},
    )


BY_TYPE: dict[str, Callable[[Schema], st.SearchStrategy[Any]]] = {
    "string": texts,
    "integer": integers,
    "boolean": lambda _schema: st.booleans(),
    "array": lambda schema: lists(schema, accepted(schema["items"])),
    "object": objects,
}


def accepted(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that the API server stores under this schema."""
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(0, 2**31) | texts(schema)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return BY_TYPE[schema["type"]](schema)


def optional(types: tuple[inspect.Type, ...], schema: Schema) -> st.SearchStrategy[Any]:
    values = [one for one in types if not isinstance(one, inspect.NoneType)]
    if len(values) == len(types):
        return accepted(schema)
    return st.none() | drawn(values[0], schema)


def structs(info: inspect.StructType, schema: Schema) -> st.SearchStrategy[Any]:
    parts = {
        field.name: drawn(field.type, schema["properties"][field.encode_name])
        for field in info.fields
    }
    return st.fixed_dictionaries(parts).map(lambda values: info.cls(**values))


def numbers(info: inspect.IntType) -> st.SearchStrategy[Any]:
    return st.integers(-(2**31) if info.ge is None else info.ge, info.le)


def drawn(info: inspect.Type, schema: Schema) -> st.SearchStrategy[Any]:
    """Values of the model; what is only published (patterns, free objects) is from the schema."""
    simple: dict[type, Callable[[Any], st.SearchStrategy[Any]]] = {
        inspect.Metadata: lambda info: drawn(info.type, schema),
        inspect.StructType: lambda info: structs(info, schema),
        inspect.UnionType: lambda info: optional(info.types, schema),
        inspect.VarTupleType: lambda info: lists(
            schema, drawn(info.item_type, schema["items"])
        ).map(tuple),
        inspect.LiteralType: lambda info: st.sampled_from(info.values),
        inspect.IntType: numbers,
    }
    return simple.get(type(info), lambda _info: accepted(schema))(info)


def without_nulls(value: Any) -> Any:
    """What is stored of it: the API server drops a null where the schema does not allow it."""
    if isinstance(value, dict):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    if isinstance(value, list):
        return [without_nulls(part) for part in value]
    return value


def model(kind: Definition, part: str) -> type[msgspec.Struct]:
    struct = msgspec.structs.fields(kind.struct)
    (found,) = (field.type for field in struct if field.name == part)
    assert issubclass(found, msgspec.Struct)
    return found


@every_part
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_value_of_the_model_passes_the_schema(
    kind: Definition, part: str, data: st.DataObject, violations: Judge
) -> None:
    schema = object_schema(kind)["properties"][part]
    value = data.draw(drawn(inspect.type_info(model(kind, part)), schema))
    sent = without_nulls(msgspec.json.decode(msgspec.json.encode(value)))
    assert violations(schema, sent) == []


@every_part
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_the_schema_accepts_decodes_and_loses_nothing(
    kind: Definition, part: str, data: st.DataObject
) -> None:
    stored = data.draw(accepted(object_schema(kind)["properties"][part]))
    value = msgspec.json.decode(msgspec.json.encode(stored), type=model(kind, part))
    sent = msgspec.json.decode(msgspec.json.encode(value))
    assert contains(sent, stored)


def contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return all(name in whole and contains(whole[name], sub) for name, sub in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize("kind", DEFINITIONS, ids=lambda kind: kind.resource.kind)
def test_unknown_fields_are_ignored_so_an_older_operator_survives_a_newer_crd(
    kind: Definition,
) -> None:
    spec = {"size": 1, "storageMode": "EmptyDir", "brokerImage": "a", "nameServiceImage": "a"}
    spec |= {"topic": "a", "sourceCluster": "a", "targetCluster": "b"}
    known = {"metadata": {"name": "a"}, "spec": spec}
    newer = {"metadata": {"name": "a", "managedFields": [{}]}, "spec": spec | {"later": [1]}}
    assert msgspec.convert(newer, kind.struct) == msgspec.convert(known, kind.struct)
