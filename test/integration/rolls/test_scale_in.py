"""Groups that leave, on simulated servers under load: what they hold, in which order they go, what
brings them back, and an operator that dies on the way.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from fakes.clusters import wait_condition
from fakes.control_plane import ControlPlane
from fakes.fault_proxy import CutMidLine, Exchange, FaultProxy, Freeze, fault_proxy
from fakes.operator_process import OperatorProcess, Operators
from fakes.rocketmq_world import World
from fakes.rolling_cluster import BYTES_PER_S, edit, made, settled
from fakes.waiting import eventually, holds
from fakes.witness import Place
from rocketmq.codes import RequestCode

GROUPS = ("broker-0", "broker-1", "broker-2")
MASTERS = tuple(f"{group}-master-0" for group in GROUPS)
LEAVES_S = 90.0
QUIET_S = 3.0
KILL_S = 60.0
WRITES = frozenset({"create", "update", "patch", "delete"})
ALL = os.environ.get("ROCKETMQ_EVERY_CALL", "") not in ("", "0")
KILLED_AT = range(1, 16) if ALL else (4,)
"""Writes of a scale-in, Events apart; `make soak` takes them all."""
TOLD_AT = (1, 2) if ALL else (1,)
"""Changes of a broker."""


def _begin(world: World, place: Place, *, replicas: int = 0) -> None:
    """Three groups that are written to and consumed."""
    made(place, size=3, replicaPerGroup=replicas)
    for group in GROUPS:
        world.hold(group)
        world.load(group, BYTES_PER_S)


def _rows(place: Place) -> dict[str, dict[str, object]]:
    status = place.get("Broker", "broker")["status"]
    return {row["group"]: row for row in status.get("scaleIn", ())}


def _gone(world: World, place: Place, *groups: str) -> None:
    """Wait until these groups have left, with nothing that somebody had yet to be given."""

    def check() -> None:
        there = {one["metadata"]["name"] for one in place.list("StatefulSet")}
        assert not [name for name in there if name.startswith(groups)], place.get(
            "Broker", "broker"
        )["status"].get("step")
        assert not [pod for pod in world.running() if pod.startswith(groups)]

    eventually(check, within_s=LEAVES_S)
    settled(place)
    assert {group: world.left(group) for group in groups} == dict.fromkeys(groups, 0)
    assert all(world.producer(group).failed == 0 for group in groups)


def test_two_groups_leave_under_load_and_nothing_is_left_in_them(
    world: World, place: Place, operator: OperatorProcess
) -> None:
    _begin(world, place, replicas=1)
    world.delay("broker-2", 1.0, 6.0)
    world.hold("broker-1", messages=100)
    claims = {one["metadata"]["name"] for one in place.list("PersistentVolumeClaim")}
    edit(place, size=1)
    eventually(
        lambda: _is({world.broker(pod).settings["brokerPermission"] for pod in MASTERS[1:]}, {"4"})
    )
    _gone(world, place, "broker-1", "broker-2")
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
    assert _rows(place) == {}


def test_an_offline_group_is_waited_for_until_it_is_given_up_and_a_group_may_be_kept(
    world: World, place: Place, operator: OperatorProcess
) -> None:
    _begin(world, place)
    world.hold("broker-2", messages=5, online=False)
    edit(place, size=2)
    wait_condition(place, "Broker", "broker", ("True", "ScaleInHeld"), of="Degraded")
    (row,) = _rows(place).values()
    assert (row["phase"], row["group"]) == ("Held", "broker-2")
    assert row["topics"][0]["group"] == "billing"  # type: ignore[index]
    holds(lambda: _is(world.running() >= set(MASTERS), True), for_s=QUIET_S)

    edit(place, size=3)
    eventually(lambda: _is(world.broker(MASTERS[2]).settings["brokerPermission"], "6"))
    settled(place)
    assert [world.starts(pod) for pod in MASTERS] == [1, 1, 1]
    assert _rows(place) == {}

    edit(place, size=2, scaleIn={"ignoreGroups": ["billing"]})

    def gone() -> None:
        assert "broker-2-master-0" not in world.running()

    eventually(gone, within_s=LEAVES_S)
    settled(place)
    assert world.left("broker-2") >= 5
    notes = [one["note"] for one in place.list("Event") if one["reason"] == "GroupRemoved"]
    assert any("gives up" in note for note in notes), notes


def test_a_broker_that_says_nothing_stays_and_goes_by_force(
    world: World, place: Place, operator: OperatorProcess
) -> None:
    _begin(world, place)
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


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    with fault_proxy(control_plane.server, control_plane.authority) as running:
        yield running


@pytest.mark.allows_errors
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", KILLED_AT)
def test_an_operator_killed_at_any_write_of_a_scale_in_is_continued(
    number: int, done: bool, world: World, place: Place, operators: Operators, proxy: FaultProxy
) -> None:
    first = operators.start(server=proxy.url)
    _begin(world, place)
    killed, left = threading.Event(), [number]

    def matches(exchange: Exchange) -> bool:
        if exchange.verb not in WRITES or "/events" in exchange.path or killed.is_set():
            return False
        left[0] -= 1
        if left[0]:
            return False
        first.kill()
        killed.set()
        return True

    proxy.inject(CutMidLine() if done else Freeze(), matches)
    edit(place, size=2)
    if killed.wait(KILL_S):
        operators.start()
    else:
        assert ALL, "a scale-in has more writes than that"
    _gone(world, place, "broker-2")
    assert [world.starts(pod) for pod in MASTERS] == [1, 1, 1]


@pytest.mark.allows_errors
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", TOLD_AT)
def test_an_operator_killed_at_any_change_of_a_leaving_broker_is_continued(
    number: int, done: bool, world: World, place: Place, operators: Operators
) -> None:
    first = operators.start()
    _begin(world, place)
    killed = threading.Event()

    def kill() -> None:
        first.kill()
        killed.set()

    world.at_call(number, kill, effect=done, codes={RequestCode.UPDATE_BROKER_CONFIG})
    edit(place, size=1)
    assert killed.wait(KILL_S)
    operators.start()
    _gone(world, place, "broker-1", "broker-2")


def _is(found: object, wanted: object) -> None:
    assert found == wanted
