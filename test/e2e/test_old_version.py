"""RocketMQ 4.9 by the same operator, on volumes that NFS mode asks for and that go with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.cluster import RealCluster
from e2e.deployed_operator import Operator
from e2e.messages import MessageClient, start_client
from e2e.resources import BROKER, NAME_SERVICE, apply, changed, name_servers, sample
from e2e.routes import registered_brokers
from e2e.shutdown import BrokerFiles
from e2e.versions import OLD, image
from e2e.waiting import delete_resources, is_ready, wait_ready, within
from fakes.witness import Object, Place

RESOURCES = [NAME_SERVICE, BROKER]
BROKERS = ("broker-0-master", "broker-0-replica-1")
CLAIMS = {
    "namesrv-storage-name-service-0",
    *(f"broker-storage-{broker}-0" for broker in BROKERS),
}
RESTART_S = 240.0
REPORT_S = 10.0


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Place:
    return make_namespace("old-version", restricted=True)


def _small(resource: Object) -> Object:
    spec = {"size": 1, "storageMode": "NFS", "pvcRetentionPolicy": "Delete"}
    if resource["kind"] == "Broker":
        return changed(resource, brokerImage=image(OLD), replicationMode="SYNC", **spec)
    return changed(resource, nameServiceImage=image(OLD), **spec)


@pytest.fixture(scope="module")
def ready(place: Place) -> None:
    apply(place, map(_small, sample("storageclass")))
    wait_ready(place, RESOURCES)


@pytest.fixture(scope="module")
def client(place: Place, ready: None) -> MessageClient:
    return start_client(place, name_servers(place), OLD)


@pytest.fixture(scope="module")
def sent(place: Place, client: MessageClient) -> set[str]:
    # A connected replica of 4.9 reports its place every five seconds: until the first report a
    # SYNC_MASTER answers SLAVE_NOT_AVAILABLE.
    within(REPORT_S, lambda: client.send("first", 1))
    return client.send("kept")


@pytest.fixture(scope="module")
def files(cluster: RealCluster, place: Place, ready: None) -> dict[str, BrokerFiles]:
    return {
        name: BrokerFiles(cluster.volume(place, f"broker-storage-{name}-0"), name)
        for name in BROKERS
    }


def test_nfs_mode_claims_volumes_as_a_storage_class_does(place: Place, ready: None) -> None:
    assert place.names("PersistentVolumeClaim") == CLAIMS


def test_master_and_replica_are_registered(place: Place, ready: None) -> None:
    name_server = place.get("Pod", "name-service-0")["status"]["podIP"]
    found = {(one.broker_name, one.broker_id) for one in registered_brokers(name_server)}
    assert found == {("broker-0", 0), ("broker-0", 1)}


def test_a_hundred_messages_are_sent_and_the_same_are_received(
    place: Place, client: MessageClient, sent: set[str]
) -> None:
    assert client.receive("kept") == sent


def test_a_broker_that_is_told_to_stop_by_signal_finishes_its_shutdown_hook(
    place: Place, client: MessageClient, sent: set[str], files: dict[str, BrokerFiles]
) -> None:
    name, pod = "broker-0-master", "broker-0-master-0"
    place.kubectl("exec", pod, "--", "sh", "-c", "kill -TERM 1")

    def started_again() -> None:
        found = place.get("Pod", pod)
        assert found["status"]["containerStatuses"][0]["restartCount"] == 1
        assert is_ready(found)

    within(RESTART_S, started_again)
    assert files[name].hooks_finished() == 1
    assert files[name].last_shutdowns() == ["normally", "normally"]
    assert client.receive("kept", group="after-restart") == sent


def test_with_the_policy_delete_the_claims_and_volumes_go_with_the_resources(
    place: Place, sent: set[str], files: dict[str, BrokerFiles]
) -> None:
    delete_resources(place, RESOURCES)

    def gone() -> None:
        assert place.names("PersistentVolumeClaim") == set()
        assert [name for name, found in files.items() if found.store.exists()] == []

    within(60, gone)
