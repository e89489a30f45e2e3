"""A judge of values under a structural schema, as the API server is one (CEL aside)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Schema = dict[str, Any]
Judge = Callable[[Schema, object], list[str]]

_KNOWN = {
    "additionalProperties",
    "default",
    "description",
    "enum",
    "items",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}
_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def _violations(schema: Schema, value: object, path: str) -> Iterator[str]:
    if unknown := schema.keys() - _KNOWN:
        raise AssertionError(f"{path}: the judge knows nothing of {unknown}")
    if not _is_of_type(schema, value):
        yield f"{path}: {value!r} is no {schema.get('type', 'quantity')}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if isinstance(value, str):
        yield from _text(schema, value, path)
    if isinstance(value, int) and not (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
    ):
        yield f"{path}: {value} is out of bounds"
    if isinstance(value, list):
        yield from _list(schema, value, path)
    if isinstance(value, dict):
        yield from _object(schema, value, path)


def _is_of_type(schema: Schema, value: object) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, int | str) and not isinstance(value, bool)
    wanted = _TYPES[schema["type"]]
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))


def _text(schema: Schema, value: str, path: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{path}: wrong length"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value!r} does not match {schema['pattern']}"


def _list(schema: Schema, value: list[Any], path: str) -> Iterator[str]:
    seen: list[tuple[object, ...]] = []
    for index, item in enumerate(value):
        yield from _violations(schema["items"], item, f"{path}[{index}]")
        if schema["x-kubernetes-list-type"] == "map":
            key = tuple(item.get(name) for name in schema["x-kubernetes-list-map-keys"])
            if key in seen:
                yield f"{path}[{index}]: {key} is there twice"
            seen.append(key)


def _object(schema: Schema, value: dict[str, Any], path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    yield from (
        f"{path}.{name}: missing" for name in schema.get("required", ()) if name not in value
    )
    for name, part in value.items():
        where = f"{path}.{name}"
        if name in properties:
            yield from _violations(properties[name], part, where)
        elif "additionalProperties" in schema:
            yield from _violations(schema["additionalProperties"], part, where)
        # The server itself knows the fields of the root's metadata.
        elif not schema.get("x-kubernetes-preserve-unknown-fields") and path != ".metadata":
            yield f"{where}: unknown field"


@pytest.fixture(scope="session")
def violations() -> Judge:
    """Lists what a value breaks of a schema, with paths; fails on a keyword it does not know."""
    return lambda schema, value: [line.removeprefix(".") for line in _violations(schema, value, "")]


def _defaulted(schema: Schema, value: Any) -> Any:
    if isinstance(value, dict) and "properties" in schema:
        absent = {
            name: part["default"]
            for name, part in schema["properties"].items()
            if "default" in part and name not in value
        }
        whole = {**value, **absent}
        return {
            name: _defaulted(schema["properties"].get(name, {}), part)
            for name, part in whole.items()
        }
    if isinstance(value, list) and "items" in schema:
        return [_defaulted(schema["items"], item) for item in value]
    return value


@pytest.fixture(scope="session")
def defaulted() -> Callable[[Schema, Any], Any]:
    """The value as the API server stores it: with the schema's defaults filled in."""
    return _defaulted
