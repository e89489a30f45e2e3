"""Whatever a transfer has done, given up before the point of no return it leaves no trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.cluster_export import Export, export, mqadmin_export
from fakes.operator_process import OperatorProcess
from fakes.remoting_proxy import RemotingProxy
from fakes.rocketmq_load import GroupPlan, LoadPlan, running_load
from fakes.rocketmq_pairs import SOURCE, TARGET, Pair
from fakes.transfers import (
    FORTH,
    TRANSFER_S,
    acknowledged,
    cancel,
    completed,
    made,
    some_more,
    topics_on,
    transfer,
    wait_phase,
    wait_stage,
)
from fakes.waiting import eventually
from fakes.witness import Place

pytestmark = pytest.mark.timeout(300)


def test_given_up_at_any_stage_all_is_as_before(
    pair: Pair,
    network: RemotingProxy,
    operator: OperatorProcess,
    place: Place,
    fresh: Callable[[str], str],
    tmp_path: Path,
) -> None:
    """A group that is offline with messages left holds each transfer before it deletes."""
    topics = {fresh("back"): stage for stage in FORTH}
    group = fresh("parked")
    made(pair, list(topics), groups=[group], messages=2)
    names = (*topics, group)
    before = export(pair, *names)
    witnessed = mqadmin_export(pair, tmp_path / "before", *names)
    for topic in topics:
        place.create(transfer(topic, pair, network))
    for number, (topic, stage) in enumerate(topics.items()):
        wait_stage(place, topic, stage)
        if number % 2:
            place.delete("TopicTransfer", topic)
        else:
            cancel(place, topic)
    for number, topic in enumerate(topics):
        if number % 2:
            eventually(lambda topic=topic: _gone(place, topic), within_s=TRANSFER_S)
        else:
            wait_phase(place, topic, "RolledBack")
    assert export(pair, *names) == before
    assert mqadmin_export(pair, tmp_path / "after", *names) == witnessed


def test_what_came_to_the_target_is_consumed_before_the_topic_goes_back(
    pair: Pair,
    network: RemotingProxy,
    operator: OperatorProcess,
    place: Place,
    fresh: Callable[[str], str],
) -> None:
    topic, payer, late = fresh("return"), fresh("payer"), fresh("late")
    made(pair, [topic])
    groups = (GroupPlan(payer), GroupPlan(late))
    plan = LoadPlan(name_servers=pair.name_servers, topic=topic, groups=groups)
    with running_load(plan) as load:
        acknowledged(load, 20, to="source-0")
        load.take_offline(late)
        place.create(transfer(topic, pair, network))
        wait_stage(place, topic, "Drain")
        acknowledged(load, 20, to="target-0")
        cancel(place, topic)
        wait_phase(place, topic, "RollingBack")
        load.bring_online(late)
        wait_phase(place, topic, "RolledBack")
        some_more(load, 20)
        completed(load, f"{pair.release.version}, rolled back")
    after = export(pair, topic, payer, late)
    assert not any(topic in topics for topics in topics_on(after, TARGET).values())
    assert all(topic in topics for topics in topics_on(after, SOURCE).values())
    assert {one["topics"][topic]["perm"] for one in _source(after)} == {6}


def _source(found: Export) -> list[Export]:
    return [one for name, one in found["brokers"].items() if name.startswith(SOURCE)]


def _gone(place: Place, topic: str) -> None:
    found = place.find("TopicTransfer", topic)
    assert found is None, found
