"""What an observed object lacks of the desired one, as named changes. Pure.

Only the fields that we set are looked at: what the API server defaults and what other managers own
is no change, so an object is a subset of itself plus anything. Contents count, not spellings:

- lists of objects that the API merges by key are matched by that key, in any order; every other
  list is atomic: of the same length, and compared element by element (`_MERGE_KEYS`);
- quantities are compared by value, and only where the API has quantities (`_is_quantity`);
- what the server drops because it is empty equals absent (`_means_absent`).

A subset cannot show a field that we *stopped* setting. For that `applied_fields` is a fingerprint
of the paths that we set, which `apply` stores on the object: server-side apply then releases it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Iterator
from fractions import Fraction
from typing import Any

import msgspec

from controller.objects import Manifest

Path = tuple[str, ...]
"""Field names from the root, without list positions."""


_KeyFields = tuple[tuple[Path, Any], ...]


class FieldChange(msgspec.Struct, frozen=True):
    """One field that differs: `before` is what was observed, None where there was nothing.

    The values may be large or secret: logs and events show the path alone.
    """

    path: str
    before: Any
    after: Any


# Lists of objects that the API merges: the end of the path, and an item's key with the default that
# the server fills in (x-kubernetes-list-map-keys of the published OpenAPI). What is not here is
# atomic there, too: tolerations, args, envFrom, rules, subjects, node selector terms, projections.
_MERGE_KEYS: dict[Path, _KeyFields] = {
    ("spec", "containers"): ((("name",), None),),
    ("spec", "initContainers"): ((("name",), None),),
    ("spec", "volumes"): ((("name",), None),),
    ("spec", "imagePullSecrets"): ((("name",), None),),
    ("spec", "hostAliases"): ((("ip",), None),),
    # The same topology may stand there twice, once strictly and once softly.
    ("spec", "topologySpreadConstraints"): (
        (("topologyKey",), None),
        (("whenUnsatisfiable",), None),
    ),
    # Of a Service; the same port may serve TCP and UDP.
    ("spec", "ports"): ((("port",), None), (("protocol",), "TCP")),
    # Atomic in the API, but immutable and filled with defaults: a change is named by its claim.
    ("spec", "volumeClaimTemplates"): ((("metadata", "name"), None),),
    ("containers", "env"): ((("name",), None),),
    ("containers", "ports"): ((("containerPort",), None), (("protocol",), "TCP")),
    ("containers", "volumeMounts"): ((("mountPath",), None),),
    ("containers", "volumeDevices"): ((("devicePath",), None),),
    ("initContainers", "env"): ((("name",), None),),
    ("initContainers", "ports"): ((("containerPort",), None), (("protocol",), "TCP")),
    ("initContainers", "volumeMounts"): ((("mountPath",), None),),
    ("initContainers", "volumeDevices"): ((("devicePath",), None),),
    ("metadata", "ownerReferences"): ((("uid",), None),),
}

# Maps of a user's own keys: here the server keeps an empty value, so absent is a difference.
_FREE_MAPS = frozenset(
    {"annotations", "binaryData", "data", "labels", "matchLabels", "nodeSelector", "selector"}
)

# Optional fields (pointers in Go) whose zero the server keeps because it says something else than
# absence does. Every other zero is dropped on the way in, and would look like a change for ever.
_KEPT_ZEROS = frozenset(
    {
        *("allowPrivilegeEscalation", "automountServiceAccountToken", "enableServiceLinks"),
        *("fsGroup", "hostUsers", "immutable", "maxUnavailable", "minAvailable", "optional"),
        *("partition", "privileged", "readOnlyRootFilesystem", "replicas", "runAsGroup"),
        *("runAsNonRoot", "runAsUser", "storageClassName", "terminationGracePeriodSeconds"),
        *("tolerationSeconds", "ttlSecondsAfterFinished"),
    }
)

# Objects that say something by being there, even empty: members of a union, and "select all".
_KEPT_EMPTIES = frozenset({"emptyDir", "namespaceSelector", "podSelector"})

_TYPE_FIELDS = frozenset({("apiVersion",), ("kind",)})
"""Which kind this is, the caller knows; the items of a list need not say it."""


def changes(desired: Manifest, observed: Manifest) -> tuple[FieldChange, ...]:
    """The fields of `desired` that `observed` lacks or has otherwise, in the order of `desired`."""
    return tuple(_of_map(desired, observed, (), ""))


def whole_lists(desired: Manifest, paths: Collection[str]) -> Manifest:
    """A strategic merge patch that makes these lists what `desired` holds, and nothing else of it.

    `paths` are without list positions: `spec.template.spec.containers.ports` means the ports of
    every container. Empty if `desired` has none of these lists.
    """
    return _whole_lists_of_map(desired, (), paths)


def applied_fields(desired: Manifest) -> str:
    """A fingerprint of the set of paths that `desired` sets, merge keys included, values not.

    It is stored on objects: another spelling of the paths makes each object be written once more.
    """
    paths = sorted(_leaf_paths(desired, (), ""))
    return hashlib.sha256("\n".join(paths).encode()).hexdigest()[:16]


def _whole_lists_of_map(desired: Manifest, at: Path, paths: Collection[str]) -> Manifest:
    found: Manifest = {}
    for field, value in desired.items():
        path = (*at, field)
        inner: Any = None
        if isinstance(value, dict):
            inner = _whole_lists_of_map(value, path, paths)
        elif isinstance(value, list) and ".".join(path) in paths:
            inner = [{"$patch": "replace"}, *value]
        elif isinstance(value, list) and path[-2:] in _MERGE_KEYS:
            inner = list(_items_with_whole_lists(value, path, paths))
        if inner:
            found[field] = inner
    return found


def _items_with_whole_lists(
    items: list[Any], at: Path, paths: Collection[str]
) -> Iterator[Manifest]:
    # Where a list stands in items of a list, its first key is all that tells the items apart.
    key = _MERGE_KEYS[at[-2:]][0][0][0]
    for item in items:
        inner = _whole_lists_of_map(item, at, paths)
        if inner:
            yield {key: item[key], **inner}


def _of_map(desired: Manifest, observed: Manifest, at: Path, name: str) -> Iterator[FieldChange]:
    for field, after in desired.items():
        path = (*at, field)
        if path not in _TYPE_FIELDS:
            yield from _of_value(after, observed.get(field), path, _child(name, field))


def _of_value(after: Any, before: Any, at: Path, name: str) -> Iterator[FieldChange]:
    if isinstance(after, dict) and after and isinstance(before, dict):
        yield from _of_map(after, before, at, name)
    elif isinstance(after, list) and after and isinstance(before, list):
        yield from _of_list(after, before, at, name)
    elif not _equal(after, before, at):
        yield FieldChange(name, before, after)


def _of_list(after: list[Any], before: list[Any], at: Path, name: str) -> Iterator[FieldChange]:
    wanted = _by_merge_key(after, at)
    if wanted is not None:
        present = dict(_keyed(before, _MERGE_KEYS[at[-2:]]))
        for key, item in wanted.items():
            yield from _of_value(item, present.get(key), at, f"{name}[{key}]")
    elif len(after) != len(before):
        yield FieldChange(name, before, after)
    else:
        for index, (item, other) in enumerate(zip(after, before, strict=True)):
            yield from _of_value(item, other, at, f"{name}[{index}]")


def _by_merge_key(items: list[Any], at: Path) -> dict[str, Any] | None:
    """Our items by their key; None where the list is atomic or the keys do not tell them apart."""
    fields = _MERGE_KEYS.get(at[-2:])
    if fields is None:
        return None
    found = dict(_keyed(items, fields))
    return found if len(found) == len(items) else None


def _keyed(items: list[Any], fields: _KeyFields) -> Iterator[tuple[str, Any]]:
    """Each item that has a key, with the key in words: `containerPort=9876,protocol=TCP`."""
    for item in items:
        values = [_get(item, path, default) for path, default in fields]
        if None not in values:
            words = (
                f"{'.'.join(path)}={value}" for (path, _), value in zip(fields, values, strict=True)
            )
            yield ",".join(words), item


def _get(item: Any, path: Path, default: Any) -> Any:
    for field in path:
        if not isinstance(item, dict):
            return None
        item = item.get(field)
    return default if item is None else item


def _equal(after: Any, before: Any, at: Path) -> bool:
    """Whether the observed value is what we ask for; JSON's rules: 1 is 1.0, not "1", not true."""
    if before is None:
        return _means_absent(after, at)
    if after is None:
        return True
    if after in ({}, []):
        return isinstance(before, type(after))
    if isinstance(after, bool) or isinstance(before, bool):
        return after is before
    if _is_quantity(at):
        wanted, present = _nano(after), _nano(before)
        if wanted is not None and present is not None:
            return wanted == present
    return bool(after == before)


def _means_absent(value: Any, at: Path) -> bool:
    """Whether the server stores nothing for this value."""
    if isinstance(value, dict):
        kept = at[-1] in _KEPT_EMPTIES
        return not kept and all(
            _means_absent(child, (*at, field)) for field, child in value.items()
        )
    if isinstance(value, list):
        return not value
    in_free_map = len(at) > 1 and at[-2] in _FREE_MAPS
    return value is None or (not value and not in_free_map and at[-1] not in _KEPT_ZEROS)


def _is_quantity(at: Path) -> bool:
    """Whether the API has a quantity there: requests, limits, sizeLimit, divisor."""
    if at[-3:-1] in {("resources", "requests"), ("resources", "limits")}:
        return True
    return at[-2:] in {("emptyDir", "sizeLimit"), ("resourceFieldRef", "divisor")}


_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)")
_SUFFIXES = {
    **{suffix: Fraction(10) ** power for power, suffix in zip(range(-9, 0, 3), "num", strict=True)},
    **{suffix: Fraction(10) ** (3 + 3 * step) for step, suffix in enumerate("kMGTPE")},
    **{f"{suffix}i": Fraction(1024) ** (1 + step) for step, suffix in enumerate("KMGTPE")},
}


def _nano(value: Any) -> int | None:
    """A quantity in units of 10^-9, rounded away from zero as the API server does; else None."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        return None
    number, exponent, suffix = match.groups()
    scale = Fraction(10) ** int(exponent) if exponent else _SUFFIXES.get(suffix, Fraction(1))
    exact = Fraction(number) * scale * 10**9
    return math.ceil(exact) if exact > 0 else math.floor(exact)


def _leaf_paths(value: Any, at: Path, name: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for field, child in value.items():
            yield from _leaf_paths(child, (*at, field), _child(name, field))
    elif isinstance(value, list) and value:
        keyed = _by_merge_key(value, at)
        items = enumerate(value) if keyed is None else keyed.items()
        for key, item in items:
            yield from _leaf_paths(item, at, f"{name}[{key}]")
    elif value is not None:
        yield name


def _child(name: str, field: str) -> str:
    """`spec.replicas`, or `metadata.labels["app.kubernetes.io/name"]` where a dot would mislead."""
    if "." in field or "/" in field:
        return f'{name}["{field}"]'
    return f"{name}.{field}" if name else field
