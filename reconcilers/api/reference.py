"""The reference page for users: every field, default and rule of every kind, as Markdown. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from reconcilers.api.definition import Column, Definition, Rule
from reconcilers.api.schema import Schema, object_schema

_INTRODUCTION = """\
# Reference

Every field of every kind, with its default and its limits. Generated from `reconcilers/api` by
`hack/generate.py`; do not edit. Worked examples are in `config/samples`.

`<n>[]` is an item of a list. Fields of Kubernetes types (EnvVar, Volume, Affinity ...) are passed
on as they are.
"""
_LIMITS = (
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("pattern", "matches `{}`"),
)


def reference(definitions: Iterable[Definition]) -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *(_kind(definition) for definition in definitions)])


def _kind(definition: Definition) -> str:
    resource = definition.resource
    properties = object_schema(definition)["properties"]
    names = ", ".join(f"`{name}`" for name in (resource.plural, *definition.short_names))
    lines = [
        f"## {resource.kind}",
        "",
        f"{definition.description}",
        "",
        f"`apiVersion: {resource.api_version}`, `kind: {resource.kind}`; with kubectl: {names}.",
        "",
        f"Its name has at most {definition.max_name_length} lower-case letters, digits and `-`, "
        "and starts with a letter: Services and pods are named after it.",
        *(["", "`kubectl scale` and autoscalers set `spec.size`."] if definition.scale else []),
        "",
        f"### {resource.kind} spec",
        "",
        *_spec_table(properties["spec"]),
        "",
        f"### {resource.kind} rules",
        "",
        "The API server refuses a write that breaks one of these:",
        "",
        *(_rule(rule) for rule in definition.object_rules + definition.spec_rules),
        "",
        f"### {resource.kind} status",
        "",
        *_status_table(properties["status"]),
        "",
        f"### {resource.kind} columns",
        "",
        *_columns(definition.columns),
        "",
    ]
    return "\n".join(lines)


def _spec_table(schema: Schema) -> Iterator[str]:
    yield "| field | type | default | limits | meaning |"
    yield "|---|---|---|---|---|"
    for path, node, required in _fields(schema, ""):
        default = "required" if required else _default(node)
        limits = _limits(node)
        yield _row(f"`{path}`", _type(node), default, limits, node.get("description", ""))


def _status_table(schema: Schema) -> Iterator[str]:
    yield "| field | type | meaning |"
    yield "|---|---|---|"
    for path, node, _required in _fields(schema, ""):
        yield _row(f"`{path}`", _type(node), node.get("description", ""))


def _columns(columns: Iterable[Column]) -> Iterator[str]:
    yield "| column | from | meaning |"
    yield "|---|---|---|"
    for column in columns:
        name = f"{column.name} (`-o wide`)" if column.priority else column.name
        yield _row(name, f"`{column.json_path}`", column.description)


def _rule(rule: Rule) -> str:
    return f"- {_escaped(rule.message)}"


def _fields(schema: Schema, path: str) -> Iterator[tuple[str, Schema, bool]]:
    required = schema.get("required", ())
    properties = schema.get("properties", {})
    for name, node in sorted(properties.items(), key=lambda item: item[0] not in required):
        yield f"{path}{name}", node, name in required
        yield from _fields(node, f"{path}{name}.")
        yield from _fields(node.get("items", {}), f"{path}{name}[].")


def _type(node: Schema) -> str:
    if node.get("x-kubernetes-int-or-string"):
        return "quantity"
    if node["type"] == "array":
        return f"list of {_type(node['items'])}"
    if "additionalProperties" in node:
        return f"map to {_type(node['additionalProperties'])}"
    return str(node["type"])


def _default(node: Schema) -> str:
    if "default" not in node:
        return ""
    return f"`{json.dumps(node['default'])}`"


def _limits(node: Schema) -> str:
    values = [f"`{value}`" if value else "empty" for value in node.get("enum", ())]
    limits = [text.format(node[name]) for name, text in _LIMITS if name in node]
    return "; ".join([", ".join(values), *limits] if values else limits)


def _row(*cells: str) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(cell: str) -> str:
    """Code is left as it is: only there do `<` and `>` stand for themselves."""
    if cell.startswith("`") and cell.endswith("`"):
        return cell.replace("|", "\\|")
    return cell.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
