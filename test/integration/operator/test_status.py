from __future__ import annotations

import json
from typing import Any

import pytest

from fakes.clusters import (
    apply_all,
    broker,
    condition,
    name_service,
    small_cluster,
    wait_condition,
    wait_ready,
)
from fakes.kubelet import NODE, Behaviour, Kubelet
from fakes.operator_process import OperatorProcess
from fakes.rocketmq_world import World
from fakes.waiting import eventually
from fakes.witness import Place


def test_the_status_of_a_name_service_tells_where_it_is_served(
    place: Place, operator: OperatorProcess
) -> None:
    place.apply(name_service(size=2))
    (found,) = wait_ready(place, ("NameService", "name-service"))
    status = found["status"]
    assert status["observedGeneration"] == found["metadata"]["generation"]
    assert (status["replicas"], status["readyReplicas"]) == (2, 2)
    assert status["nameServers"] == [
        f"name-service-{number}.name-service-headless.{place.name}.svc:9876" for number in (0, 1)
    ]
    selected = json.loads(place.kubectl("get", "pods", "-l", status["selector"], "-o", "json"))
    assert {one["metadata"]["name"] for one in selected["items"]} == place.names("Pod")


def test_the_status_of_a_broker_has_a_row_for_each_broker(
    place: Place, operator: OperatorProcess
) -> None:
    small_cluster(place)
    status = place.get("Broker", "broker")["status"]
    assert (status["size"], status["brokersTotal"], status["brokersReady"]) == (1, 2, 2)
    assert status["nodes"] == ["broker-0-master-0", "broker-0-replica-1-0"]
    rows = [
        ("broker-0-master-0", "broker-0", "Master", 0, NODE, True),
        ("broker-0-replica-1-0", "broker-0", "Replica", 1, NODE, True),
    ]
    fields = ("name", "group", "role", "brokerId", "node", "ready")
    assert [tuple(row.get(field) for field in fields) for row in status["brokers"]] == rows
    assert [row["address"] for row in status["brokers"]] == [
        f"{name}.broker-brokers.{place.name}.svc:10911" for name, *_ in rows
    ]


def test_on_the_host_network_addresses_are_the_nodes(
    place: Place, operator: OperatorProcess
) -> None:
    resources = apply_all(place, [name_service(hostNetwork=True), broker(hostNetwork=True)])
    wait_ready(place, *resources)
    hosts = {pod["metadata"]["name"]: pod["status"]["hostIP"] for pod in place.list("Pod")}
    status = place.get("NameService", "name-service")["status"]
    assert status["nameServers"] == [f"{hosts['name-service-0']}:9876"]
    (row,) = place.get("Broker", "broker")["status"]["brokers"]
    assert row["address"] == f"{hosts['broker-0-master-0']}:10911"


def test_conditions_follow_the_pods_from_the_first_to_the_last(
    place: Place, world: World, operator: OperatorProcess, kubelet: Kubelet
) -> None:
    kubelet.behave(place.name, "name-service-1", Behaviour("unready"))
    place.apply(name_service(size=2))

    def one_of_two() -> None:
        starting = place.get("NameService", "name-service")
        assert starting["status"]["readyReplicas"] == 1
        assert condition(starting, "Progressing")["reason"] == "StartingPods"
        assert condition(starting)["reason"] == "PodsNotReady"
        assert "name-service-1" in condition(starting)["message"]

    eventually(one_of_two)
    kubelet.behave(place.name, "*", Behaviour())
    wait_ready(place, ("NameService", "name-service"))
    settled = ("False", "Settled")
    ready = wait_condition(place, "NameService", "name-service", settled, of="Progressing")
    assert condition(ready, "Degraded")["status"] == "False"


@pytest.mark.parametrize(
    ("mood", "reason"), [("crash-loop", "PodCrashing"), ("no-image", "ImageNotPulled")]
)
def test_a_pod_that_needs_help_is_named_until_it_is_well(
    mood: Any, reason: str, place: Place, operator: OperatorProcess, kubelet: Kubelet
) -> None:
    kubelet.behave(place.name, "broker-0-replica-1-0", Behaviour(mood))
    apply_all(place, [name_service(), broker(replicaPerGroup=1)])

    def only_the_replica() -> None:
        degraded = wait_condition(place, "Broker", "broker", ("True", reason), of="Degraded")
        assert "broker-0-replica-1-0" in condition(degraded, "Degraded")["message"]
        assert condition(degraded)["status"] == "False"
        master, replica = degraded["status"]["brokers"]
        assert (master.get("reason", ""), master["ready"]) == ("", True)
        assert replica["reason"]
        assert not replica.get("ready")

    eventually(only_the_replica)
    kubelet.behave(place.name, "*", Behaviour())
    (ready,) = wait_ready(place, ("Broker", "broker"))
    assert condition(ready, "Degraded")["status"] == "False"


def test_a_change_of_the_spec_is_followed_and_its_generation_reported(
    place: Place, operator: OperatorProcess
) -> None:
    place.apply(name_service(size=1))
    wait_ready(place, ("NameService", "name-service"))
    place.kubectl("scale", "nameservice/name-service", "--replicas=3")

    def grown() -> None:
        (found,) = wait_ready(place, ("NameService", "name-service"))
        assert found["metadata"]["generation"] == 2
        assert found["status"]["readyReplicas"] == 3

    eventually(grown)
    assert place.names("Pod") == {f"name-service-{number}" for number in range(3)}
    place.kubectl("scale", "nameservice/name-service", "--replicas=2")

    def shrunk() -> None:
        (found,) = wait_ready(place, ("NameService", "name-service"))
        assert found["status"]["replicas"] == 2
        assert place.names("Pod") == {"name-service-0", "name-service-1"}

    eventually(shrunk)


def test_a_broker_grows_by_groups_and_replicas(place: Place, operator: OperatorProcess) -> None:
    small_cluster(place)
    before = {one["metadata"]["uid"] for one in place.list("Pod")}
    place.patch("Broker", "broker", {"spec": {"size": 2}})
    (found,) = wait_ready(place, ("Broker", "broker"))
    assert found["status"]["brokersTotal"] == 4
    assert {f"broker-{group}-master-0" for group in (0, 1)} <= place.names("Pod")
    assert before <= {one["metadata"]["uid"] for one in place.list("Pod")}


def test_kubectl_shows_readiness_in_columns(place: Place, operator: OperatorProcess) -> None:
    small_cluster(place)
    header, row = place.kubectl("get", "rmqns").splitlines()
    assert header.split() == ["NAME", "READY", "SIZE", "READY-REPLICAS", "AGE"]
    assert row.split()[:4] == ["name-service", "True", "1", "1"]
    header, row = place.kubectl("get", "rmqb").splitlines()
    columns = "NAME READY SIZE REPLICA-PER-GROUP BROKERS-READY BROKERS UP-TO-DATE AGE"
    assert header.split() == columns.split()
    assert row.split()[:7] == ["broker", "True", "1", "1", "2", "2", "2"]
    wide = place.kubectl("get", "rmqb", "-o", "wide")
    assert "AllReady" in wide


def test_events_tell_what_was_done(place: Place, operator: OperatorProcess) -> None:
    small_cluster(place)

    def told() -> None:
        events = place.list("Event")
        by_us = [one for one in events if one.get("reportingController", "").startswith("rocketmq")]
        assert {one["regarding"]["kind"] for one in by_us} == {"NameService", "Broker"}
        assert all(one["regarding"]["uid"] and one["note"] and one["action"] for one in by_us)
        assert {one["type"] for one in by_us} == {"Normal"}

    eventually(told)
    assert "2 of 2 brokers are ready" in place.kubectl("describe", "broker", "broker")
