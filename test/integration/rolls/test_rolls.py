"""Edits of clusters that run, on simulated servers: what is restarted, when, and what is not.

Scenarios are those of the reliability list: 1 (operator killed), 10 (broken image), 11 (lag,
silence), 14 (see test_storage), 21 (drift, see test_children), 22 (name servers that know nobody).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fakes.clusters import apply_all, broker, condition, name_service, wait_ready
from fakes.operator_process import OperatorProcess
from fakes.rocketmq_world import World
from fakes.rolling_cluster import (
    BYTES_PER_S,
    NEW,
    PODS,
    QUIET_S,
    RESOURCES,
    ROLL_S,
    assert_equal,
    edit,
    made,
    settled,
    starts,
    storage,
)
from fakes.waiting import eventually, holds
from fakes.witness import Place


def waits(place: Place, words: str) -> None:
    """Wait until the step says so."""

    def check() -> None:
        assert words in place.get("Broker", "broker")["status"]["step"]

    eventually(check)


def test_a_setting_that_works_at_once_is_told_to_every_broker(loaded: World, place: Place) -> None:
    before = starts(loaded)
    edit(place, config={"fileReservedTime": "48"})

    def told() -> None:
        assert {loaded.broker(pod).settings["fileReservedTime"] for pod in PODS} == {"48"}

    eventually(told)
    settled(place)
    assert starts(loaded) == before


def test_without_leave_to_restart_nothing_is_restarted_and_it_is_said_what_waits(
    loaded: World, place: Place
) -> None:
    before = starts(loaded)
    edit(place, allowRestart=False, config={"defaultTopicQueueNums": "6"})

    def told() -> None:
        seen = condition(place.get("Broker", "broker"), "UpToDate")
        assert (seen["status"], seen["reason"]) == ("False", "RestartNotAllowed"), seen
        assert all(pod in seen["message"] for pod in PODS)

    eventually(told)
    holds(lambda: assert_equal(starts(loaded), before), for_s=QUIET_S)
    edit(place, allowRestart=True)
    settled(place)
    assert starts(loaded) == dict.fromkeys(PODS, 2)


def test_a_paused_resource_is_left_alone(loaded: World, place: Place) -> None:
    before = starts(loaded)
    paused = "rocketmq.apache.org/paused"
    place.patch("Broker", "broker", {"metadata": {"annotations": {paused: "true"}}})
    edit(place, config={"defaultTopicQueueNums": "6"})
    waits(place, paused)
    holds(lambda: assert_equal(starts(loaded), before), for_s=QUIET_S)
    place.patch("Broker", "broker", {"metadata": {"annotations": {paused: None}}})
    settled(place)
    assert starts(loaded) == dict.fromkeys(PODS, 2)


def test_a_replica_that_lags_keeps_its_master_running(loaded: World, place: Place) -> None:
    edit(place, config={"defaultTopicQueueNums": "6"})
    loaded.fault("broker-0-replica-1-0", replicates=False)
    loaded.load("broker-0", 100 * BYTES_PER_S)
    waits(place, "behind its master")
    holds(lambda: assert_equal(loaded.starts("broker-0-master-0"), 1), for_s=QUIET_S)
    rows = place.get("Broker", "broker")["status"]["brokers"]
    assert any(row["waitingFor"] for row in rows)
    loaded.load("broker-0", BYTES_PER_S)
    loaded.heal()
    settled(place)
    assert starts(loaded) == dict.fromkeys(PODS, 2)


@pytest.mark.parametrize("fault", [{"hung": True}, {"blank": True}], ids=["silent", "knows nobody"])
def test_a_name_server_that_is_no_proof_closes_the_gate(
    fault: dict[str, bool], loaded: World, place: Place
) -> None:
    before = starts(loaded)
    loaded.fault("name-service-1", **fault)
    edit(place, config={"defaultTopicQueueNums": "6"})
    waits(place, "name-service-1")
    holds(lambda: assert_equal(starts(loaded), before), for_s=QUIET_S)
    told = {loaded.broker(pod).settings["namesrvAddr"] for pod in PODS}
    assert all(len(one.split(";")) == 2 for one in told), "nobody is told a partial list"
    loaded.heal()
    settled(place)
    assert starts(loaded) == dict.fromkeys(PODS, 2)


def test_a_broker_that_hangs_keeps_the_others_running(loaded: World, place: Place) -> None:
    loaded.fault("broker-1-master-0", hung=True)
    waits(place, "broker-1-master-0")
    before = starts(loaded)
    edit(place, config={"defaultTopicQueueNums": "6"})
    holds(lambda: assert_equal(starts(loaded), before), for_s=QUIET_S)
    loaded.heal()
    settled(place)
    assert starts(loaded) == dict.fromkeys(PODS, 2)


def test_an_image_upgrade_begins_with_the_name_servers(
    world: World, place: Place, operator: OperatorProcess
) -> None:
    old = "apache/rocketmq:4.9.7"
    apply_all(
        place,
        [
            name_service(size=2, nameServiceImage=old),
            broker(
                size=1,
                replicaPerGroup=1,
                brokerImage=old,
                routeRefreshSeconds=0,
                **storage("broker-storage"),
            ),
        ],
    )
    wait_ready(place, *RESOURCES)
    since = world.now()
    edit(place, brokerImage=NEW)
    place.patch("NameService", "name-service", {"spec": {"nameServiceImage": NEW}})
    settled(place)
    begun = [one.pod for one in world.events() if one.what == "started" and one.at >= since]
    assert begun == [
        "name-service-1",
        "name-service-0",
        "broker-0-replica-1-0",
        "broker-0-master-0",
    ]


def test_name_servers_come_and_go_and_no_broker_restarts(loaded: World, place: Place) -> None:
    before = starts(loaded)
    place.patch("NameService", "name-service", {"spec": {"size": 3}})

    def counted(count: int) -> Callable[[], None]:
        def check() -> None:
            status = place.get("NameService", "name-service")["status"]
            assert len(status["nameServers"]) == status["replicas"] == count, status

        return check

    eventually(counted(3))
    assert all(len(loaded.broker(pod).name_servers) == 3 for pod in PODS)
    place.patch("NameService", "name-service", {"spec": {"size": 1}})
    eventually(counted(1))
    assert all(len(loaded.broker(pod).name_servers) == 1 for pod in PODS)
    settled(place)
    assert starts(loaded) == before
    assert loaded.producer("broker-0").failed == 0


def test_before_4_9_4_brokers_restart_one_by_one_to_learn_a_name_server(
    world: World, place: Place, operator: OperatorProcess
) -> None:
    made(place, brokerImage="apache/rocketmq:4.9.2", size=1, replicaPerGroup=0)
    since = world.now()
    place.patch("NameService", "name-service", {"spec": {"size": 3}})

    def learnt() -> None:
        assert len(world.broker("broker-0-master-0").name_servers) == 3

    eventually(learnt, within_s=ROLL_S)
    assert [one.pod for one in world.outages(since=since)] == ["broker-0-master-0"]


def test_replicas_are_added_and_removed_without_a_restart_of_the_master(
    world: World, place: Place, operator: OperatorProcess
) -> None:
    made(place, replicaPerGroup=0, replicationMode="ASYNC")
    for count in (1, 0):
        edit(place, replicaPerGroup=count)

        def there(count: int = count) -> None:
            pods = {pod for pod in place.names("Pod") if "replica" in pod}
            assert len(pods) == 2 * count, pods

        eventually(there, within_s=ROLL_S)
        settled(place)
    assert [world.starts(pod) for pod in PODS if "master" in pod] == [1, 1]


def test_no_messages_are_thrown_away_with_an_empty_dir_unless_the_user_agrees(
    world: World, place: Place, operator: OperatorProcess
) -> None:
    spec = {"size": 1, "replicaPerGroup": 0, "storageMode": "EmptyDir", "volumeClaimTemplates": []}
    made(place, **spec)
    edit(place, config={"defaultTopicQueueNums": "6"})
    waits(place, "would lose its messages")
    holds(lambda: assert_equal(world.starts(PODS[0]), 1), for_s=QUIET_S)
    agreed = {"rocketmq.apache.org/allow-data-loss": "true"}
    place.patch("Broker", "broker", {"metadata": {"annotations": agreed}})
    settled(place)
    assert world.starts(PODS[0]) == 2
