from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import pytest

from controller.apply import Outcome
from controller.objects import ObjectMeta
from reconcilers.api.broker import Broker, BrokerStatus
from reconcilers.api.kube import Pod, StatefulSet
from reconcilers.facts import BrokerFacts, NameServerProblem, NameServers
from reconcilers.status.broker import broker_status, invalid_status
from reconcilers.steps.decision import Decision, LeavingGroup, Progress

Make = Callable[..., Pod]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DONE = Outcome(())
NAME_SERVERS = NameServers(addresses=("ns-0:9876", "ns-1:9876"), name_service="ns")


def a_broker(size: int = 2, replicas: int = 1, **more: Any) -> Broker:
    spec = {"size": size, "replicaPerGroup": replicas, "brokerImage": "i", **more}
    metadata = {"name": "broker", "namespace": "shop", "generation": 3}
    given = {"metadata": metadata, "spec": {"storageMode": "EmptyDir", **spec}}
    return msgspec.convert(given, Broker)


def conditions(status: BrokerStatus) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in status.conditions}


def test_there_is_a_row_for_every_broker_also_without_a_pod(pod: Make) -> None:
    pods = (
        pod("broker-1-master-0", "crashing"),
        pod("broker-0-replica-1-0", "starting"),
        pod("broker-0-master-0", "ready"),
    )
    facts = BrokerFacts(name_servers=NAME_SERVERS, pods=pods)
    status = broker_status(a_broker(), facts, DONE, None, NOW)
    rows = [(r.name, r.group, r.role, r.broker_id, r.ready) for r in status.brokers]
    assert rows == [
        ("broker-0-master-0", "broker-0", "Master", 0, True),
        ("broker-0-replica-1-0", "broker-0", "Replica", 1, False),
        ("broker-1-master-0", "broker-1", "Master", 0, False),
        ("broker-1-replica-1-0", "broker-1", "Replica", 1, False),
    ]
    assert [row.node for row in status.brokers] == ["node-1", "node-1", "node-1", ""]
    whys = [row.reason for row in status.brokers]
    assert (whys[0], whys[1], whys[3]) == ("", "the pod is starting", "the pod does not exist yet")
    assert "kubectl logs broker-1-master-0" in whys[2]
    assert status.nodes == ("broker-0-master-0", "broker-0-replica-1-0", "broker-1-master-0")
    assert (status.size, status.brokers_total, status.brokers_ready) == (2, 4, 1)
    assert status.observed_generation == 3


@pytest.mark.parametrize(
    ("spec", "address"),
    [
        ({}, "broker-0-master-0.broker-brokers.shop.svc:10911"),
        ({"addressMode": "PodIP"}, "10.0.0.1:10911"),
        ({"hostNetwork": True}, "192.168.0.1:10911"),
        ({"addresses": {"broker-0-master-0": "a.example.com"}}, "a.example.com:10911"),
    ],
)
def test_a_row_shows_the_address_that_is_registered(
    spec: dict[str, Any], address: str, pod: Make
) -> None:
    pods = (pod("broker-0-master-0", "ready", podIP="10.0.0.1", hostIP="192.168.0.1"),)
    facts = BrokerFacts(name_servers=NAME_SERVERS, pods=pods)
    status = broker_status(a_broker(1, 0, **spec), facts, DONE, None, NOW)
    assert status.brokers[0].address == address


def test_an_address_that_is_not_known_yet_is_empty() -> None:
    facts = BrokerFacts(name_servers=NAME_SERVERS)
    status = broker_status(a_broker(1, 0, addressMode="PodIP"), facts, DONE, None, NOW)
    assert status.brokers[0].address == ""


def test_the_name_servers_and_how_they_were_found_are_remembered() -> None:
    cr = a_broker(nameServers="10.0.0.5:9876")
    status = broker_status(cr, BrokerFacts(name_servers=NAME_SERVERS), DONE, None, NOW)
    assert status.name_servers == "ns-0:9876;ns-1:9876"
    assert (status.name_service, status.name_servers_from) == ("ns", "10.0.0.5:9876")
    own = NameServers(addresses=("h:1",))
    status = broker_status(cr, BrokerFacts(name_servers=own), DONE, None, NOW)
    assert (status.name_service, status.name_servers_from) == ("", "")


Reason = Literal["AmbiguousNameService", "NameServiceNotFound", "NameServiceNotReady"]


@pytest.mark.parametrize(
    ("reason", "progressing", "degraded"),
    [
        ("AmbiguousNameService", "False", "True"),
        ("NameServiceNotFound", "True", "False"),
        ("NameServiceNotReady", "True", "False"),
    ],
)
def test_without_name_servers_it_is_said_why_and_what_was_known_is_kept(
    reason: Reason, progressing: str, degraded: str
) -> None:
    problem = NameServerProblem(reason=reason, message="do something")
    before = BrokerStatus(name_servers="h:1", name_service="ns", name_servers_from="t")
    cr = msgspec.structs.replace(a_broker(), status=before)
    status = broker_status(cr, BrokerFacts(name_servers=problem), DONE, None, NOW)
    found = conditions(status)
    assert found["Ready"] == ("False", reason)
    assert found["Progressing"] == (progressing, reason)
    assert found["Degraded"] == (degraded, reason)
    assert (status.name_servers, status.name_service, status.name_servers_from) == (
        "h:1",
        "ns",
        "t",
    )


def test_groups_that_leave_are_told_of_and_somebody_is_asked_where_needed(pod: Make) -> None:
    pods = (pod("broker-0-master-0", "ready"), pod("broker-1-master-0", "ready"))
    sets = tuple(
        StatefulSet(metadata=ObjectMeta(name=name, namespace="shop"))
        for name in ("broker-0-master", "broker-1-master")
    )
    facts = BrokerFacts(name_servers=NAME_SERVERS, pods=pods, sets=sets)
    group = LeavingGroup(name="broker-1", phase="Held", message="words")
    progress = Progress(Decision(phase="held", leaving=(group,)))
    status = broker_status(a_broker(1, 0), facts, DONE, progress, NOW)
    found = conditions(status)
    assert found["Ready"] == ("True", "AllReady")
    assert found["Degraded"] == ("True", "ScaleInHeld")
    assert [row.group for row in status.scale_in] == ["broker-1"]
    going = msgspec.structs.replace(group, phase="Draining")
    progress = Progress(Decision(phase="waiting", leaving=(going,)))
    found = conditions(broker_status(a_broker(1, 0), facts, DONE, progress, NOW))
    assert found["Progressing"] == ("True", "ScalingIn")
    assert found["Degraded"] == ("False", "Healthy")
    # What was known stays where nothing was decided.
    before = msgspec.structs.replace(a_broker(1, 0), status=status)
    assert broker_status(before, facts, DONE, None, NOW).scale_in == status.scale_in


def test_ignored_keys_of_the_users_file_are_named() -> None:
    facts = BrokerFacts(name_servers=NAME_SERVERS, common_config="brokerName=x\nbrokerRole=SLAVE")
    status = broker_status(a_broker(), facts, DONE, None, NOW)
    accepted = status.conditions[-1]
    assert accepted.reason == "IdentityKeysIgnored"
    assert accepted.message.endswith(": brokerName, brokerRole")


def test_conditions_keep_the_places_that_they_have_on_the_server() -> None:
    # Made before there was anything to decide, then decided upon: the server appends UpToDate.
    facts = BrokerFacts(name_servers=NAME_SERVERS)
    cr = a_broker()
    first = broker_status(cr, facts, DONE, None, NOW)
    cr = msgspec.structs.replace(cr, status=first)
    second = broker_status(cr, facts, DONE, Progress(Decision(phase="current")), NOW)
    before = [one.type for one in first.conditions]
    assert [one.type for one in second.conditions] == [*before, "UpToDate"]


def test_a_broker_with_a_problem_still_shows_what_runs(pod: Make) -> None:
    facts = BrokerFacts(name_servers=NAME_SERVERS, pods=(pod("broker-0-master-0", "ready"),))
    status = invalid_status(a_broker(), facts, "InvalidAddresses", "spec.addresses: no", NOW)
    assert status.brokers_ready == 1
    assert conditions(status)["Degraded"] == ("True", "InvalidAddresses")


def test_nothing_changes_in_a_status_when_nothing_has_changed(pod: Make) -> None:
    facts = BrokerFacts(name_servers=NAME_SERVERS, pods=(pod("broker-0-master-0", "ready"),))
    cr = a_broker()
    first = broker_status(cr, facts, DONE, None, NOW)
    later = datetime(2026, 1, 2, tzinfo=UTC)
    cr = msgspec.structs.replace(cr, status=first)
    assert broker_status(cr, facts, DONE, None, later) == first
