"""The example of the Go operator's newest release: name servers in the network of the node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.deployed_operator import Operator
from e2e.messages import MessageClient, start_client
from e2e.resources import BROKER, NAME_SERVICE, apply, manual, name_servers
from e2e.versions import NEW
from e2e.waiting import delete_resources, servers, wait_ready
from fakes.witness import Place

RESOURCES = [NAME_SERVICE, BROKER]
PODS = {"name-service-0", "broker-0-master-0", "broker-0-replica-1-0"}


@pytest.fixture(scope="module")
def place(
    make_namespace: Callable[..., Place], operator: Operator, node_data: Path
) -> Iterator[Place]:
    place = make_namespace("newest-manual")
    yield place
    delete_resources(place, RESOURCES)


@pytest.fixture(scope="module")
def ready(place: Place) -> None:
    apply(place, [*manual("newest_nameservice_cr", NEW), *manual("newest_broker_cr", NEW)])
    wait_ready(place, RESOURCES)


@pytest.fixture(scope="module")
def client(place: Place, ready: None) -> MessageClient:
    return start_client(place, name_servers(place), NEW)


def test_it_becomes_ready_with_the_pods_of_the_manual(place: Place, ready: None) -> None:
    assert {pod["metadata"]["name"] for pod in servers(place)} == PODS


def test_name_servers_have_the_address_of_their_node(place: Place, ready: None) -> None:
    pod = place.get("Pod", "name-service-0")
    assert pod["spec"]["hostNetwork"]
    assert name_servers(place) == f"{pod['status']['hostIP']}:9876"


def test_the_jvm_has_the_memory_that_the_users_config_map_says(place: Place, ready: None) -> None:
    said = place.kubectl("exec", "broker-0-master-0", "--", "sh", "-c", _COMMAND_LINE)
    heaps = [word for word in said.split() if word.startswith("-Xmx")]
    assert heaps[-1] == "-Xmx2g"


def test_a_hundred_messages_are_sent_and_the_same_are_received(
    place: Place, client: MessageClient
) -> None:
    sent = client.send("newest")
    assert client.receive("newest") == sent


_COMMAND_LINE = (
    "for each in /proc/[0-9]*; do "
    '[ "$(cat $each/comm)" = java ] && tr "\\0" " " < $each/cmdline; done; true'
)
