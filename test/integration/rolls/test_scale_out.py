"""New groups get topics and groups of consumers before a client may use them, whatever fails."""

from __future__ import annotations

import os
import threading

import pytest

from fakes.operator_process import OperatorProcess, Operators
from fakes.rocketmq_world import World
from fakes.rolling_cluster import QUIET_S, assert_equal, edit, made, settled
from fakes.waiting import eventually, holds
from fakes.witness import Object, Place
from rocketmq.codes import RequestCode
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig

MASTERS = tuple(f"broker-{number}-master-0" for number in range(3))
SOURCE, *NEW = MASTERS
KILL_S = 60.0
WRITES = {
    RequestCode.UPDATE_AND_CREATE_TOPIC,
    RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
    RequestCode.UPDATE_AND_CREATE_TOPIC_LIST,
    RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
    RequestCode.UPDATE_BROKER_CONFIG,
}
ALL = os.environ.get("ROCKETMQ_EVERY_CALL", "") not in ("", "0")
OLD = "apache/rocketmq:4.9.7"


def filled(world: World, place: Place, topics: int = 300, **spec: object) -> None:
    """One group, whose master has topics and groups."""
    made(place, **{"size": 1, "replicaPerGroup": 0, **spec})
    names = [f"topic-{number}" for number in range(topics)]
    world.add_topics(
        SOURCE,
        *(TopicConfig(name, read_queue_nums=at % 8 + 1) for at, name in enumerate(names)),
        TopicConfig("%RETRY%group-1"),
    )
    groups = (f"group-{number}" for number in range(topics // 10))
    world.add_groups(SOURCE, *(SubscriptionGroup(name, retry_max_times=3) for name in groups))


def assert_equal_to_the_source(world: World, *pods: str) -> None:
    source = world.broker(SOURCE)
    users = {name: one for name, one in source.topics.items() if not name.startswith("%")}
    for pod in pods:
        found = world.broker(pod)
        assert (found.topics, found.groups) == (users, source.groups), pod
        assert (found.closed, found.settings["brokerPermission"]) == (False, "6")
        assert found.metadata_writes == len(users) + len(source.groups), "each was written once"


def status(place: Place) -> Object:
    found: Object = place.get("Broker", "broker")["status"]
    return found


def test_new_groups_get_what_the_old_one_has_once_and_never_again(
    world: World, place: Place, operator: OperatorProcess
) -> None:
    filled(world, place)
    edit(place, size=3)
    settled(place)
    assert_equal_to_the_source(world, *NEW)
    assert world.broker(SOURCE).metadata_writes == 0
    assert "scaleOut" not in status(place)
    before = {pod: world.broker(pod).topics for pod in NEW}
    world.add_topics(SOURCE, TopicConfig("later"))
    edit(place, config={"defaultTopicQueueNums": "6"})
    settled(place)
    world.crash(NEW[0])
    settled(place)
    assert [world.starts(pod) for pod in MASTERS] == [2, 3, 2]
    assert {pod: world.broker(pod).topics for pod in NEW} == before
    assert {world.broker(pod).settings["brokerPermission"] for pod in MASTERS} == {"6"}


@pytest.mark.parametrize("fault", [{"hung": True}, {"refusing": True}], ids=["silent", "away"])
def test_while_the_source_is_away_new_groups_wait_closed_and_it_is_said(
    fault: dict[str, bool], world: World, place: Place, operator: OperatorProcess
) -> None:
    filled(world, place)
    world.fault(SOURCE, **fault)
    edit(place, size=2, scalePodName=SOURCE)

    def said() -> None:
        (row,) = status(place)["scaleOut"]
        assert row["group"] == "broker-1"
        assert SOURCE in row["message"]

    eventually(said)
    holds(lambda: assert_equal(world.broker(NEW[0]).closed, True), for_s=QUIET_S)
    assert status(place)["brokersReady"] == 0
    world.heal()
    settled(place)
    assert_equal_to_the_source(world, NEW[0])


def test_a_source_that_does_not_exist_is_named_until_it_is_corrected(
    world: World, place: Place, operator: OperatorProcess
) -> None:
    filled(world, place)
    edit(place, size=2, scalePodName="broker-7-master-0")

    def said() -> None:
        conditions = {one["type"]: one for one in status(place)["conditions"]}
        assert (conditions["Degraded"]["status"], conditions["Degraded"]["reason"]) == (
            "True",
            "GroupClosed",
        )
        assert "broker-7-master-0 is no master" in conditions["Degraded"]["message"]

    eventually(said)
    assert world.broker(NEW[0]).topics == {}
    edit(place, scalePodName=SOURCE)
    settled(place)
    assert_equal_to_the_source(world, NEW[0])


@pytest.mark.allows_errors
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("image", "number"),
    [
        *(("apache/rocketmq:5.3.3", number) for number in (range(1, 7) if ALL else (2, 3))),
        *((OLD, number) for number in (range(1, 40, 4) if ALL else (17,))),
    ],
)
def test_an_operator_killed_at_any_write_to_new_groups_is_continued(
    image: str, number: int, done: bool, world: World, place: Place, operators: Operators
) -> None:
    first = operators.start()
    filled(world, place, topics=30, brokerImage=image)
    killed = threading.Event()

    def kill() -> None:
        first.kill()
        killed.set()

    world.at_call(number, kill, effect=done, codes=WRITES)
    edit(place, size=3)
    assert killed.wait(KILL_S)
    operators.start()
    settled(place)
    assert_equal_to_the_source(world, *NEW)


def test_an_emptied_group_gets_its_topics_again(
    world: World, place: Place, operator: OperatorProcess
) -> None:
    spec = {"storageMode": "EmptyDir", "volumeClaimTemplates": []}
    filled(world, place, topics=30, **spec)
    edit(place, size=2)
    settled(place)
    uid = place.get("Pod", NEW[0])["metadata"]["uid"]
    place.delete("Pod", NEW[0])

    def again() -> None:
        assert place.get("Pod", NEW[0])["metadata"]["uid"] != uid

    eventually(again)
    settled(place)
    assert_equal_to_the_source(world, NEW[0])
