"""Servers out of reach at every stage of a transfer: it waits, and goes on when they are back."""

from __future__ import annotations

import random

import pytest

from fakes.operator_process import OperatorProcess
from fakes.rocketmq_load import GroupPlan, running_load
from fakes.rocketmq_pairs import SOURCE, TARGET
from fakes.transfers import ALL, TRANSFER_S, Scene, acknowledged, completed, some_more
from fakes.waiting import pause

pytestmark = [pytest.mark.timeout(600), pytest.mark.allows_errors]

CUT_S = 1.5


def test_a_network_that_is_cut_at_every_stage_only_delays(
    scene: Scene, operator: OperatorProcess
) -> None:
    """One transfer goes forth under load, one is rolled back."""
    forth, back, parked = scene.fresh("forth"), scene.fresh("back"), scene.fresh("parked")
    scene.make([forth])
    scene.make([back], groups=[parked], messages=2)
    before = scene.export(back, parked)
    plan = scene.load(forth, GroupPlan(scene.fresh("payer")))
    with running_load(plan) as load:
        acknowledged(load, 20)
        scene.create(back)
        scene.wait_stage(back, "Drain")
        scene.create(forth)
        scene.cancel(back)
        stages = _cut_at_each_stage(scene, forth, back)
        scene.wait_phase(forth, "Succeeded")
        scene.wait_phase(back, "RolledBack")
        some_more(load, 20)
        completed(load, f"{scene.version}, cut at {stages}")
    assert len(stages) >= 6, stages
    scene.assert_moved(forth)
    assert scene.export(back, parked) == before


@pytest.mark.skipif(not ALL, reason="the JVMs of three servers start again: make soak")
def test_servers_that_crash_and_come_back_only_delay(
    scene: Scene, operator: OperatorProcess
) -> None:
    """A source, a target and a name server, while a group that is offline holds the transfer."""
    topic, payer, late = scene.fresh("crash"), scene.fresh("payer"), scene.fresh("late")
    pair = scene.pair
    scene.make([topic])
    plan = scene.load(topic, GroupPlan(payer), GroupPlan(late))
    crashing = (pair.masters(SOURCE)[0], pair.masters(TARGET)[0], pair.name_servers[1])
    with running_load(plan) as load:
        acknowledged(load, 40)
        load.take_offline(late)
        some_more(load, 20)
        scene.create(topic)
        scene.wait_stage(topic, "Drain")
        for address in crashing:
            pair.kill(address)
        pause(CUT_S)
        assert scene.status(topic)["phase"] == "Transferring"
        load.bring_online(late)
        for address in crashing:
            pair.begin(address)
        scene.wait_phase(topic, "Succeeded", within_s=2 * TRANSFER_S)
        some_more(load, 20)
        completed(load, f"{scene.version}, with crashes")
    scene.assert_moved(topic)


@pytest.mark.skipif(not ALL, reason="the JVM of a server starts again: make soak")
def test_a_topic_that_returns_to_a_broker_that_crashed_brings_nothing_twice(
    scene: Scene, operator: OperatorProcess
) -> None:
    """Such a broker has the queues of the topic again that was deleted there."""
    topic, payer = scene.fresh("returns"), scene.fresh("payer")
    scene.make([topic])
    with running_load(scene.load(topic, GroupPlan(payer))) as load:
        acknowledged(load, 40)
        scene.create(topic)
        scene.wait_phase(topic, "Succeeded")
        crashing = scene.pair.masters(SOURCE)[0]
        scene.pair.kill(crashing)
        scene.pair.begin(crashing)
        back = f"{topic}-back"
        scene.create(topic, name=back, sourceCluster=TARGET, targetCluster=SOURCE)
        scene.wait_phase(back, "Succeeded")
        some_more(load, 20)
        report = completed(load, f"{scene.version}, moved back to a broker that crashed")
    assert report.duplicates == {payer: 0}, report


def _cut_at_each_stage(scene: Scene, *topics: str) -> dict[str, str]:
    """Whenever a new stage is seen another server is cut off for a while; which and when."""
    servers = list(scene.pair.addresses)
    random.Random(topics[0]).shuffle(servers)  # noqa: S311 - to be the same in each run
    cut: dict[str, str] = {}
    for _ in range(int(TRANSFER_S * 20)):
        stages = [scene.status(topic).get("stage", "") for topic in topics]
        if all(scene.ended(topic) for topic in topics):
            return cut
        for stage in stages:
            if stage and stage not in cut:
                cut[stage] = servers[len(cut) % len(servers)]
                scene.network.cut(cut[stage])
                pause(CUT_S)
                scene.network.heal()
        pause(0.05)
    return cut
