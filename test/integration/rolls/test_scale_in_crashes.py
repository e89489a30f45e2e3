"""An operator that is killed at any write of a scale-in: the next one goes on where it stopped."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from fakes.control_plane import ControlPlane
from fakes.fault_proxy import CutMidLine, Exchange, FaultProxy, Freeze, fault_proxy
from fakes.leaving_cluster import MASTERS, begin, gone
from fakes.operator_process import Operators
from fakes.rocketmq_world import World
from fakes.rolling_cluster import edit
from fakes.witness import Place
from rocketmq.codes import RequestCode

KILL_S = 60.0
WRITES = frozenset({"create", "update", "patch", "delete"})
ALL = os.environ.get("ROCKETMQ_EVERY_CALL", "") not in ("", "0")
KILLED_AT = range(1, 16) if ALL else (4,)
"""Writes of a scale-in, Events apart; `make soak` takes them all."""
TOLD_AT = (1, 2) if ALL else (1,)
"""Changes of a broker."""


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
    begin(world, place)
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
    gone(world, place, "broker-2")
    assert [world.starts(pod) for pod in MASTERS] == [1, 1, 1]


@pytest.mark.allows_errors
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", TOLD_AT)
def test_an_operator_killed_at_any_change_of_a_leaving_broker_is_continued(
    number: int, done: bool, world: World, place: Place, operators: Operators
) -> None:
    first = operators.start()
    begin(world, place)
    killed = threading.Event()

    def kill() -> None:
        first.kill()
        killed.set()

    world.at_call(number, kill, effect=done, codes={RequestCode.UPDATE_BROKER_CONFIG})
    edit(place, size=1)
    assert killed.wait(KILL_S)
    operators.start()
    gone(world, place, "broker-1", "broker-2")
