"""An operator that is killed at any write, to a server or the API server: the next one goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from fakes.control_plane import ControlPlane
from fakes.fault_proxy import CutMidLine, Exchange, FaultProxy, Freeze, fault_proxy
from fakes.operator_process import OperatorProcess, Operators
from fakes.remoting_proxy import Asked, Fate, RemotingProxy
from fakes.rocketmq_load import GroupPlan, running_load
from fakes.transfers import ALL, Scene, acknowledged, completed, some_more
from fakes.waiting import pause
from rocketmq.codes import READS

pytestmark = [pytest.mark.timeout(3600 if ALL else 600), pytest.mark.allows_errors]

WRITES = frozenset({"create", "update", "patch", "delete"})
KILL_S = 60.0
Kill = tuple[int, bool]
"""At which write from its start an operator is killed, and whether the server has done it."""
KILLS: tuple[Kill, ...] = ((1, True), (1, True), (2, False), (2, False), (4, True), (3, True))
EACH = 200
"""More than a transfer has writes: every operator is killed until there is nothing to do."""
SERIES: dict[str, tuple[Kill, ...]] = {"some": KILLS}
if ALL:
    SERIES = {"after each": ((1, True),) * EACH, "before each": ((2, False),) * EACH}
Killer = Callable[[OperatorProcess, Kill], threading.Event]
"""Prepares the death of an operator; the event tells of it."""


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    with fault_proxy(control_plane.server, control_plane.authority) as running:
        yield running


class Deaths:
    """Operators that die one after the other, at calls of either kind in turn."""

    def __init__(
        self, operators: Operators, proxy: FaultProxy, killers: tuple[Killer, ...]
    ) -> None:
        self._operators = operators
        self._proxy = proxy
        self._killers = killers
        self.count = 0

    def operator(self) -> OperatorProcess:
        """One that is not to die."""
        self._proxy.heal()
        return self._operators.start(server=self._proxy.url)

    def die(self, kills: tuple[Kill, ...], over: Callable[[], bool]) -> None:
        """Let one after the other die, until it is over."""
        for number, kill in enumerate(kills):
            self._proxy.heal()
            operator = self._operators.start(server=self._proxy.url, wait=False)
            killed = self._killers[number % len(self._killers)](operator, kill)
            for _ in range(int(KILL_S * 10)):
                if killed.is_set() or over():
                    break
                pause(0.1)
            if not killed.is_set():
                operator.kill()
                return
            self.count += 1


@pytest.fixture
def deaths(operators: Operators, network: RemotingProxy, proxy: FaultProxy) -> Deaths:
    return Deaths(operators, proxy, (_at_server(network), _at_api_server(proxy)))


def _at_server(network: RemotingProxy) -> Killer:
    def prepare(operator: OperatorProcess, kill: Kill) -> threading.Event:
        left, done = kill
        killed = threading.Event()

        def die() -> None:
            if not killed.is_set():
                operator.kill()
                killed.set()

        def judge(asked: Asked) -> Fate:
            nonlocal left
            if asked.code in READS or killed.is_set():
                return Fate.PASS
            left -= 1
            if left > 0:
                return Fate.PASS
            if not done:
                die()
            return Fate.LOSE if done else Fate.CUT

        network.heal()
        network.judge(judge, die)
        return killed

    return prepare


def _at_api_server(proxy: FaultProxy) -> Killer:
    def prepare(operator: OperatorProcess, kill: Kill) -> threading.Event:
        left, done = kill
        killed = threading.Event()

        def matches(exchange: Exchange) -> bool:
            nonlocal left
            if exchange.verb not in WRITES or "/topictransfers/" not in exchange.path:
                return False
            left -= 1
            if left or killed.is_set():
                return False
            operator.kill()
            killed.set()
            return True

        proxy.inject(CutMidLine() if done else Freeze(), matches)
        return killed

    return prepare


@pytest.mark.parametrize("kills", SERIES.values(), ids=SERIES)
def test_transfers_whose_operators_are_killed_are_continued(
    kills: tuple[Kill, ...], scene: Scene, deaths: Deaths
) -> None:
    """One transfer goes forth under load, one is rolled back; the operator dies in both."""
    forth, back, parked = scene.fresh("forth"), scene.fresh("back"), scene.fresh("parked")
    scene.make([forth])
    scene.make([back], groups=[parked], messages=2)
    before = scene.export(back, parked)
    first = deaths.operator()
    scene.create(back)
    scene.wait_stage(back, "Drain")
    first.kill()
    scene.cancel(back)
    plan = scene.load(forth, GroupPlan(scene.fresh("payer")))
    with running_load(plan) as load:
        acknowledged(load, 20)
        scene.create(forth)
        deaths.die(kills, lambda: scene.ended(forth) and scene.ended(back))
        deaths.operator()
        scene.wait_phase(forth, "Succeeded")
        scene.wait_phase(back, "RolledBack")
        some_more(load, 20)
        completed(load, f"{scene.version}, moved after {deaths.count} deaths")
    scene.assert_moved(forth)
    assert scene.export(back, parked) == before
