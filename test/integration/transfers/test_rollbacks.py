"""Whatever a transfer has done, given up before the point of no return it leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.cluster_export import mqadmin_export
from fakes.operator_process import OperatorProcess
from fakes.rocketmq_load import GroupPlan, running_load
from fakes.rocketmq_pairs import SOURCE
from fakes.transfers import FORTH, Scene, acknowledged, completed, some_more

pytestmark = pytest.mark.timeout(300)


def test_given_up_at_any_stage_all_is_as_before(
    scene: Scene, operator: OperatorProcess, tmp_path: Path
) -> None:
    """A group that is offline with messages left holds each transfer before it deletes."""
    topics = {scene.fresh("back"): stage for stage in FORTH}
    group = scene.fresh("parked")
    scene.make(list(topics), groups=[group], messages=2)
    names = (*topics, group)
    before = scene.export(*names)
    witnessed = mqadmin_export(scene.pair, tmp_path / "before", *names)
    for topic in topics:
        scene.create(topic)
    for number, (topic, stage) in enumerate(topics.items()):
        scene.wait_stage(topic, stage)
        if number % 2:
            scene.delete(topic)
        else:
            scene.cancel(topic)
    for number, topic in enumerate(topics):
        if number % 2:
            scene.wait_gone(topic)
        else:
            scene.wait_phase(topic, "RolledBack")
    assert scene.export(*names) == before
    assert mqadmin_export(scene.pair, tmp_path / "after", *names) == witnessed


def test_what_came_to_the_target_is_consumed_before_the_topic_goes_back(
    scene: Scene, operator: OperatorProcess
) -> None:
    topic, payer, late = scene.fresh("return"), scene.fresh("payer"), scene.fresh("late")
    scene.make([topic])
    with running_load(scene.load(topic, GroupPlan(payer), GroupPlan(late))) as load:
        acknowledged(load, 20, to="source-0")
        load.take_offline(late)
        scene.create(topic)
        scene.wait_stage(topic, "Drain")
        acknowledged(load, 20, to="target-0")
        scene.cancel(topic)
        scene.wait_phase(topic, "RollingBack")
        load.bring_online(late)
        scene.wait_phase(topic, "RolledBack")
        some_more(load, 20)
        completed(load, f"{scene.version}, rolled back")
    after = scene.export(topic, payer, late)
    for name, broker in after["brokers"].items():
        assert (topic in broker["topics"]) is name.startswith(SOURCE), after
        assert name not in ("source-0", "source-1") or broker["topics"][topic]["perm"] == 6, after
