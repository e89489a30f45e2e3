"""Struct to structural OpenAPI v3 schema, and a kind's definition to its CRD. Pure.

Structural (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/
custom-resource-definitions/#specifying-a-structural-schema): each node has a type, nothing is
referred to, and the only unions are `T | None` and a quantity's `int | str`. `T | None` is
published as `T`: the API server drops a null where it is not allowed. Any other form raises.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from controller.objects import Manifest
from reconcilers.api.definition import CATEGORIES, Column, Definition, Rule, Scale
from reconcilers.api.meta import NAME_PATTERN

Schema = dict[str, Any]
"""One node of a schema."""

_EMPTY: tuple[object, ...] = (None, "", (), [], {})


class NotStructuralError(TypeError):
    """A Struct has a form that no structural schema can express; the text says which."""


def crd(definition: Definition) -> Manifest:
    """The CustomResourceDefinition (apiextensions.k8s.io/v1) of one kind."""
    resource = definition.resource
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{resource.plural}.{resource.group}",
            "labels": {"app.kubernetes.io/name": "rocketmq-operator"},
        },
        "spec": {
            "group": resource.group,
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": list(definition.short_names),
                "categories": list(CATEGORIES),
            },
            "scope": "Namespaced",
            "versions": [_version(definition)],
        },
    }


def object_schema(definition: Definition) -> Schema:
    """The schema of whole objects of one kind."""
    parts = {field.encode_name: field.type for field in _fields(definition.struct)}
    schema: Schema = {
        "type": "object",
        "description": definition.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Group and version of the kind."},
            "kind": {"type": "string", "description": "Kind of the resource."},
            "metadata": _metadata(definition.max_name_length),
            "spec": _node(parts["spec"])
            | {"description": "What is wanted."}
            | _rules(definition.spec_rules),
            # Written by us and whole: a default there would invent observations.
            "status": _without_defaults(_node(parts["status"]))
            | {"description": "What was observed."},
        },
    }
    return schema | _rules(definition.object_rules)


def struct_schema(struct: type[msgspec.Struct]) -> Schema:
    """The structural schema of a Struct; raises NotStructuralError."""
    return _struct(_fields(struct))


def _metadata(max_name_length: int) -> Schema:
    """Limits of the name; the API server allows nothing else here, not even a description."""
    name = {"type": "string", "pattern": NAME_PATTERN, "maxLength": max_name_length}
    return {"type": "object", "properties": {"name": name}}


def _version(definition: Definition) -> Manifest:
    subresources: Manifest = {"status": {}}
    if definition.scale is not None:
        subresources["scale"] = _scale(definition.scale)
    return {
        "name": definition.resource.version,
        "served": True,
        "storage": True,
        "subresources": subresources,
        "additionalPrinterColumns": [_column(column) for column in definition.columns],
        "schema": {"openAPIV3Schema": object_schema(definition)},
    }


def _scale(scale: Scale) -> Manifest:
    return {
        "specReplicasPath": scale.spec_path,
        "statusReplicasPath": scale.status_path,
        "labelSelectorPath": scale.selector_path,
    }


def _column(column: Column) -> Manifest:
    shown: Manifest = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.json_path,
        "description": column.description,
    }
    return shown | ({"priority": column.priority} if column.priority else {})


def _rules(rules: tuple[Rule, ...]) -> Schema:
    if not rules:
        return {}
    return {
        "x-kubernetes-validations": [{"rule": rule.rule, "message": rule.message} for rule in rules]
    }


def _fields(struct: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(struct)
    if not isinstance(info, inspect.StructType):
        raise NotStructuralError(f"{struct!r} is no Struct")
    return info.fields


def _node(info: inspect.Type) -> Schema:
    match info:
        case inspect.Metadata(type=inner, extra_json_schema=extra):
            return _node(inner) | (extra or {})
        case inspect.StructType(fields=fields):
            return _struct(fields)
        case inspect.DictType(key_type=inspect.StrType(), value_type=value):
            return {"type": "object"} | _values(value)
        case inspect.VarTupleType(item_type=item, min_length=low, max_length=high):
            items = {"type": "array", "items": _node(item), "x-kubernetes-list-type": "atomic"}
            return items | _limits(minItems=low, maxItems=high)
        case inspect.UnionType(types=types):
            return _union(types)
        case _:
            return _scalar(info)


def _scalar(info: inspect.Type) -> Schema:
    match info:
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType(gt=None, lt=None, multiple_of=None, ge=low, le=high):
            return {"type": "integer"} | _limits(minimum=low, maximum=high)
        case inspect.StrType(min_length=low, max_length=high, pattern=pattern):
            return {"type": "string"} | _limits(minLength=low, maxLength=high, pattern=pattern)
        case inspect.LiteralType(values=values) if all(isinstance(v, str) for v in values):
            return {"type": "string", "enum": list(values)}
        case _:
            raise NotStructuralError(f"no structural schema for {info!r}")


def _union(types: tuple[inspect.Type, ...]) -> Schema:
    values = tuple(info for info in types if not isinstance(info, inspect.NoneType))
    match values:
        case (only,):
            return _node(only)
        case (inspect.IntType(), inspect.StrType()):
            return {"x-kubernetes-int-or-string": True}
        case _:
            raise NotStructuralError(f"only T | None and int | str are structural: {types!r}")


def _values(value: inspect.Type) -> Schema:
    if isinstance(value, inspect.AnyType):
        return {"x-kubernetes-preserve-unknown-fields": True}
    return {"additionalProperties": _node(value)}


def _struct(fields: tuple[inspect.Field, ...]) -> Schema:
    properties = {field.encode_name: _property(field) for field in fields}
    required = [field.encode_name for field in fields if field.required]
    schema: Schema = {"type": "object", "properties": properties}
    return schema | ({"required": required} if required else {})


def _property(field: inspect.Field) -> Schema:
    schema = _node(field.type)
    if isinstance(field.default, msgspec.Struct):
        return schema | _struct_default(field, field.default, schema)
    if field.default is msgspec.NODEFAULT:
        return _with_factory(field, schema)
    default = msgspec.to_builtins(field.default)
    # Absent and empty mean the same to us; publishing it would only fill up every object.
    return schema if default in _EMPTY else schema | {"default": default}


def _with_factory(field: inspect.Field, schema: Schema) -> Schema:
    if field.default_factory not in {msgspec.NODEFAULT, dict, list}:
        raise NotStructuralError(f"{field.name}: a default must be a value, not a function")
    return schema


def _struct_default(field: inspect.Field, default: msgspec.Struct, schema: Schema) -> Schema:
    if default != type(default)():
        raise NotStructuralError(f"{field.name}: give the nested Struct its own defaults instead")
    inner = schema["properties"].values()
    # Without the parent the API server would never apply the defaults inside.
    return {"default": {}} if any("default" in node for node in inner) else {}


def _without_defaults(schema: Schema) -> Schema:
    """The same schema with every published default left out."""
    kept = {name: part for name, part in schema.items() if name != "default"}
    if "properties" in kept:
        parts = kept["properties"].items()
        kept["properties"] = {name: _without_defaults(part) for name, part in parts}
    if "items" in kept:
        kept["items"] = _without_defaults(kept["items"])
    return kept


def _limits(**limits: object) -> Schema:
    return {name: limit for name, limit in limits.items() if limit is not None}
