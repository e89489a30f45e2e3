"""Items of lists that clash with ours, on a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from controller.apply import Line, execute
from controller.client.client import KubeClient
from controller.objects import Desired, ObjectRef, OwnerReference, Resource
from controller.plan import plan
from fakes.witness import Object, Place

SERVICES = Resource("", "v1", "services", "Service")
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
LABELS = {"app": "mq"}


def service(*numbers: int) -> Object:
    ports = [_port(number, port=number, targetPort=number) for number in numbers]
    return {"selector": LABELS, "ports": ports}


def stateful_set(*numbers: int) -> Object:
    ports = [_port(number, containerPort=number) for number in numbers]
    main = {"name": "main", "image": "example.org/i:1", "ports": ports}
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [main]}}
    selector = {"matchLabels": LABELS}
    return {"replicas": 0, "serviceName": "web", "selector": selector, "template": template}


def _port(number: int, **numbers: int) -> Object:
    return {"name": f"port-{number % 10}", "protocol": "TCP", **numbers}


def ports(obj: Object) -> set[tuple[str, int]]:
    spec = obj["spec"]
    found = spec.get("ports") or spec["template"]["spec"]["containers"][0]["ports"]
    return {(one["name"], one.get("port") or one["containerPort"]) for one in found}


@pytest.mark.parametrize(("resource", "spec"), [(SERVICES, service), (STATEFUL_SETS, stateful_set)])
@pytest.mark.parametrize("edited", [(9876 + 10,), (9876 + 10, 10911 + 10), (9876 + 10, 10911)])
async def test_renumbered_ports_are_put_back(
    resource: Resource, spec: Any, edited: tuple[int, ...], place: Place, kube: KubeClient
) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}}
    uid = place.create(config)["metadata"]["uid"]
    owner = OwnerReference(api_version="v1", kind="ConfigMap", name="owner", uid=uid)
    metadata = {"name": "web", "namespace": place.name}
    wish = Desired(resource, {"metadata": metadata, "spec": spec(9876, 10911)})

    async def converge() -> Line:
        found = await kube.list(resource, place.name)
        observed = {ObjectRef(resource, place.name, one.metadata.name): one for one in found}
        (line,) = (await execute(plan([wish], observed, owner), kube)).lines
        return line

    await converge()
    before = place.get(resource.kind, "web")
    place.patch(resource.kind, "web", {"spec": spec(*edited)})
    assert (await converge()).action == "changed"
    after = place.get(resource.kind, "web")
    assert ports(after) == ports(before)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert (await converge()).action == "unchanged"
