"""The sample for clients outside the cluster: servers have the address of their node."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from e2e.deployed_operator import Operator
from e2e.messages import MessageClient, start_client
from e2e.resources import BROKER, NAME_SERVICE, apply, changed, name_servers, sample
from e2e.routes import Registered, registered_brokers
from e2e.versions import NEW
from e2e.waiting import delete_resources, wait_ready
from fakes.witness import Object, Place

RESOURCES = [NAME_SERVICE, BROKER]


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Iterator[Place]:
    place = make_namespace("host-network")
    yield place
    # The next file's pods have the same ports.
    delete_resources(place, RESOURCES)


def _for_one_node(resource: Object) -> Object:
    return changed(resource, size=1)


@pytest.fixture(scope="module")
def ready(place: Place) -> None:
    apply(place, map(_for_one_node, sample("hostnetwork")))
    wait_ready(place, RESOURCES)


@pytest.fixture(scope="module")
def client(place: Place, ready: None) -> MessageClient:
    return start_client(place, name_servers(place), NEW)


def test_the_broker_is_registered_under_the_address_of_its_node(place: Place, ready: None) -> None:
    node = place.get("Pod", "broker-0-master-0")["status"]["hostIP"]
    assert registered_brokers(node) == {Registered("broker", "broker-0", 0, f"{node}:10911")}


def test_a_hundred_messages_are_sent_and_the_same_are_received(
    place: Place, client: MessageClient
) -> None:
    sent = client.send("host-network")
    assert client.receive("host-network") == sent
