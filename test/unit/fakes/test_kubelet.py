from __future__ import annotations

from typing import Any

import pytest

from fakes.kubelet import Behaviour, host_ports, pod_status, wanted_state
from fakes.pod_network import PodNetwork
from fakes.witness import Object

NOW = "2026-01-01T00:00:00Z"


def pod(*, node: str | None = "fake-node", **metadata: Any) -> Object:
    containers = [{"name": "main", "image": "example.org/web:1"}]
    spec: Object = {"containers": containers, "initContainers": [{**containers[0], "name": "init"}]}
    return {
        "metadata": {"name": "web-0", **metadata},
        "spec": spec | ({"nodeName": node} if node else {}),
    }


@pytest.mark.parametrize(
    ("subject", "behaviour", "age_s", "state"),
    [
        (pod(node=None), Behaviour(), 0.0, "unbound"),
        (pod(), Behaviour(ready_after_s=1), 0.0, "starting"),
        (pod(), Behaviour(ready_after_s=1), 1.0, "ready"),
        (pod(), Behaviour("unready"), 100.0, "unready"),
        (pod(), Behaviour("crash-loop"), 0.0, "crash-loop"),
        (pod(node=None), Behaviour("no-image"), 0.0, "unbound"),
        (pod(), Behaviour("no-image"), 0.0, "no-image"),
        (pod(deletionTimestamp=NOW), Behaviour(), 100.0, "gone"),
        (pod(node=None, deletionTimestamp=NOW), Behaviour("unready"), 0.0, "gone"),
    ],
)
def test_what_a_pod_should_be(
    subject: Object, behaviour: Behaviour, age_s: float, state: str
) -> None:
    assert wanted_state(subject, behaviour, age_s) == state


@pytest.mark.parametrize(
    ("state", "phase", "ready", "container"),
    [
        ("starting", "Running", "False", {"running": {}}),
        ("ready", "Running", "True", {"running": {}}),
        ("unready", "Running", "False", {"running": {}}),
        ("crash-loop", "Running", "False", "CrashLoopBackOff"),
        ("no-image", "Pending", "False", "ImagePullBackOff"),
    ],
)
def test_what_is_reported_of_a_pod(state: Any, phase: str, ready: str, container: Any) -> None:
    status = pod_status(pod(), state, "127.16.0.1", "127.16.255.1", NOW)
    assert status["phase"] == phase
    assert status["hostIP"] == "127.16.255.1"
    assert {one["type"]: one["status"] for one in status["conditions"]}["Ready"] == ready
    (reported,) = status["containerStatuses"]
    assert reported["name"] == "main"
    assert reported["ready"] is (ready == "True")
    waiting = reported["state"].get("waiting", {}).get("reason")
    assert container in (waiting, reported["state"])


def test_a_pod_whose_image_is_missing_has_no_address_yet() -> None:
    addresses = ("127.16.0.1", "127.16.255.1")
    assert "podIP" not in pod_status(pod(), "no-image", *addresses, NOW)
    assert pod_status(pod(), "unready", *addresses, NOW)["podIP"] == "127.16.0.1"


def test_init_containers_are_done_when_the_others_run() -> None:
    (init,) = pod_status(pod(), "ready", "127.16.0.1", "127.16.255.1", NOW)["initContainerStatuses"]
    assert init["state"]["terminated"]["exitCode"] == 0


def test_every_pod_of_a_run_has_an_address_of_its_own() -> None:
    network = PodNetwork("127.16")
    addresses = [network.pod(number) for number in range(65_000)]
    addresses += [network.node(number) for number in range(10)]
    assert len(set(addresses)) == len(addresses)
    assert addresses[257] == "127.16.1.1"
    assert addresses[-10] == "127.16.255.1"


def test_a_pod_takes_ports_of_its_node_only_on_the_host_network() -> None:
    subject = pod()
    subject["spec"]["containers"][0]["ports"] = [{"containerPort": 9876}]
    assert host_ports(subject) == set()
    subject["spec"]["hostNetwork"] = True
    assert host_ports(subject) == {9876}
