"""The first samples, in a namespace with the restricted Pod Security Standard."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.deployed_operator import Operator
from e2e.messages import MessageClient, start_client
from e2e.resources import BROKER, NAME_SERVICE, apply_sample, name_servers
from e2e.rounds import writes_of_another_round
from e2e.routes import Registered, registered_brokers
from e2e.versions import NEW
from e2e.waiting import servers, wait_ready, within
from fakes.audit_log import AuditLog
from fakes.clusters import CHILD_KINDS, children, identities
from fakes.witness import Object, Place, Refused

RESOURCES = [NAME_SERVICE, BROKER]
NAME_SERVERS = ("name-service-0", "name-service-1")
BROKERS = {
    "broker-0-master-0": ("broker-0", 0),
    "broker-0-replica-1-0": ("broker-0", 1),
    "broker-1-master-0": ("broker-1", 0),
    "broker-1-replica-1-0": ("broker-1", 1),
}


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Place:
    return make_namespace("samples", restricted=True)


@pytest.fixture(scope="module")
def ready(place: Place) -> None:
    apply_sample(place, "nameservice_cr", "broker_cr")
    wait_ready(place, RESOURCES)


@pytest.fixture(scope="module")
def client(place: Place, ready: None) -> MessageClient:
    return start_client(place, name_servers(place), NEW)


def test_the_namespace_refuses_pods_that_are_not_restricted(place: Place) -> None:
    container = {"name": "any", "image": "any", "securityContext": {"privileged": True}}
    spec = {"containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "any"}, "spec": spec}
    with pytest.raises(Refused, match="violates PodSecurity"):
        place.create(pod)


def test_the_samples_become_ready_in_a_restricted_namespace(place: Place, ready: None) -> None:
    assert {pod["metadata"]["name"] for pod in servers(place)} == {*NAME_SERVERS, *BROKERS}


def test_every_name_server_knows_every_broker_by_its_dns_name(place: Place, ready: None) -> None:
    expected = {
        Registered("broker", group, number, f"{pod}.broker-brokers.{place.name}.svc:10911")
        for pod, (group, number) in BROKERS.items()
    }
    for name in NAME_SERVERS:
        assert registered_brokers(place.get("Pod", name)["status"]["podIP"]) == expected


def test_a_hundred_messages_are_sent_and_the_same_are_received(
    place: Place, client: MessageClient
) -> None:
    sent = client.send("samples")
    assert client.receive("samples") == sent


def test_a_second_round_writes_nothing(
    place: Place, ready: None, operator: Operator, audit: AuditLog
) -> None:
    assert writes_of_another_round(operator, audit, resources=len(RESOURCES)) == []


def test_deleted_children_and_pods_come_back_and_carry_messages_again(
    place: Place, client: MessageClient
) -> None:
    before = _children(place)
    # Other StatefulSets stay, for the time that servers take to start; integration has them all.
    gone = [child for child in before if child["kind"] != "StatefulSet" or _is_last_replica(child)]
    assert {child["kind"] for child in gone} == set(CHILD_KINDS)
    for child in gone:
        place.delete(child["kind"], child["metadata"]["name"])
    place.delete("Pod", "name-service-1")

    def back() -> None:
        now = _children(place)
        assert identities(now) == identities(before)
        assert not _uids(gone) & _uids(now)

    within(60, back)
    wait_ready(place, RESOURCES)
    sent = client.send("after-deletion")
    assert client.receive("after-deletion") == sent


def _children(place: Place) -> list[Object]:
    return [child for resource in RESOURCES for child in children(place, *resource)]


def _is_last_replica(child: Object) -> bool:
    return bool(child["metadata"]["name"] == "broker-1-replica-1")


def _uids(objects: list[Object]) -> set[str]:
    return {item["metadata"]["uid"] for item in objects}
