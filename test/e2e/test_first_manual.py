"""The example of the Go operator's 0.2.0 manual: data and logs in directories of the node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.cluster import RealCluster
from e2e.deployed_operator import Operator
from e2e.messages import MessageClient, start_client
from e2e.resources import BROKER, NAME_SERVICE, apply, changed, manual, with_little_memory
from e2e.rounds import writes_of_another_round
from e2e.shutdown import BrokerFiles
from e2e.versions import NEW
from e2e.waiting import delete_resources, servers, wait_ready
from fakes.audit_log import AuditLog
from fakes.clusters import CHILD_KINDS
from fakes.witness import Place

RESOURCES = [NAME_SERVICE, BROKER]
BROKERS = ("broker-0-master", "broker-0-replica-1", "broker-1-master", "broker-1-replica-1")
PODS = {"name-service-0", *(f"{broker}-0" for broker in BROKERS)}
ROCKETMQ = 3000
"""User and group of the stock image."""


@pytest.fixture(scope="module")
def place(
    make_namespace: Callable[..., Place], operator: Operator, node_data: Path
) -> Iterator[Place]:
    place = make_namespace("first-manual")
    yield place
    # The next file's pods have the same directories.
    delete_resources(place, RESOURCES)


def start(place: Place) -> str:
    """Apply the manual's two files in its order; returns the address that it has people look up."""
    (service,) = manual("manual_0.2.0_nameservice", NEW)
    apply(place, [with_little_memory(service)])
    wait_ready(place, [NAME_SERVICE])
    address = f"{place.get('Pod', 'name-service-0')['status']['podIP']}:9876"
    (broker,) = manual("manual_0.2.0_broker", NEW)
    apply(place, [with_little_memory(changed(broker, nameServers=address))])
    wait_ready(place, RESOURCES)
    return address


@pytest.fixture(scope="module")
def address(place: Place) -> str:
    return start(place)


@pytest.fixture(scope="module")
def client(place: Place, address: str) -> MessageClient:
    return start_client(place, address, NEW)


@pytest.fixture(scope="module")
def sent(place: Place, client: MessageClient) -> set[str]:
    return client.send("kept")


@pytest.fixture(scope="module")
def files(node_data: Path) -> dict[str, BrokerFiles]:
    return {name: BrokerFiles(node_data / "broker", name) for name in BROKERS}


def test_it_becomes_ready_with_the_pods_of_the_manual(place: Place, address: str) -> None:
    assert {pod["metadata"]["name"] for pod in servers(place)} == PODS


def test_logs_are_where_the_manual_says(
    cluster: RealCluster, place: Place, address: str, node_data: Path
) -> None:
    log = cluster.on_node("/data/rocketmq/broker/logs/broker-1-replica-1/rocketmqlogs/broker.log")
    assert "The broker[broker-1, " in log.read_text(encoding="utf-8")
    name_server = node_data / "nameserver" / "logs" / "name-service-0" / "rocketmqlogs"
    assert (name_server / "namesrv.log").stat().st_size > 0


def test_all_data_belong_to_the_user_of_the_image(
    place: Place, sent: set[str], files: dict[str, BrokerFiles]
) -> None:
    found = [path for one in files.values() for path in (one.store, *one.store.rglob("*"))]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in found} == {(ROCKETMQ, ROCKETMQ)}


def test_a_second_round_writes_nothing(
    place: Place, address: str, operator: Operator, audit: AuditLog
) -> None:
    assert writes_of_another_round(operator, audit, resources=len(RESOURCES)) == []


def test_deleting_the_resources_removes_the_children_and_keeps_the_data(
    cluster: RealCluster, place: Place, sent: set[str], files: dict[str, BrokerFiles]
) -> None:
    delete_resources(place, RESOURCES)
    left = {(kind, name) for kind in CHILD_KINDS for name in place.names(kind)}
    assert left == {("ConfigMap", "kube-root-ca.crt")}
    assert {name for name, found in files.items() if not found.left_cleanly()} == set()


def test_resources_made_again_find_the_messages(place: Place, sent: set[str]) -> None:
    client = MessageClient(place, start(place))
    assert client.receive("kept") == sent
