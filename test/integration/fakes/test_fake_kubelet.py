from __future__ import annotations

from typing import Any

import pytest

from fakes.kubelet import NODE, Behaviour, Kubelet
from fakes.pod_network import pod_network
from fakes.waiting import eventually
from fakes.witness import Object, Place


def stateful_set(name: str = "web", replicas: int = 2, **pod_spec: Any) -> Object:
    labels = {"app": name}
    container = {"name": "main", "image": "example.org/web:1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], **pod_spec},
            },
        },
    }


def wait_pods(place: Place, count: int, *, ready: bool) -> list[Object]:
    def check() -> list[Object]:
        pods = place.list("Pod")
        assert [is_ready(pod) for pod in pods] == [ready] * count
        return pods

    return eventually(check)


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def test_the_pods_of_a_stateful_set_run_on_the_node_with_an_address_each(
    place: Place, kubelet: Kubelet
) -> None:
    place.create(stateful_set())
    pods = wait_pods(place, 2, ready=True)
    assert {pod["spec"]["nodeName"] for pod in pods} == {NODE}
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}
    assert {pod["status"]["hostIP"] for pod in pods} == {kubelet.host_ip()}
    addresses = {pod["status"]["podIP"] for pod in pods}
    assert len(addresses) == 2
    assert all(address.startswith("127.") for address in addresses)
    statuses = [one for pod in pods for one in pod["status"]["containerStatuses"]]
    assert [(one["name"], one["ready"]) for one in statuses] == [("main", True)] * 2
    ready = eventually(lambda: _ready_replicas(place, "web", 2))
    assert ready == 2


def _ready_replicas(place: Place, name: str, wanted: int) -> int:
    ready = int(place.get("StatefulSet", name)["status"].get("readyReplicas", 0))
    assert ready == wanted
    return ready


def test_a_pod_of_the_host_network_has_the_address_of_the_node(
    place: Place, kubelet: Kubelet
) -> None:
    place.create(stateful_set(replicas=1, hostNetwork=True))
    (pod,) = wait_pods(place, 1, ready=True)
    assert pod["status"]["podIP"] == kubelet.host_ip()


def test_pods_of_the_host_network_with_the_same_port_get_a_node_each(place: Place) -> None:
    manifest = stateful_set(replicas=2, hostNetwork=True)
    manifest["spec"]["podManagementPolicy"] = "Parallel"
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    container["ports"] = [{"containerPort": 9876}]
    place.create(manifest)
    pods = wait_pods(place, 2, ready=True)
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 2
    assert len({pod["status"]["podIP"] for pod in pods}) == 2
    assert all(pod["status"]["podIP"] == pod["status"]["hostIP"] for pod in pods)


def test_two_runs_on_one_host_have_networks_of_their_own() -> None:
    with pod_network(5) as one, pod_network(5) as other:
        assert one.pod(1) != other.pod(1)


def test_a_deleted_pod_goes_and_its_successor_gets_another_address(place: Place) -> None:
    place.create(stateful_set(replicas=1))
    (before,) = wait_pods(place, 1, ready=True)
    place.delete("Pod", "web-0")

    def replaced() -> Object:
        (pod,) = wait_pods(place, 1, ready=True)
        assert pod["metadata"]["uid"] != before["metadata"]["uid"]
        return pod

    assert eventually(replaced)["status"]["podIP"] != before["status"]["podIP"]


@pytest.mark.parametrize(
    ("mood", "phase", "reason"),
    [
        ("crash-loop", "Running", "CrashLoopBackOff"),
        ("no-image", "Pending", "ImagePullBackOff"),
        ("unready", "Running", None),
    ],
)
def test_a_pod_that_shall_not_become_ready_says_why_and_recovers_when_told(
    mood: Any, phase: str, reason: str | None, place: Place, kubelet: Kubelet
) -> None:
    kubelet.behave(place.name, "web-*", Behaviour(mood))
    place.create(stateful_set(replicas=1))

    def failing() -> None:
        (pod,) = place.list("Pod")
        assert pod["status"].get("phase") == phase
        (status,) = pod["status"]["containerStatuses"]
        assert status["state"].get("waiting", {}).get("reason") == reason
        assert not is_ready(pod)

    eventually(failing)
    kubelet.behave(place.name, "web-*", Behaviour())
    wait_pods(place, 1, ready=True)


def test_pods_can_take_their_time(place: Place, kubelet: Kubelet) -> None:
    kubelet.behave(place.name, "*", Behaviour(ready_after_s=0.5))
    place.create(stateful_set(replicas=1))
    (pod,) = wait_pods(place, 1, ready=False)
    (pod,) = wait_pods(place, 1, ready=True)
    assert pod["status"]["podIP"]
