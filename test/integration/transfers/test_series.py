"""A topic under load that moves to and fro, while things happen by chance: no message is lost.

`ROCKETMQ_SEED` chooses what happens, `ROCKETMQ_ACTS` how long it goes on.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from fakes.operator_process import Operators
from fakes.rocketmq_load import GroupPlan, running_load
from fakes.rocketmq_pairs import SOURCE, TARGET
from fakes.transfers import ALL, FORTH, TRANSFER_S, Scene, acknowledged, completed, some_more
from fakes.waiting import eventually, pause

SEED = os.environ.get("ROCKETMQ_SEED", "1")
ACTS = int(os.environ.get("ROCKETMQ_ACTS", "30" if ALL else "0"))

pytestmark = [pytest.mark.timeout(120 + 60 * ACTS), pytest.mark.allows_errors]

Disturbance = Callable[[str], None]


class Series:
    """The acts of one seed."""

    def __init__(self, scene: Scene, operators: Operators, topic: str) -> None:
        self._scene = scene
        self._operators = operators
        self._operator = operators.start()
        self._topic = topic
        self._chance = random.Random(f"{SEED} {scene.version}")  # noqa: S311 - to be repeatable
        self._at = SOURCE
        self.told: list[str] = []

    def act(self, number: int) -> None:
        """One transfer, and what happens meanwhile."""
        name = f"{self._topic}-act-{number}"
        there = TARGET if self._at == SOURCE else SOURCE
        happens: tuple[Disturbance, ...] = (
            self._nothing,
            self._cancel,
            self._cut,
            self._kill,
            self._outage,
        )
        chosen = self._chance.choice(happens)
        self._scene.create(self._topic, name=name, sourceCluster=self._at, targetCluster=there)
        chosen(name)
        ended = eventually(lambda: self._ended(name), within_s=2 * TRANSFER_S)
        self.told.append(f"{chosen.__name__[1:]}: {ended}")
        if ended == "Succeeded":
            self._at = there

    def _ended(self, name: str) -> str:
        assert self._scene.ended(name), (self.told, self._scene.status(name))
        phase: str = self._scene.status(name)["phase"]
        return phase

    def _nothing(self, _: str) -> None:
        return

    def _cancel(self, name: str) -> None:
        self._scene.wait_stage(name, self._chance.choice(FORTH))
        self._scene.cancel(name)

    def _cut(self, name: str) -> None:
        for _ in range(self._chance.randint(1, 4)):
            pause(self._chance.uniform(0.2, 2.0))
            count = self._chance.randint(1, 2)
            self._scene.network.cut(*self._chance.sample(self._scene.pair.addresses, count))
            pause(self._chance.uniform(0.2, 2.0))
            self._scene.network.heal()

    def _kill(self, name: str) -> None:
        for _ in range(self._chance.randint(1, 3)):
            pause(self._chance.uniform(0.2, 4.0))
            self._operator.kill()
            self._operator = self._operators.start(wait=False)

    def _outage(self, name: str) -> None:
        pause(self._chance.uniform(0.2, 4.0))
        address = self._chance.choice(self._scene.pair.addresses)
        self._scene.pair.kill(address)
        pause(self._chance.uniform(0.2, 2.0))
        self._scene.pair.begin(address)


@pytest.mark.skipif(not ACTS, reason="an act takes half a minute: make soak")
def test_a_series_of_acts_loses_no_message(scene: Scene, operators: Operators) -> None:
    topic, payer, retrier = scene.fresh("series"), scene.fresh("payer"), scene.fresh("retrier")
    scene.make([topic])
    plan = scene.load(topic, GroupPlan(payer), GroupPlan(retrier, fails_every=20))
    series = Series(scene, operators, topic)
    with running_load(plan) as load:
        acknowledged(load, 20)
        for number in range(ACTS):
            series.act(number)
        some_more(load, 20)
        completed(load, f"{scene.version}, seed {SEED}, {series.told}")
