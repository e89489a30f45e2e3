"""RocketMQ clusters as the tests of the whole operator ask for them, and what they wait for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from fakes.control_plane import ROOT
from fakes.waiting import eventually
from fakes.witness import Object, Place

IMAGE = "apache/rocketmq:5.3.3"
CHILD_KINDS = ("StatefulSet", "Service", "ConfigMap", "PodDisruptionBudget")
SAMPLES = ROOT / "config" / "samples"
MANUALS = ROOT / "test" / "unit" / "golden" / "inputs"
_API = "rocketmq.apache.org/v1alpha1"


def name_service(name: str = "name-service", size: int = 1, **spec: Any) -> Object:
    """A NameService; the rest of the spec by the names of its fields."""
    basics = {"size": size, "nameServiceImage": IMAGE, "storageMode": "EmptyDir"}
    return _custom_resource("NameService", name, basics | spec)


def broker(name: str = "broker", size: int = 1, **spec: Any) -> Object:
    """A Broker; the rest of the spec by the names of its fields."""
    basics = {"size": size, "brokerImage": IMAGE, "storageMode": "EmptyDir"}
    return _custom_resource("Broker", name, basics | spec)


def claims(name: str) -> list[Object]:
    """The volumeClaimTemplates of a spec with one claim of this name."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return [{"metadata": {"name": name}, "spec": spec}]


def documents(*paths: Path) -> list[Object]:
    """The objects of YAML files, in order."""
    return [
        document
        for path in paths
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if document
    ]


def custom_resources(objects: Iterable[Object]) -> list[tuple[str, str]]:
    """Kind and name of those that are ours."""
    return [
        (item["kind"], item["metadata"]["name"]) for item in objects if item["apiVersion"] == _API
    ]


def apply_all(place: Place, objects: Iterable[Object]) -> list[tuple[str, str]]:
    """Apply these objects; returns kind and name of those that are ours."""
    applied = list(objects)
    for item in applied:
        place.apply(item)
    return custom_resources(applied)


def condition(obj: Object, kind: str = "Ready") -> Object:
    """The condition of this type; LookupError when the status has none."""
    found: dict[str, Object] = {one["type"]: one for one in obj["status"]["conditions"]}
    return found[kind]


def wait_condition(
    place: Place, kind: str, name: str, wanted: tuple[str, str], *, of: str = "Ready"
) -> Object:
    """Wait until the condition has this status and reason (any: empty) for the present spec."""
    status, reason = wanted

    def check() -> Object:
        found = place.get(kind, name)
        seen = condition(found, of)
        assert seen["status"] == status, seen
        assert reason in ("", seen["reason"]), seen
        assert seen["observedGeneration"] == found["metadata"]["generation"], seen
        return found

    return eventually(check)


def wait_ready(place: Place, *resources: tuple[str, str]) -> list[Object]:
    """Wait until all of these are Ready; returns them."""
    return [wait_condition(place, kind, name, ("True", "")) for kind, name in resources]


def children(place: Place, kind: str, name: str) -> list[Object]:
    """Everything that this resource controls, with its kind."""
    uid = place.get(kind, name)["metadata"]["uid"]
    return [
        {"kind": child_kind, **item}
        for child_kind in CHILD_KINDS
        for item in place.list(child_kind)
        if any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences", ()))
    ]


def identities(objects: Iterable[Object]) -> set[tuple[str, str]]:
    """Kind and name of each."""
    return {(item["kind"], item["metadata"]["name"]) for item in objects}


def small_cluster(place: Place, **spec: Any) -> None:
    """A NameService and a Broker of one group with a replica, both Ready."""
    resources = apply_all(place, [name_service(), broker(replicaPerGroup=1, **spec)])
    wait_ready(place, *resources)


def _custom_resource(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name}, "spec": spec}
