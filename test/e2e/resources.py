"""The clusters that tests ask for: samples and manuals, with what has to be replaced in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from e2e.versions import image
from fakes.clusters import MANUALS, SAMPLES, custom_resources, documents
from fakes.witness import Object, Place

Resources = list[tuple[str, str]]
"""Kind and name."""

NAME_SERVICE = ("NameService", "name-service")
BROKER = ("Broker", "broker")
IMAGE_FIELDS = {"NameService": "nameServiceImage", "Broker": "brokerImage"}
MEMORY = {"NameService": "512Mi", "Broker": "1Gi"}


def sample_path(name: str) -> Path:
    """The file of a sample."""
    return SAMPLES / f"rocketmq_v1alpha1_{name}.yaml"


def apply_sample(place: Place, *names: str) -> Resources:
    """Apply samples as they are, as people do; returns the custom resources in them."""
    paths = [sample_path(name) for name in names]
    for path in paths:
        place.kubectl("apply", "-f", str(path))
    return custom_resources(documents(*paths))


def sample(name: str) -> list[Object]:
    """The objects of a sample, to be changed."""
    return documents(sample_path(name))


def manual(name: str, version: str) -> list[Object]:
    """The objects of a manual; only image and pull policy are replaced, for want of a registry."""
    objects = documents(MANUALS / f"{name}.yaml")
    return [
        changed(
            item, imagePullPolicy="IfNotPresent", **{IMAGE_FIELDS[item["kind"]]: image(version)}
        )
        if item["kind"] in IMAGE_FIELDS
        else item
        for item in objects
    ]


def changed(resource: Object, **spec: Any) -> Object:
    """The same resource with other fields in its spec."""
    return {**resource, "spec": {**resource["spec"], **spec}}


def with_little_memory(resource: Object) -> Object:
    """The same resource with memory limits that several clusters on a small machine can have."""
    return changed(resource, resources={"limits": {"memory": MEMORY[resource["kind"]]}})


def apply(place: Place, objects: Iterable[Object]) -> Resources:
    """Apply objects; returns the custom resources among them."""
    applied = list(objects)
    for item in applied:
        place.apply(item)
    return custom_resources(applied)


def name_servers(place: Place) -> str:
    """What a client is to be told: the addresses in the status of the NameService."""
    status = place.get(*NAME_SERVICE)["status"]
    return ";".join(status["nameServers"])
