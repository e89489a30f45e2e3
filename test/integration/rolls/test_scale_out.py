"""New groups get topics and groups of consumers before a client may use them, whatever fails."""

from __future__ import annotations

import pytest

from fakes.growing_cluster import MASTERS, NEW, SOURCE, assert_equal_to_the_source, filled
from fakes.operator_process import OperatorProcess
from fakes.rocketmq_world import World
from fakes.rolling_cluster import QUIET_S, assert_equal, edit, settled
from fakes.waiting import eventually, holds
from fakes.witness import Object, Place
from rocketmq.messages.topics import TopicConfig


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
    assert status(place).get("scaleOut", []) == []
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
        (row,) = status(place).get("scaleOut", [])
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
