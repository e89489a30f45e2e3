"""An operator that is killed at any write of a roll: the next one goes on where it stopped."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from fakes.control_plane import ControlPlane
from fakes.fault_proxy import CutMidLine, Exchange, FaultProxy, Freeze, fault_proxy
from fakes.operator_process import OperatorProcess, Operators
from fakes.rocketmq_world import World
from fakes.rolling_cluster import AFTER_DEATH_S, PODS, edit, made, settled, starts
from fakes.witness import Place
from rocketmq.codes import RequestCode

pytestmark = pytest.mark.timeout(AFTER_DEATH_S + 90)
KILL_S = 60.0


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    with fault_proxy(control_plane.server, control_plane.authority) as running:
        yield running


WRITES = frozenset({"create", "update", "patch", "delete"})
ALL = os.environ.get("ROCKETMQ_EVERY_CALL", "") not in ("", "0")
KILLED_AT = range(1, 31) if ALL else (2, 5, 9, 14)
"""Writes of a roll, Events apart; `make soak` takes them all."""


class Killer:
    """Kills an operator at its n-th write from now, before or after the server has done it."""

    def __init__(
        self, proxy: FaultProxy, operator: OperatorProcess, number: int, *, done: bool
    ) -> None:
        self._operator = operator
        self._left = number
        self.killed = threading.Event()
        proxy.inject(CutMidLine() if done else Freeze(), self._matches)

    def _matches(self, exchange: Exchange) -> bool:
        if exchange.verb not in WRITES or "/events" in exchange.path or self.killed.is_set():
            return False
        self._left -= 1
        if self._left:
            return False
        self._operator.kill()
        self.killed.set()
        return True


@pytest.mark.allows_errors
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", KILLED_AT)
def test_an_operator_killed_at_any_write_of_a_roll_is_continued(
    number: int,
    done: bool,
    world: World,
    place: Place,
    operators: Operators,
    proxy: FaultProxy,
) -> None:
    first = operators.start(server=proxy.url)
    made(place)
    since = world.now()
    killer = Killer(proxy, first, number, done=done)
    edit(place, config={"defaultTopicQueueNums": "6"})
    if killer.killed.wait(KILL_S):
        operators.start()
    else:
        assert ALL, "a roll has more writes than that"
    settled(place, within_s=AFTER_DEATH_S)
    assert starts(world) == dict.fromkeys(PODS, 2)
    assert world.max_down(since=since) == 1
    assert {world.broker(pod).settings["brokerPermission"] for pod in PODS} == {"6"}


@pytest.mark.allows_errors
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
def test_an_operator_killed_at_any_change_of_a_broker_is_continued(
    number: int,
    done: bool,
    world: World,
    place: Place,
    operators: Operators,
) -> None:
    first = operators.start()
    made(place)
    since, killed = world.now(), threading.Event()

    def kill() -> None:
        first.kill()
        killed.set()

    world.at_call(number, kill, effect=done, codes={RequestCode.UPDATE_BROKER_CONFIG})
    edit(place, config={"defaultTopicQueueNums": "6"})
    assert killed.wait(KILL_S)
    operators.start()
    settled(place, within_s=AFTER_DEATH_S)
    assert starts(world) == dict.fromkeys(PODS, 2)
    assert world.max_down(since=since) == 1
    assert {world.broker(pod).settings["brokerPermission"] for pod in PODS} == {"6"}
