"""Topics move under load: no message is lost, none overtakes another one in its queue."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.cluster_export import Export, mqadmin_export, mqadmin_lag
from fakes.operator_process import OperatorProcess
from fakes.rocketmq_load import GroupPlan, Load, LoadPlan, running_load
from fakes.rocketmq_pairs import SOURCE, TARGET
from fakes.transfers import TRANSFER_S, Scene, acknowledged, completed, groups_on, some_more
from fakes.waiting import eventually, holds, pause

pytestmark = pytest.mark.timeout(600)

TARGETS = {"target-0", "target-1"}


def test_topics_move_with_their_groups_under_load(
    scene: Scene, operator: OperatorProcess, tmp_path: Path
) -> None:
    """One as it comes, with groups of all kinds; one in order."""
    topic, other = scene.fresh("move"), scene.fresh("stays")
    payer, retrier, shared, late, fresh, gone = groups = tuple(
        scene.fresh(name) for name in ("payer", "retrier", "shared", "late", "fresh", "gone")
    )
    names = (topic, other, *groups)
    scene.make([topic, other], groups=[shared])
    scene.make([topic], groups=[gone])
    before = scene.export(*names)
    plan = scene.load(
        topic,
        GroupPlan(payer),
        GroupPlan(retrier, fails_every=10),
        GroupPlan(shared, other_topics=(other,)),
        GroupPlan(late),
        GroupPlan(fresh, held=True),  # it never committed: only its consumers tell of it
        delayed_every=20,
        timed_every=25 if scene.pair.release.five else 0,
        open_every=30,
    )
    with_keys = _with_keys(scene)
    ordered = with_keys.topic
    with running_load(plan) as load, running_load(with_keys) as in_order:
        scene.create(ordered, ordered=True)
        _late(scene, load, topic, late)
        assert _waiting(scene, topic) >= {(fresh, True), (late, False), (gone, False)}
        load.release(fresh)
        load.bring_online(late)
        eventually(lambda: _moved(scene, topic, gone), within_s=TRANSFER_S)
        scene.wait_phase(ordered, "Succeeded")
        some_more(in_order, 40)
        report = completed(load, f"{scene.version}, moved")
        order = completed(in_order, f"{scene.version}, moved in order")
    assert set(report.by_broker) >= TARGETS, report
    assert order.key_disorder(order.groups[0]) == [], order
    scene.assert_moved(topic)
    scene.assert_moved(ordered)
    after = scene.export(*names)
    _settings_kept(topic, before, after)
    assert groups_on(after, SOURCE) & {gone, shared} == {shared}
    assert set(groups) <= groups_on(after, TARGET)
    source, target = mqadmin_export(scene.pair, tmp_path / "after", *names).values()
    assert topic in target["topics"].keys() - source["topics"].keys()
    assert gone in target["groups"].keys() - source["groups"].keys()
    assert shared in target["groups"].keys() & source["groups"].keys()
    assert mqadmin_lag(scene.pair, tmp_path / "lag", payer) == 0


def _with_keys(scene: Scene) -> LoadPlan:
    topic = scene.fresh("ordered")
    scene.make([topic])
    return scene.load(topic, GroupPlan(scene.fresh("one")), keys=7)


def _settings_kept(topic: str, before: Export, after: Export) -> None:
    """Each target has the settings of a source; the two sources have other numbers of queues."""
    wanted = [before["brokers"][f"{SOURCE}-{number}"]["topics"][topic] for number in range(2)]
    for number in range(2):
        assert after["brokers"][f"{TARGET}-{number}"]["topics"][topic] in wanted


def _late(scene: Scene, load: Load, topic: str, group: str) -> None:
    """The topic begins to move; a group that is offline holds it."""
    acknowledged(load, 60)
    load.take_offline(group)
    some_more(load, 60)
    scene.create(topic)
    scene.wait_stage(topic, "Drain")
    holds(lambda: _waits(scene, topic), for_s=3.0)


def _moved(scene: Scene, topic: str, offline: str) -> None:
    """A group without a consumer has what comes late as well: what was delayed, or sent back."""
    seen = scene.status(topic)
    if seen["stage"] == "Drain":
        scene.consume(topic, offline)
        pause(0.5)
    assert seen["phase"] == "Succeeded", seen
    assert seen["lag"] == 0


def _waiting(scene: Scene, topic: str) -> set[tuple[str, bool]]:
    """The groups that have something left, and whether they are online."""
    rows = scene.status(topic)["groups"]
    return {(one["name"], one["online"]) for one in rows if one["lag"]}


def _waits(scene: Scene, topic: str) -> None:
    assert scene.status(topic)["phase"] == "Transferring"
