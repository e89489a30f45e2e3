"""Groups that leave, on simulated servers under load: what they hold, in which order they go, and
what keeps them.
"""

from __future__ import annotations

from fakes.clusters import wait_condition
from fakes.leaving_cluster import LEAVES_S, MASTERS, begin, gone, rows
from fakes.operator_process import OperatorProcess
from fakes.rocketmq_world import World
from fakes.rolling_cluster import edit, settled
from fakes.waiting import eventually, holds
from fakes.witness import Place

QUIET_S = 3.0


def test_two_groups_leave_under_load_and_nothing_is_left_in_them(
    world: World, place: Place, operator: OperatorProcess
) -> None:
    begin(world, place, replicas=1)
    world.delay("broker-2", 1.0, 6.0)
    world.hold("broker-1", messages=100)
    claims = {one["metadata"]["name"] for one in place.list("PersistentVolumeClaim")}
    edit(place, size=1)
    eventually(
        lambda: _is({world.broker(pod).settings["brokerPermission"] for pod in MASTERS[1:]}, {"4"})
    )
    gone(world, place, "broker-1", "broker-2")
    stopped = [
        one.pod for one in world.events() if one.what == "stopped" and one.group != "broker-0"
    ]
    assert sorted(stopped[:2]) == ["broker-2-master-0", "broker-2-replica-1-0"]
    assert world.starts(MASTERS[0]) == 1
    assert {one["metadata"]["name"] for one in place.list("PodDisruptionBudget")} == {
        "broker-0",
        "name-service-name-servers",
    }
    assert {one["metadata"]["name"] for one in place.list("PersistentVolumeClaim")} == claims
    told = {one["reason"] for one in place.list("Event")}
    assert told >= {"GroupLeaving", "GroupDrained", "GroupRemoved"}
    assert rows(place) == {}


def test_an_offline_group_is_waited_for_until_it_is_given_up_and_a_group_may_be_kept(
    world: World, place: Place, operator: OperatorProcess
) -> None:
    begin(world, place)
    world.hold("broker-2", messages=5, online=False)
    edit(place, size=2)
    wait_condition(place, "Broker", "broker", ("True", "ScaleInHeld"), of="Degraded")
    (row,) = rows(place).values()
    assert (row["phase"], row["group"]) == ("Held", "broker-2")
    assert row["topics"][0]["group"] == "billing"
    which = f'group="broker-2",name="broker",namespace="{place.name}"'
    assert operator.metrics()[f"rocketmq_operator_leaving_group_messages{{{which}}}"] >= 4
    holds(lambda: _is(world.running() >= set(MASTERS), True), for_s=QUIET_S)

    edit(place, size=3)
    eventually(lambda: _is(world.broker(MASTERS[2]).settings["brokerPermission"], "6"))
    settled(place)
    assert [world.starts(pod) for pod in MASTERS] == [1, 1, 1]
    assert rows(place) == {}

    edit(place, size=2, scaleIn={"ignoreGroups": ["billing"]})

    eventually(lambda: _is("broker-2-master-0" in world.running(), False), within_s=LEAVES_S)
    settled(place)
    assert world.left("broker-2") >= 5
    notes = [one["note"] for one in place.list("Event") if one["reason"] == "GroupRemoved"]
    assert any("gives up" in note for note in notes), notes


def test_a_broker_that_says_nothing_stays_and_goes_by_force(
    world: World, place: Place, operator: OperatorProcess
) -> None:
    begin(world, place)
    world.fault(MASTERS[2], hung=True)
    edit(place, size=2)

    def waits() -> None:
        assert "nobody knows what it holds" in place.get("Broker", "broker")["status"]["step"]

    eventually(waits)
    holds(lambda: _is(MASTERS[2] in world.running(), True), for_s=QUIET_S)
    force = {"rocketmq.apache.org/force-scale-in": "true"}
    place.patch("Broker", "broker", {"metadata": {"annotations": force}})
    eventually(lambda: _is(MASTERS[2] in world.running(), False), within_s=LEAVES_S)
    assert {MASTERS[0], MASTERS[1]} <= world.running()


def _is(found: object, wanted: object) -> None:
    assert found == wanted
