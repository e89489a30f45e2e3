from __future__ import annotations

from typing import Any

import msgspec
import pytest

from reconcilers.api.kube import Pod

TIME = "2026-01-02T03:04:05Z"


def pod(ready: str | None, **metadata: Any) -> Pod:
    conditions = [{"type": "PodScheduled", "status": "True"}]
    conditions += [{"type": "Ready", "status": ready, "reason": "R"}] if ready else []
    manifest = {"metadata": {"name": "p", **metadata}, "status": {"conditions": conditions}}
    return msgspec.json.decode(msgspec.json.encode(manifest), type=Pod)


@pytest.mark.parametrize(
    ("given", "ready"),
    [
        (pod("True"), True),
        (pod("False"), False),
        (pod("Unknown"), False),
        (pod(None), False),
        (pod("True", deletionTimestamp=TIME), False),
    ],
)
def test_a_pod_is_ready_when_it_says_so_and_is_not_going_away(given: Pod, *, ready: bool) -> None:
    assert given.ready is ready


def test_a_pod_is_terminating_from_the_request_of_its_deletion_on() -> None:
    assert pod("True", deletionTimestamp=TIME).terminating
    assert not pod("False").terminating


def test_a_condition_is_found_by_its_type() -> None:
    found = pod("False").condition("Ready")
    assert found is not None
    assert (found.status, found.reason) == ("False", "R")
    assert pod(None).condition("Ready") is None


def test_a_pod_as_a_kubelet_reports_it_is_read_with_its_addresses_and_failures() -> None:
    body = b"""{
      "apiVersion": "v1", "kind": "Pod",
      "metadata": {"name": "broker-0-master-0", "namespace": "default", "uid": "u",
                   "creationTimestamp": "2026-01-02T03:04:05Z", "managedFields": [{"a": 1}]},
      "spec": {"nodeName": "node-1", "hostNetwork": true, "containers": [{"name": "broker"}]},
      "status": {
        "phase": "Running", "podIP": "10.0.0.7", "hostIP": "192.168.0.1",
        "podIPs": [{"ip": "10.0.0.7"}],
        "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady",
                        "message": "m", "lastProbeTime": null,
                        "lastTransitionTime": "2026-01-02T03:04:05Z"}],
        "containerStatuses": [{
          "name": "broker", "ready": false, "restartCount": 4, "image": "i", "imageID": "",
          "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
          "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled",
                                       "finishedAt": "2026-01-02T03:04:05Z"}}}]}}"""
    read = msgspec.json.decode(body, type=Pod)
    (container,) = read.status.container_statuses
    assert (read.status.pod_ip, read.status.host_ip) == ("10.0.0.7", "192.168.0.1")
    assert (read.spec.node_name, read.spec.host_network) == ("node-1", True)
    assert container.restart_count == 4
    assert container.state.waiting is not None
    assert container.state.waiting.reason == "CrashLoopBackOff"
    assert container.last_state.terminated is not None
    assert container.last_state.terminated.reason == "OOMKilled"
    assert container.last_state.terminated.exit_code == 137


def test_a_pod_that_nobody_has_scheduled_yet_has_no_node_and_no_address() -> None:
    read = msgspec.json.decode(b'{"metadata": {"name": "p"}}', type=Pod)
    assert (read.spec.node_name, read.status.pod_ip, read.ready) == ("", "", False)
