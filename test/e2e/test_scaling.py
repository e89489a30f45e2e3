"""Name servers and replicas come and go under live load; no broker restarts on their account."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.cluster import RealCluster
from e2e.deployed_operator import Operator
from e2e.load import Setting, start_load
from e2e.resources import BROKER, NAME_SERVICE, apply, changed, name_servers, sample
from e2e.waiting import wait_ready, within
from fakes.clusters import condition
from fakes.pod_watch import Restarts
from fakes.witness import Object, Place

RESOURCES = [NAME_SERVICE, BROKER]
MASTERS = ("broker-0-master-0", "broker-1-master-0")
LEARNT_S = 300.0
"""A broker looks at its list of name servers every 120 s, and registers every 30 s."""
LEFT_S = 420.0
"""The one that leaves forgets brokers that do not register after 120 s more."""


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Place:
    return make_namespace("scaling", restricted=True)


@pytest.fixture(scope="module")
def ready(place: Place) -> None:
    apply(place, map(_small, sample("storageclass")))
    wait_ready(place, RESOURCES)


def _small(resource: Object) -> Object:
    if resource["kind"] == "NameService":
        return changed(resource, size=1)
    return changed(resource, replicaPerGroup=0, replicationMode="ASYNC")


def _name_servers(place: Place, count: int) -> None:
    status = place.get(*NAME_SERVICE)["status"]
    assert len(status["nameServers"]) == count, status
    assert status["replicas"] == count, status
    assert status["step"] == "", status["step"]


def _replicas(place: Place, count: int) -> None:
    resource = place.get(*BROKER)
    assert condition(resource)["status"] == "True"
    assert condition(resource, "UpToDate")["status"] == "True"
    rows = [row for row in resource["status"]["brokers"] if row["role"] == "Replica"]
    assert len(rows) == count, rows
    assert resource["status"]["step"] == "", resource["status"]["step"]


def test_name_servers_and_replicas_come_and_go_without_a_restart(
    cluster: RealCluster, place: Place, ready: None, tell: Callable[[str], None]
) -> None:
    with Restarts(cluster.kubeconfig, place.name) as restarts:
        with start_load(place, name_servers(place), Setting(topic="scaling")) as load:
            place.patch(*NAME_SERVICE, {"spec": {"size": 3}})
            place.patch(*BROKER, {"spec": {"replicaPerGroup": 1}})
            within(LEARNT_S, lambda: _name_servers(place, 3))
            within(LEARNT_S, lambda: _replicas(place, 2))
            place.patch(*NAME_SERVICE, {"spec": {"size": 2}})
            place.patch(*BROKER, {"spec": {"replicaPerGroup": 0}})
            within(LEFT_S, lambda: _name_servers(place, 2))
            within(LEFT_S, lambda: _replicas(place, 0))
            verdict = load.stop()
        tell(f"name servers 1, 3, 2 and replicas 0, 1, 0: {verdict}")
        assert verdict.lost == verdict.erased == frozenset(), verdict
        assert {restarts.restarts(pod) for pod in MASTERS} == {0}
    acknowledged = {row["nameServers"] for row in place.get(*BROKER)["status"]["brokers"]}
    assert acknowledged == {name_servers(place)}
