"""Volumes of a StorageClass, in a namespace with the restricted Pod Security Standard."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.cluster import RealCluster
from e2e.deployed_operator import Operator
from e2e.messages import MessageClient, start_client
from e2e.resources import BROKER, NAME_SERVICE, apply_sample, name_servers
from e2e.rounds import writes_of_another_round
from e2e.shutdown import BrokerFiles
from e2e.versions import NEW
from e2e.waiting import delete_resources, is_ready, wait_ready, within
from fakes.audit_log import AuditLog
from fakes.witness import Place

RESOURCES = [NAME_SERVICE, BROKER]
BROKERS = ("broker-0-master", "broker-0-replica-1", "broker-1-master", "broker-1-replica-1")
CLAIMS = {
    *(f"namesrv-storage-name-service-{number}" for number in range(2)),
    *(f"broker-storage-{broker}-0" for broker in BROKERS),
}
RESTART_S = 240.0


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Place:
    return make_namespace("storage", restricted=True)


@pytest.fixture(scope="module")
def ready(place: Place) -> None:
    apply_sample(place, "storageclass")
    wait_ready(place, RESOURCES)


@pytest.fixture(scope="module")
def client(place: Place, ready: None) -> MessageClient:
    return start_client(place, name_servers(place), NEW)


@pytest.fixture(scope="module")
def sent(place: Place, client: MessageClient) -> set[str]:
    """The keys of messages in the topic `kept`."""
    return client.send("kept")


@pytest.fixture(scope="module")
def files(cluster: RealCluster, place: Place, ready: None) -> dict[str, BrokerFiles]:
    return {
        name: BrokerFiles(cluster.volume(place, f"broker-storage-{name}-0"), name)
        for name in BROKERS
    }


def test_every_pod_has_a_bound_claim_of_the_manuals_name(place: Place, ready: None) -> None:
    phases = {
        claim["metadata"]["name"]: claim["status"]["phase"]
        for claim in place.list("PersistentVolumeClaim")
    }
    assert phases == dict.fromkeys(CLAIMS, "Bound")


def test_a_second_round_writes_nothing(
    place: Place, ready: None, operator: Operator, audit: AuditLog
) -> None:
    assert writes_of_another_round(operator, audit, resources=len(RESOURCES)) == []


def test_a_broker_that_is_told_to_stop_by_signal_finishes_its_shutdown_hook(
    place: Place, sent: set[str], files: dict[str, BrokerFiles]
) -> None:
    name, pod = "broker-0-master", "broker-0-master-0"
    before = place.get("Pod", pod)["metadata"]["uid"]
    place.kubectl("exec", pod, "--", "sh", "-c", "kill -TERM 1")

    def started_again() -> None:
        found = place.get("Pod", pod)
        assert found["metadata"]["uid"] == before
        assert found["status"]["containerStatuses"][0]["restartCount"] == 1
        assert is_ready(found)

    within(RESTART_S, started_again)
    assert files[name].hooks_finished() == 1
    assert files[name].last_shutdowns() == ["normally", "normally"]


def test_a_broker_whose_pod_is_deleted_finishes_its_shutdown_hook(
    place: Place, sent: set[str], files: dict[str, BrokerFiles]
) -> None:
    name, pod = "broker-1-master", "broker-1-master-0"
    before = place.get("Pod", pod)["metadata"]["uid"]
    place.kubectl("delete", "pod", pod)

    def made_again() -> None:
        found = place.get("Pod", pod)
        assert found["metadata"]["uid"] != before
        assert is_ready(found)

    within(RESTART_S, made_again)
    assert files[name].hooks_finished() == 1
    assert files[name].last_shutdowns() == ["normally", "normally"]
    wait_ready(place, RESOURCES)


def test_messages_outlive_the_pods(place: Place, client: MessageClient, sent: set[str]) -> None:
    assert client.receive("kept") == sent


def test_deleting_the_resources_stops_every_broker_cleanly_and_keeps_the_claims(
    place: Place, sent: set[str], files: dict[str, BrokerFiles]
) -> None:
    delete_resources(place, RESOURCES)
    assert place.names("StatefulSet") == set()
    assert place.names("PersistentVolumeClaim") == CLAIMS
    assert {name for name, found in files.items() if not found.left_cleanly()} == set()
    assert {name for name, found in files.items() if found.hooks_finished() == 0} == set()
