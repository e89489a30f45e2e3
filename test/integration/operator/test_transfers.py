from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from fakes.operator_process import OperatorProcess, free_ports
from fakes.topic_world import TopicWorld
from fakes.topic_world_clients import Consumer, Producer
from fakes.topic_world_model import Broker
from fakes.topic_world_served import ServedWorld, served
from fakes.waiting import eventually
from fakes.witness import Object, Place
from rocketmq.messages.topics import TopicConfig

ACCOUNT = {"accessKey": "operator", "secretKey": "quite-secret-of-the-tests"}


@pytest.fixture
def world() -> Iterator[ServedWorld]:
    """Two clusters of one master each; the topic on the first, with clients."""
    name_server, first, second = (f"127.0.0.1:{port}" for port in free_ports(3))
    made = TopicWorld()
    made.name_server(name_server)
    for cluster, address in (("shop", first), ("archive", second)):
        broker = Broker(
            cluster=cluster, name=f"{cluster}-0", address=address, name_servers=(name_server,)
        )
        made.broker(broker)
    made.brokers[first].save_topic(TopicConfig("orders", 2, 2))
    made.settle()
    servers = (name_server,)
    made.consumers.append(Consumer(group="payers", topics=("orders",), name_servers=servers))
    made.producers.append(Producer(name="till", topic="orders", name_servers=servers))
    made.advance(60)
    with served(made, speed=30) as handle:
        yield handle


def transfer(world: ServedWorld, **spec: Any) -> Object:
    servers = world.do(lambda one: ";".join(one.name_servers))
    basics = {
        "topic": "orders",
        "sourceCluster": "shop",
        "targetCluster": "archive",
        "nameServers": servers,
        "routeRefreshSeconds": 3,
        "credentialsSecret": {"name": "account"},
    }
    return {
        "apiVersion": "rocketmq.apache.org/v1alpha1",
        "kind": "TopicTransfer",
        "metadata": {"name": "move"},
        "spec": basics | spec,
    }


def account(place: Place) -> None:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in ACCOUNT.items()}
    place.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "account"}, "data": data}
    )


def status(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = place.get("TopicTransfer", "move").get("status", {})
    return found


def wait_phase(place: Place, phase: str, *, within_s: float = 60.0) -> dict[str, Any]:
    def reached() -> None:
        assert status(place).get("phase") == phase, status(place).get("step")

    eventually(reached, within_s=within_s)
    return status(place)


def wait_reason(place: Place, reason: str) -> str:
    def told() -> str:
        (ready,) = [one for one in status(place)["conditions"] if one["type"] == "Ready"]
        assert ready["reason"] == reason, ready
        return str(ready["message"])

    return eventually(told)


def topics(world: ServedWorld) -> dict[str, bool]:
    return world.do(
        lambda one: {broker.cluster: "orders" in broker.topics for broker in one.brokers.values()}
    )


def test_a_topic_is_moved_by_an_account_while_it_is_used(
    place: Place, operator: OperatorProcess, world: ServedWorld
) -> None:
    place.apply(transfer(world))
    assert "account" in wait_reason(place, "CredentialsNotFound")
    account(place)
    wait_phase(place, "Transferring")
    shown = place.kubectl("get", "rmqtt", "move")
    assert [shown.split().index(word) for word in ("orders", "shop", "archive", "Transferring")]
    wait_phase(place, "Succeeded")
    assert topics(world) == {"shop": False, "archive": True}
    lost = world.do(lambda one: one.ledger.missing("payers", ["orders"]))
    assert len(lost) < 100  # on their way; what is lost for good, unit tests count

    def released() -> Object:
        found: Object = place.get("TopicTransfer", "move")
        assert "finalizers" not in found["metadata"]
        return found

    found = eventually(released, within_s=10.0)  # a moment after the status
    assert ACCOUNT["secretKey"] not in operator.tail(10_000) + json.dumps(found)
    assert world.do(lambda one: {request.ext_fields.get("AccessKey") for _, request in one.calls})
    reasons = {one["reason"] for one in place.list("Event")}
    assert {"TransferStep", "Succeeded"} <= reasons


def test_a_transfer_that_is_deleted_is_undone_before_it_goes(
    place: Place, operator: OperatorProcess, world: ServedWorld
) -> None:
    account(place)
    place.apply(transfer(world))

    def opened() -> None:
        assert status(place).get("stage") in ("CloseSource", "Drain")

    eventually(opened, within_s=30.0)
    place.kubectl("delete", "topictransfer/move", "--wait=true", "--timeout=60s")
    assert topics(world) == {"shop": True, "archive": False}
    permissions = world.do(
        lambda one: [broker.topics["orders"].perm for broker in one.masters("shop")]
    )
    assert permissions == [6]


def test_what_a_running_transfer_could_not_follow_cannot_be_edited(
    place: Place, world: ServedWorld
) -> None:
    place.apply(transfer(world))
    with pytest.raises(Exception, match="only cancel, deadlineSeconds and ignoreGroups"):
        place.patch("TopicTransfer", "move", {"spec": {"targetCluster": "elsewhere"}})
    place.patch("TopicTransfer", "move", {"spec": {"cancel": True, "ignoreGroups": ["old"]}})
    with pytest.raises(Exception, match="a transfer that is cancelled stays so"):
        place.patch("TopicTransfer", "move", {"spec": {"cancel": False}})


def test_a_transfer_of_an_unknown_cluster_says_so_and_changes_nothing(
    place: Place, operator: OperatorProcess, world: ServedWorld
) -> None:
    account(place)
    place.apply(transfer(world, targetCluster="nowhere"))
    assert "nowhere" in wait_reason(place, "UnknownCluster")
    assert topics(world) == {"shop": True, "archive": False}
