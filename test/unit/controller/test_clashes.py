from __future__ import annotations

from collections import Counter

import pytest

from controller.apply import Line, execute
from controller.diff import whole_lists
from controller.errors import Cause, InvalidError
from controller.objects import Desired, Manifest, ObjectRef, OwnerReference, Resource
from controller.plan import plan
from fakes.kube_client import FakeKubeClient

SERVICE = Resource("", "v1", "services", "Service")
REF = ObjectRef(SERVICE, "mq", "headless")
OWNER = OwnerReference(api_version="example.org/v1", kind="Broker", name="b", uid="owner-1")
PORTS = [{"name": "main", "port": 9876, "protocol": "TCP"}]


def unique_names(_resource: Resource, manifest: Manifest) -> None:
    """What the API server checks of a Service."""
    names = Counter(port["name"] for port in manifest["spec"]["ports"])
    if names.most_common(1)[0][1] > 1:
        cause = Cause("FieldValueDuplicate", "Duplicate value", "spec.ports[1].name")
        raise InvalidError("Duplicate value", status=422, causes=(cause,))


@pytest.fixture
def server() -> FakeKubeClient:
    return FakeKubeClient(defaults=unique_names)


async def converge(server: FakeKubeClient, ports: list[Manifest]) -> Line:
    metadata = {"name": "headless", "namespace": "mq"}
    wish = Desired(SERVICE, {"metadata": metadata, "spec": {"ports": ports}})
    (line,) = (await execute(plan([wish], server.snapshots(), OWNER), server)).lines
    return line


async def test_a_port_that_somebody_renumbered_is_put_back(server: FakeKubeClient) -> None:
    await converge(server, PORTS)
    edited = [{**PORTS[0], "port": 9877}]
    server.put(SERVICE, {**server.objects[REF], "spec": {"ports": edited}})
    line = await converge(server, PORTS)
    assert (line.action, line.paths) == ("changed", ("spec.ports[port=9876,protocol=TCP]",))
    stored = server.objects[REF]
    assert stored["spec"]["ports"] == PORTS
    assert line.version == stored["metadata"]["resourceVersion"]
    assert (await converge(server, PORTS)).action == "unchanged"


async def test_what_is_wrong_in_our_own_list_is_refused(server: FakeKubeClient) -> None:
    await converge(server, PORTS)
    line = await converge(server, [*PORTS, {**PORTS[0], "port": 9877}])
    assert (line.action, line.reason, line.message) == ("refused", "Invalid", "Duplicate value")
    assert server.objects[REF]["spec"]["ports"] == PORTS


async def test_another_trouble_writes_no_list(server: FakeKubeClient) -> None:
    await converge(server, PORTS)
    server.refuse = lambda verb, _ref, _manifest: (
        InvalidError("spec.x: wrong", status=422) if verb == "apply" else None
    )
    server.calls.clear()
    line = await converge(server, [{**PORTS[0], "targetPort": 1}])
    assert (line.action, server.writes) == ("refused", [("apply", REF)])


def test_only_the_named_lists_are_written_whole() -> None:
    ports = [{"containerPort": 9876, "name": "main"}]
    main = {"name": "main", "image": "i", "ports": ports, "env": [{"name": "A", "value": "1"}]}
    side = {"name": "side", "image": "j"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [main, side]}}
    claims = [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]
    spec = {"replicas": 1, "template": template, "volumeClaimTemplates": claims}
    manifest = {"kind": "StatefulSet", "spec": spec}
    replaced = {"name": "main", "ports": [{"$patch": "replace"}, *ports]}
    path = "spec.template.spec.containers.ports"
    expected = {"spec": {"template": {"spec": {"containers": [replaced]}}}}
    assert whole_lists(manifest, {path}) == expected
    assert whole_lists(manifest, {"spec.ports"}) == {}
    assert whole_lists(manifest, set()) == {}
