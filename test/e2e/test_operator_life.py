"""The operator's own pod: what it may do, what it needs, and what its death interrupts."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from e2e.cluster import RealCluster
from e2e.deployed_operator import LEASE, NAMESPACE, Operator
from e2e.waiting import within
from fakes.clusters import broker
from fakes.waiting import eventually
from fakes.witness import Object, Place, Witness

GROUPS = 100
MIB = 1024 * 1024
SECONDS = len("2026-01-01T00:00:00")


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Place:
    return make_namespace("operator-life")


def test_its_namespace_is_restricted_and_its_pod_runs_there(
    operator: Operator, witness: Witness
) -> None:
    labels = witness.get("Namespace", "", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert operator.pod()["status"]["phase"] == "Running"


def test_a_successor_finishes_what_a_killed_operator_had_begun(
    place: Place, operator: Operator
) -> None:
    before = operator.pod()["metadata"]
    # No node has this label: many objects, and no server that would have to start.
    nowhere = {"example.com/nowhere": ""}
    place.create(
        broker(size=GROUPS, replicaPerGroup=1, nodeSelector=nowhere, nameServers="192.0.2.1:9876")
    )
    eventually(lambda: _assert_begun(place))
    place.witness.delete("Pod", NAMESPACE, before["name"], gracePeriodSeconds=0)

    def finished() -> None:
        assert len(place.list("StatefulSet")) == GROUPS * 2
        assert place.get("Broker", "broker")["status"]["brokersTotal"] == GROUPS * 2

    within(60, finished)
    made = [one["metadata"]["creationTimestamp"] for one in place.list("StatefulSet")]
    operator.wait_ready()
    acquired = place.witness.get("Lease", NAMESPACE, LEASE)["spec"]["acquireTime"]
    assert min(made)[:SECONDS] <= acquired[:SECONDS] <= max(made)[:SECONDS]
    assert operator.leader()["metadata"]["uid"] != before["uid"]


def _assert_begun(place: Place) -> None:
    assert place.list("StatefulSet")


def test_it_is_small_and_starts_quickly(
    cluster: RealCluster, operator: Operator, tell: Callable[[str], None]
) -> None:
    pod = operator.restart()
    figures = {
        "image_mib": round(_image_bytes(operator) / MIB, 1),
        "idle_rss_mib": round(_rss_bytes(operator, pod["metadata"]["name"]) / MIB, 1),
        "created_to_ready_s": _seconds(pod, pod["metadata"]["creationTimestamp"]),
        "started_to_ready_s": _seconds(pod, _started(pod)),
    }
    text = "".join(f"{name} {value}\n" for name, value in figures.items())
    tell(text)
    if "ROCKETMQ_FIGURES" in os.environ:
        Path(os.environ["ROCKETMQ_FIGURES"]).write_text(text, encoding="utf-8")
    assert 10 < figures["image_mib"] < 500
    assert 10 < figures["idle_rss_mib"] < 384
    assert 0 <= figures["started_to_ready_s"] <= figures["created_to_ready_s"] < 60


def _image_bytes(operator: Operator) -> int:
    """Compressed or not, as the node has it."""
    node: Object = operator.place.witness.list("Node")[0]
    images = node["status"]["images"]
    (size,) = (one["sizeBytes"] for one in images if operator.image in one["names"])
    return int(size)


def _rss_bytes(operator: Operator, pod: str) -> int:
    text = operator.place.kubectl("exec", pod, "--", "cat", "/proc/1/status")
    (line,) = (line for line in text.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def _started(pod: Object) -> str:
    """When its container did, as text that sorts by time."""
    return str(pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])


def _seconds(pod: Object, since: str) -> float:
    (ready,) = (one for one in pod["status"]["conditions"] if one["type"] == "Ready")
    end = datetime.fromisoformat(ready["lastTransitionTime"])
    return (end - datetime.fromisoformat(since)).total_seconds()
