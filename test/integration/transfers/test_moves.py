"""A topic moves under load: no message is lost, none overtakes another one in its queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.cluster_export import Export, export, mqadmin_export, mqadmin_lag
from fakes.operator_process import OperatorProcess
from fakes.remoting_proxy import RemotingProxy
from fakes.rocketmq_load import GroupPlan, LoadPlan, running_load
from fakes.rocketmq_pairs import SOURCE, TARGET, Pair
from fakes.transfers import (
    acknowledged,
    completed,
    consumed,
    groups_on,
    made,
    some_more,
    status,
    topics_on,
    transfer,
    wait_phase,
    wait_stage,
)
from fakes.waiting import holds
from fakes.witness import Place

pytestmark = pytest.mark.timeout(300)


def test_a_topic_moves_with_its_groups_under_load(
    pair: Pair,
    network: RemotingProxy,
    operator: OperatorProcess,
    place: Place,
    fresh: Callable[[str], str],
    tmp_path: Path,
) -> None:
    topic, other = fresh("move"), fresh("stays")
    payer, retrier, shared, late, gone = (
        fresh(name) for name in ("payer", "retrier", "shared", "late", "gone")
    )
    names = (topic, other, payer, retrier, shared, late, gone)
    made(pair, [topic, other], groups=[shared])
    made(pair, [topic], groups=[gone])
    groups = (
        GroupPlan(payer),
        GroupPlan(retrier, fails_every=10),
        GroupPlan(shared, other_topics=(other,)),
        GroupPlan(late),
    )
    plan = LoadPlan(name_servers=pair.name_servers, topic=topic, groups=groups, delayed_every=20)
    before = export(pair, *names)
    with running_load(plan) as load:
        acknowledged(load, 60)
        load.take_offline(late)
        some_more(load, 60)
        place.create(transfer(topic, pair, network))
        wait_stage(place, topic, "Drain")
        holds(lambda: _waits(place, topic), for_s=3.0)
        load.bring_online(late)
        consumed(pair, topic, gone)
        assert wait_phase(place, topic, "Succeeded")["lag"] == 0
        some_more(load, 40)
        report = completed(load, f"{pair.release.version}, moved")
    assert {"target-0", "target-1"} <= set(report.by_broker), report
    after = export(pair, *names)
    _moved(topic, before, after)
    assert gone not in groups_on(after, SOURCE)
    assert shared in groups_on(after, SOURCE)
    assert set(names[2:]) <= groups_on(after, TARGET)
    assert all(f"%RETRY%{payer}" in topics for topics in topics_on(after, TARGET).values())
    for name, broker in mqadmin_export(pair, tmp_path / "after", *names).items():
        assert (topic in broker["topics"]) is name.startswith(TARGET), name
        assert (gone in broker["groups"]) is name.startswith(TARGET), name
        assert shared in broker["groups"], name
    assert mqadmin_lag(pair, tmp_path / "lag", payer) == 0


def test_the_order_of_messages_is_kept_when_it_is_asked_for(
    pair: Pair,
    network: RemotingProxy,
    operator: OperatorProcess,
    place: Place,
    fresh: Callable[[str], str],
) -> None:
    topic, one, two = fresh("ordered"), fresh("one"), fresh("two")
    made(pair, [topic])
    groups = (GroupPlan(one), GroupPlan(two))
    plan = LoadPlan(name_servers=pair.name_servers, topic=topic, groups=groups, keys=7)
    with running_load(plan) as load:
        acknowledged(load, 80)
        place.create(transfer(topic, pair, network, ordered=True))
        wait_phase(place, topic, "Succeeded")
        some_more(load, 40)
        report = completed(load, f"{pair.release.version}, moved in order")
    assert {group: report.key_disorder(group) for group in (one, two)} == {one: [], two: []}


def _moved(topic: str, before: Export, after: Export) -> None:
    wanted = before["brokers"]["source-0"]["topics"][topic]
    for name, broker in after["brokers"].items():
        if name.startswith(SOURCE):
            assert topic not in broker["topics"], name
        else:
            now = broker["topics"][topic]
            assert now | {"writeQueueNums": 0} == wanted | {"writeQueueNums": 0}, name
    for routes in after["routes"]:
        assert {row[0] for row in routes[topic]} == {"target-0", "target-1"}


def _waits(place: Place, topic: str) -> None:
    assert status(place, topic)["phase"] == "Transferring"
