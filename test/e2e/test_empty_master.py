"""A master that lost its volume while its replica holds messages; docs/storage.md is followed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from e2e.cluster import RealCluster, run
from e2e.deployed_operator import Operator
from e2e.messages import MessageClient, start_client
from e2e.resources import BROKER, NAME_SERVICE, apply, changed, name_servers, sample
from e2e.resources import with_little_memory as small
from e2e.versions import NEW
from e2e.waiting import wait_ready, within
from fakes.clusters import condition
from fakes.control_plane import ROOT
from fakes.waiting import holds, pause
from fakes.witness import Object, Place

RESOURCES = [NAME_SERVICE, BROKER]
MASTER, REPLICA = "broker-0-master-0", "broker-0-replica-1-0"
GUARD = "store-guard"
REPORTED_S = 120.0
METADATA_S = 75.0
"""A replica of 5.x copies its master's topics every minute."""
COPY_BACK, GIVE_UP = re.findall(
    r"^```sh\n(.*?)^```", (ROOT / "docs" / "storage.md").read_text(), re.DOTALL | re.MULTILINE
)


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Place:
    return make_namespace("empty-master", restricted=True)


@pytest.fixture(scope="module")
def ready(place: Place) -> None:
    """One group; what was acknowledged is on its replica, too."""
    name_service, broker = sample("storageclass")
    apply(
        place,
        [
            changed(small(name_service), size=1),
            changed(small(broker), size=1, replicationMode="SYNC"),
        ],
    )
    wait_ready(place, RESOURCES)


@pytest.fixture(scope="module")
def client(place: Place, ready: None) -> MessageClient:
    return start_client(place, name_servers(place), NEW)


@pytest.fixture(scope="module")
def sent(place: Place, client: MessageClient) -> set[str]:
    """The keys of messages in the topic `kept`, which the replica knows by now, too."""
    keys = client.send("kept")
    pause(METADATA_S)
    return keys


def lose_volume(place: Place) -> None:
    """Delete the master's claim and pod, as somebody does whose volume is gone for good."""
    before = place.get("Pod", MASTER)["metadata"]["uid"]
    place.kubectl("delete", "pvc", f"broker-storage-{MASTER}", "--wait=false")
    place.kubectl("delete", "pod", MASTER)

    def made_again() -> None:
        assert place.get("Pod", MASTER)["metadata"]["uid"] != before

    within(REPORTED_S, made_again)


def wait_reported(place: Place) -> str:
    """Wait until the Broker says that its master does not start; returns its words."""

    def reported() -> str:
        broker = place.get(*BROKER)
        degraded = condition(broker, "Degraded")
        assert (degraded["status"], degraded["reason"]) == ("True", "EmptyMaster"), degraded
        (row,) = (one for one in broker["status"]["brokers"] if one["name"] == MASTER)
        assert row["reason"] == degraded["message"]
        words: str = degraded["message"]
        return words

    return within(REPORTED_S, reported)


def guard_state(place: Place) -> Object:
    status = place.get("Pod", MASTER)["status"]
    (guard,) = (one for one in status["initContainerStatuses"] if one["name"] == GUARD)
    assert guard["restartCount"] == 0
    state: Object = guard["state"]
    return state


def assert_waiting(place: Place, replica: str) -> None:
    assert "running" in guard_state(place)
    assert place.get("Pod", REPLICA)["metadata"]["uid"] == replica


def follow(cluster: RealCluster, place: Place, commands: str) -> None:
    """Do what the documentation says, in this namespace."""
    kubectl = f'kubectl() {{ "$KUBECTL" --namespace={place.name} "$@"; }}\n'
    run(("bash", "-c", kubectl + commands), environment=cluster.environment())


def test_a_master_without_its_volume_waits_beside_a_replica_that_holds_messages(
    place: Place, sent: set[str]
) -> None:
    replica = place.get("Pod", REPLICA)["metadata"]["uid"]
    lose_volume(place)
    words = wait_reported(place)
    assert f"{MASTER} has an empty store and does not start beside {REPLICA}" in words
    log = place.kubectl("logs", MASTER, "-c", GUARD)
    assert re.search(rf"held by {REPLICA} \(\d+ bytes\): not starting", log)
    holds(lambda: assert_waiting(place, replica), for_s=20.0)


def wait_settled(place: Place) -> None:
    """Ready, and the replica follows: until then a SYNC master answers FLUSH_SLAVE_TIMEOUT."""
    wait_ready(place, RESOURCES)

    def settled() -> None:
        assert place.get(*BROKER)["status"]["step"] == ""

    within(REPORTED_S, settled)


def test_copied_back_from_the_replica_no_message_is_lost(
    cluster: RealCluster, place: Place, client: MessageClient, sent: set[str]
) -> None:
    follow(cluster, place, COPY_BACK)
    wait_settled(place)
    assert client.receive("kept") == sent
    more = client.send("after-copy")
    assert client.receive("after-copy") == more


def test_a_new_group_is_what_is_left_when_the_messages_are_given_up(
    cluster: RealCluster, place: Place, client: MessageClient, sent: set[str]
) -> None:
    lose_volume(place)
    wait_reported(place)
    follow(cluster, place, GIVE_UP)
    wait_settled(place)
    more = client.send("after-loss")
    assert client.receive("after-loss") == more
