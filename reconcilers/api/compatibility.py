"""Which objects that one schema accepts would be refused by the next one. Pure.

A resource that a user has stored must stay acceptable, so a narrower field is a breaking change and
has to be announced (see hack/generate.py). Only tightening is named: a new optional field, a
wider limit or another default is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reconcilers.api.schema import Schema

_LOWER = ("minimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")


def narrowed(old: Schema, new: Schema, path: str = "") -> tuple[str, ...]:
    """One line `path: what` for each place where `new` accepts less than `old`."""
    return tuple(_narrowed(old, new, path))


def _narrowed(old: Schema, new: Schema, path: str) -> Iterator[str]:
    where = path or "."
    yield from (f"{where}: {what}" for what in _own(old, new))
    yield from (f"{where}: {what}" for what in _required(old, new))
    yield from _children(old, new, path)


def _own(old: Schema, new: Schema) -> Iterator[str]:
    if old.get("type") != new.get("type"):
        yield f"type {old.get('type')} -> {new.get('type')}"
    yield from _bounds(old, new, _LOWER, lambda before, after: after > before)
    yield from _bounds(old, new, _UPPER, lambda before, after: after < before)
    gone = [value for value in old.get("enum", ()) if value not in new.get("enum", (value,))]
    if gone:
        yield f"enum without {', '.join(map(repr, gone))}"
    if "enum" in new and "enum" not in old:
        yield "enum added"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"pattern {new['pattern']}"
    yield from _structure(old, new)


def _structure(old: Schema, new: Schema) -> Iterator[str]:
    if old.get("nullable") and not new.get("nullable"):
        yield "no longer nullable"
    if _kind_of_list(new) == "map" and _kind_of_list(old) != "map":
        yield "items must differ in their key"
    known = {rule["rule"] for rule in old.get("x-kubernetes-validations", ())}
    for rule in new.get("x-kubernetes-validations", ()):
        if rule["rule"] not in known:
            yield f"rule {rule['rule']}"


def _kind_of_list(schema: Schema) -> str:
    return str(schema.get("x-kubernetes-list-type", "atomic"))


def _bounds(
    old: Schema, new: Schema, names: tuple[str, ...], tighter: Callable[[int, int], bool]
) -> Iterator[str]:
    for name in names:
        if name in new and (name not in old or tighter(old[name], new[name])):
            yield f"{name} {old.get(name)} -> {new[name]}"


def _required(old: Schema, new: Schema) -> Iterator[str]:
    """A newly required field; one with a default is filled in before the object is judged."""
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        if "default" not in new.get("properties", {}).get(name, {}):
            yield f"{name} required"


def _children(old: Schema, new: Schema, path: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(before):
        if name in after:
            yield from _narrowed(before[name], after[name], f"{path}.{name}")
        elif not _keeps_unknown(new):
            yield f"{path}.{name}: removed"
    if _keeps_unknown(old):
        yield from (f"{path}.{name}: was free" for name in sorted(set(after) - set(before)))
        if not _keeps_unknown(new):
            yield f"{path or '.'}: unknown fields are dropped"
    for part, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(old.get(part), dict) and isinstance(new.get(part), dict):
            yield from _narrowed(old[part], new[part], f"{path}{mark}")


def _keeps_unknown(schema: Schema) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields"))
