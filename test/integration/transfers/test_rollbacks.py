"""Whatever a transfer has done, given up before the point of no return it leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.cluster_export import mqadmin_export
from fakes.operator_process import OperatorProcess
from fakes.rocketmq_load import GroupPlan, running_load
from fakes.rocketmq_pairs import SOURCE
from fakes.transfers import FORTH, TRANSFER_S, Scene, acknowledged, completed, some_more
from fakes.waiting import eventually

pytestmark = pytest.mark.timeout(600)


def test_given_up_at_any_stage_all_is_as_before(
    scene: Scene, operator: OperatorProcess, tmp_path: Path
) -> None:
    """A group that is offline with messages left holds each transfer before it deletes.

    One transfer is under load: what came to the target is consumed before the topic goes back.
    """
    topics = {scene.fresh("back"): stage for stage in FORTH}
    group = scene.fresh("parked")
    scene.make(list(topics), groups=[group], messages=2)
    names = (*topics, group)
    loaded, payer, late = scene.fresh("return"), scene.fresh("payer"), scene.fresh("late")
    scene.make([loaded])
    before = scene.export(*names)
    witnessed = mqadmin_export(scene.pair, tmp_path / "before", *names)
    with running_load(scene.load(loaded, GroupPlan(payer), GroupPlan(late))) as load:
        acknowledged(load, 20, to="source-0")
        load.take_offline(late)
        for topic in (*topics, loaded):
            scene.create(topic)
        _give_up(scene, topics)
        scene.wait_stage(loaded, "Drain")
        acknowledged(load, 20, to="target-0")
        scene.cancel(loaded)
        scene.wait_phase(loaded, "RollingBack")
        load.bring_online(late)
        scene.wait_phase(loaded, "RolledBack")
        some_more(load, 20)
        completed(load, f"{scene.version}, rolled back")
    for number, topic in enumerate(topics):
        if number % 2:
            scene.wait_gone(topic)
        else:
            scene.wait_phase(topic, "RolledBack")
    assert scene.export(*names) == before
    assert mqadmin_export(scene.pair, tmp_path / "after", *names) == witnessed
    after = scene.export(loaded)
    for name, broker in after["brokers"].items():
        assert (loaded in broker["topics"]) is name.startswith(SOURCE), after
        assert broker["topics"].get(loaded, {"perm": 6})["perm"] == 6, after


def _give_up(scene: Scene, topics: dict[str, str]) -> None:
    """Each as soon as it is seen at its stage, or further."""
    numbers = {topic: number for number, topic in enumerate(topics)}
    left = dict(topics)

    def give_up() -> None:
        for name, stage in scene.stages().items():
            if name in left and stage in FORTH[FORTH.index(left[name]) :]:
                del left[name]
                print(f"{scene.version}: {name} is given up at {stage}")  # noqa: T201
                act = scene.delete if numbers[name] % 2 else scene.cancel
                act(name)
        assert not left, left

    eventually(give_up, within_s=TRANSFER_S)
