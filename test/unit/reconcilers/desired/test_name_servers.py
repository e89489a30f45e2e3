from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from reconcilers.desired.name_servers import name_server_addresses, name_servers
from reconcilers.facts import NameServerProblem, NameServers

Make = Callable[..., Any]

DNS = "name-service-0.name-service-headless.shop.svc:9876"


def followed(name: str = "name-service", *addresses: str) -> NameServers:
    return NameServers(addresses=addresses or (DNS,), name_service=name)


@pytest.mark.parametrize(
    "written",
    [
        "10.244.0.5:9876",
        "192.168.0.7:9876",
        "192.168.0.7:9876;",
        "10.244.0.5:9876;192.168.0.7:9876",
        "name-service-0:9876",
        "name-service-0.name-service-headless:9876",
        "name-service-0.name-service-headless.shop:9876",
        "name-service-0.name-service-headless.shop.svc:9876",
        "name-service-0.name-service-headless.shop.svc.cluster.local:9876",
        "Name-Service-0.name-service-headless.shop.svc.example.org:9876",
        "name-service:9876",
        "name-service.shop:9876",
        "name-service.shop.svc:9876",
        "name-service.shop.svc.cluster.local:9876",
        "name-service-headless.shop.svc:9876",
    ],
)
def test_addresses_of_one_name_service_mean_that_one(
    written: str, broker: Make, name_service: Make, name_server_pod: Make
) -> None:
    cr = broker(nameServers=written)
    assert name_servers(cr, [name_service()], [name_server_pod()]) == followed()


@pytest.mark.parametrize(
    "written",
    [
        "10.0.0.99:9876",
        "10.244.0.5:30001",
        "10.244.0.5:9876;10.0.0.99:9876",
        "name-service-1:9876",
        "name-service-0.name-service-headless.other.svc:9876",
        "name-service.shop.example.org:9876",
        "other-0.name-service-headless:9876",
        "rocketmq.example.com:9876",
    ],
)
def test_any_other_addresses_are_used_as_written(
    written: str, broker: Make, name_service: Make, name_server_pod: Make
) -> None:
    cr = broker(nameServers=written)
    found = name_servers(cr, [name_service()], [name_server_pod()])
    assert found == NameServers(addresses=tuple(written.split(";")))


def test_addresses_of_two_name_services_are_used_as_written(
    broker: Make, name_service: Make
) -> None:
    cr = broker(nameServers="a-0:9876;b-0:9876")
    found = name_servers(cr, [name_service("a"), name_service("b")], [])
    assert found == NameServers(addresses=("a-0:9876", "b-0:9876"))


def test_a_name_service_is_followed_after_its_pod_has_moved(
    broker: Make, name_service: Make, name_server_pod: Make
) -> None:
    written = "10.244.0.5:9876"
    status = {"nameService": "name-service", "nameServersFrom": written}
    moved = [name_server_pod(pod_ip="10.244.0.6", host_ip="192.168.0.8")]
    remembered = broker(nameServers=written, status=status)
    assert name_servers(remembered, [name_service()], moved) == followed()
    rewritten = broker(nameServers="10.244.0.9:9876", status=status)
    assert name_servers(rewritten, [name_service()], moved) == NameServers(
        addresses=("10.244.0.9:9876",)
    )


def test_a_followed_name_service_that_is_gone_is_waited_for(broker: Make) -> None:
    written = "10.244.0.5:9876"
    status = {"nameService": "name-service", "nameServersFrom": written}
    found = name_servers(broker(nameServers=written, status=status), [], [])
    assert isinstance(found, NameServerProblem)
    assert found.reason == "NameServiceNotFound"


def test_a_reference_names_the_one_of_several(broker: Make, name_service: Make) -> None:
    cr = broker(nameServiceRef={"name": "b"})
    found = name_servers(cr, [name_service("a"), name_service("b")], [])
    assert found == followed("b", "b-0.b-headless.shop.svc:9876")


def test_the_only_name_service_of_the_namespace_is_used(broker: Make, name_service: Make) -> None:
    elsewhere = name_service("elsewhere", "other")
    assert name_servers(broker(), [elsewhere, name_service()], []) == followed()


def test_one_that_is_being_deleted_does_not_count(broker: Make, name_service: Make) -> None:
    going = name_service("a")
    going = msgspec.structs.replace(
        going,
        metadata=msgspec.structs.replace(going.metadata, deletion_timestamp="2026-01-01T00:00:00Z"),
    )
    assert name_servers(broker(), [going, name_service()], []) == followed()


@pytest.mark.parametrize(
    ("spec", "there", "reason", "says"),
    [
        ({}, ["b", "a"], "AmbiguousNameService", "2 NameServices (a, b)"),
        ({}, [], "NameServiceNotFound", "namespace shop has no NameService yet"),
        ({"nameServiceRef": {"name": "c"}}, ["a"], "NameServiceNotFound", "no NameService c"),
    ],
)
def test_what_is_not_known_is_said(
    spec: dict[str, Any],
    there: list[str],
    reason: str,
    says: str,
    broker: Make,
    name_service: Make,
) -> None:
    found = name_servers(broker(**spec), [name_service(name) for name in there], [])
    assert isinstance(found, NameServerProblem)
    assert found.reason == reason
    assert says in found.message


def test_addresses_follow_the_size_and_need_no_pods(name_service: Make) -> None:
    assert name_server_addresses(name_service(size=2), []) == (
        DNS,
        "name-service-1.name-service-headless.shop.svc:9876",
    )


def test_with_host_network_the_known_nodes_count_by_ordinal(
    name_service: Make, name_server_pod: Make
) -> None:
    pods = [
        name_server_pod("name-service-10", host_ip="10.0.0.3"),
        name_server_pod("name-service-2", host_ip="10.0.0.2"),
        name_server_pod("name-service-1", host_ip=""),
        name_server_pod("name-service-0", host_ip="fd00::1"),
        name_server_pod("name-service-0", namespace="other", host_ip="10.9.9.9"),
    ]
    cr = name_service(size=3, hostNetwork=True)
    assert name_server_addresses(cr, pods) == ("[fd00::1]:9876", "10.0.0.2:9876")


def test_host_network_without_any_address_is_waited_for(broker: Make, name_service: Make) -> None:
    found = name_servers(broker(), [name_service(hostNetwork=True)], [])
    assert isinstance(found, NameServerProblem)
    assert found.reason == "NameServiceNotReady"
