"""What a careless transfer would lose, or leave behind: one case each, in a topic world."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from fakes.topic_world import TopicWorld
from fakes.topic_world_clusters import NAMES, TOPIC, V4, V5, consumer, producer, two_clusters
from fakes.topic_world_export import export, lost
from fakes.topic_world_model import Stored
from fakes.transfer_run import TransferRun
from reconcilers.api.topic_transfer import TopicTransfer
from rocketmq.codes import MQVersion
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig

versions = pytest.mark.parametrize("version", [V4, V5], ids=["4.9", "5.3"])


def waits_at(stage: str, *words: str) -> Callable[[TopicTransfer], bool]:
    return lambda cr: cr.status.stage == stage and all(word in cr.status.step for word in words)


async def begun(world: TopicWorld, **spec: object) -> TransferRun:
    world.advance(40)
    run = TransferRun(world)
    run.apply(**spec)
    return run


def of(cr: TopicTransfer | None) -> TopicTransfer:
    assert cr is not None
    return cr


@versions
async def test_an_offline_group_holds_the_source_until_it_is_back(version: MQVersion) -> None:
    world = two_clusters(version)
    here, away = consumer(world), consumer(world, "auditors")
    sends = producer(world)
    world.advance(40)
    world.leave(away)
    run = await begun(world)
    cr = of(await run.run(until=waits_at("Drain", "auditors", "offline", "ignoreGroups")))
    (row,) = [one for one in cr.status.groups if one.name == "auditors"]
    assert not row.online
    assert row.lag == cr.status.lag > 0
    assert {one.topic for one in row.queues} == {"orders"}
    world.advance(2000)
    assert of(run.get()).status.stage == "Drain"
    away.online = True
    assert of(await run.run()).status.phase == "Succeeded"
    sends.until = world.now
    world.advance(200)
    assert lost(world, here, "orders") == lost(world, away, "orders") == set()


async def test_a_group_that_is_given_up_by_name_holds_nothing_up() -> None:
    world = two_clusters()
    consumer(world)
    away = consumer(world, "auditors")
    producer(world)
    world.advance(40)
    world.leave(away)
    run = await begun(world)
    await run.run(until=waits_at("Drain", "auditors"))
    run.apply(ignoreGroups=["auditors"])
    assert of(await run.run()).status.phase == "Succeeded"


async def test_messages_that_nobody_ever_consumed_hold_it_until_they_are_given_up() -> None:
    world = two_clusters()
    sends = producer(world)
    sends.until = 60.0
    run = await begun(world)
    await run.run(until=waits_at("Drain", "no group ever consumed"))
    run.apply(ignoreGroups=["*"])
    assert of(await run.run()).status.phase == "Succeeded"


@versions
async def test_a_group_with_other_topics_stays_on_the_source(version: MQVersion) -> None:
    world = two_clusters(version)
    for master in world.masters("a"):
        master.save_topic(TopicConfig("refunds"))
    world.settle()
    consumer(world, topics=("orders", "refunds"))
    producer(world)
    run = await begun(world)
    cr = of(await run.run())
    assert cr.status.phase == "Succeeded"
    assert all("payers" in one.groups for one in world.masters("a"))
    assert all("payers" in one.groups for one in world.masters("b"))
    assert "group payers" in cr.status.kept[0]


@versions
async def test_a_late_producer_brings_the_topic_back_and_loses_nothing(version: MQVersion) -> None:
    world = two_clusters(version)
    had = consumer(world)
    producer(world)
    late = producer(world, name="late", refresh_s=100_000.0, rate=0)
    run = await begun(world)
    await run.run(until=waits_at("DeleteTopic", "see that it is gone"))
    assert all("orders" not in one.topics for one in world.masters("a"))
    late.rate = 1
    world.advance(3)
    late.until = world.now
    assert any("orders" in one.topics for one in world.masters("a"))
    assert of(await run.run()).status.phase == "Succeeded"
    assert all("orders" not in one.topics for one in world.masters("a"))
    world.advance(100)
    assert lost(world, had, "orders") == set()
    assert any("late-" in id_ for id_ in world.ledger.ids("payers"))


@versions
async def test_old_offsets_of_a_topic_of_the_name_skip_nothing(version: MQVersion) -> None:
    world = two_clusters(version)
    had, sends = consumer(world), producer(world)
    for master in world.masters("b"):
        master.groups["payers"] = SubscriptionGroup("payers")
        if not master.five:
            master.offsets["orders@payers"] = dict.fromkeys(range(4), 1000)
    run = await begun(world)
    assert of(await run.run()).status.phase == "Succeeded"
    sends.until = world.now
    world.advance(200)
    assert world.ledger.missing("payers", ["orders"]) == set()
    assert had.online


@versions
async def test_a_consumer_that_begins_at_the_end_misses_nothing_on_the_target(
    version: MQVersion,
) -> None:
    world = two_clusters(version, cold=True)
    consumer(world)
    away = consumer(world, "auditors")
    world.advance(60)
    sends = producer(world)
    world.advance(40)
    run = await begun(world)
    await run.run(until=waits_at("CloseSource"))
    world.leave(away)
    world.advance(60)
    away.online = True
    assert of(await run.run()).status.phase == "Succeeded"
    sends.until = world.now
    world.advance(300)
    assert lost(world, away, "orders") == set()


@versions
async def test_queues_that_producers_left_are_consumed_first(version: MQVersion) -> None:
    world = two_clusters(version)
    had = consumer(world)
    sends = producer(world, rate=8)
    world.advance(40)
    world.leave(had)
    world.advance(40)
    for master in world.masters("a"):
        master.save_topic(msgspec.structs.replace(TOPIC, read_queue_nums=4, write_queue_nums=1))
    world.settle()
    run = await begun(world)
    cr = of(await run.run(until=waits_at("Drain", "to be consumed")))
    assert {one.queue for row in cr.status.groups for one in row.queues} > {0}
    had.online = True
    assert of(await run.run()).status.phase == "Succeeded"
    sends.until = world.now
    world.advance(300)
    assert lost(world, had, "orders") == set()


@versions
async def test_delayed_and_failed_messages_are_waited_for(version: MQVersion) -> None:
    world = two_clusters(version)
    had = consumer(world, fails=lambda message: message.tries < 2)
    sends = producer(world, level=5)
    run = await begun(world)
    assert of(await run.run()).status.phase == "Succeeded"
    sends.until = world.now
    world.advance(600)
    assert lost(world, had, "orders") == set()


@versions
@pytest.mark.parametrize("commit", [True, False])
async def test_an_open_transaction_is_waited_for(version: MQVersion, commit: bool) -> None:
    world = two_clusters(version)
    had = consumer(world)
    message, master = Stored(id="half", topic="orders"), world.masters("a")[0]
    world.prepare(master, message)
    run = await begun(world)
    await run.run(until=waits_at("Drain", "transactions"))
    world.advance(100)
    await run.reconcile()
    assert of(run.get()).status.stage == "Drain"
    world.resolve(master, message, commit=commit)
    assert of(await run.run()).status.phase == "Succeeded"
    world.advance(100)
    assert lost(world, had, "orders") == set()
    assert ("half" in world.ledger.ids("payers")) == commit


async def test_a_timer_is_waited_for() -> None:
    world = two_clusters(V5)
    had = consumer(world)
    world.advance(10)
    world.set_timer(world.masters("a")[0], Stored(id="alarm", topic="orders"), 900.0)
    run = await begun(world)
    await run.run(until=waits_at("Drain", "timer"))
    assert of(await run.run()).status.phase == "Succeeded"
    world.advance(100)
    assert "alarm" in world.ledger.ids(had.group)


@versions
async def test_keys_keep_their_order_where_producers_wait(version: MQVersion) -> None:
    world = two_clusters(version)
    consumer(world)
    sends = producer(world, keys=("x", "y", "z"))
    run = await begun(world, ordered=True)
    assert of(await run.run()).status.phase == "Succeeded"
    sends.until = world.now
    world.advance(200)
    assert world.ledger.missing("payers", ["orders"]) == set()
    assert world.ledger.key_disorder("payers") == []


async def test_an_order_configuration_goes_along_and_comes_back() -> None:
    world = two_clusters()
    consumer(world)
    producer(world)
    for server in world.name_servers.values():
        server.pairs.setdefault("ORDER_TOPIC_CONFIG", {})["orders"] = "a-0:4;a-1:4"
    pairs = [server.pairs["ORDER_TOPIC_CONFIG"] for server in world.name_servers.values()]
    run = await begun(world)
    await run.run(until=waits_at("Drain"))
    assert pairs == [{}, {}]
    run.apply(cancel=True)
    assert of(await run.run()).status.phase == "RolledBack"
    assert pairs == [{"orders": "a-0:4;a-1:4"}] * 2
    run.apply("again")
    assert of(await run.run("again")).status.phase == "Succeeded"
    assert pairs == [{"orders": "b-0:4;b-1:4"}] * 2


@versions
async def test_a_name_server_that_missed_a_change_is_told_again(version: MQVersion) -> None:
    world = two_clusters(version)
    consumer(world)
    run = await begun(world)
    deaf = world.name_servers[NAMES[1]]
    await run.run(until=waits_at("CreateGroups"))
    deaf.deaf = True
    await run.run(until=waits_at("CreateTopic", "has yet to learn"))
    world.advance(5)
    for master in world.masters("b"):  # it hears of something else, and takes all for known
        master.save_topic(TopicConfig("another"))
        deaf.versions[master.name] = master.topics_version
    deaf.deaf = False
    assert of(await run.run()).status.phase == "Succeeded"


async def test_a_step_that_is_refused_for_good_rolls_back_with_the_words_of_the_server() -> None:
    world = two_clusters()
    consumer(world)
    producer(world)
    for master in world.masters("b"):
        master.id = 7  # not a master any more, and says so
        master.version = MQVersion.V4_9_7
    before = export(world, "a")["brokers"]
    run = await begun(world)
    world.name_servers[NAMES[0]].sets["b-0"] = dict(world.name_servers[NAMES[0]].sets["b-0"])
    cr = of(await run.run())
    assert cr.status.phase == "RolledBack"
    assert "refused 5 times" in cr.status.reason
    after = export(world, "a")["brokers"]["a-0"]["topics"]["orders"]
    assert after == before["a-0"]["topics"]["orders"]


async def test_after_its_deadline_it_is_rolled_back() -> None:
    world = two_clusters()
    away = consumer(world)
    producer(world)
    world.advance(40)
    world.leave(away)
    run = await begun(world, deadlineSeconds=400)
    cr = of(await run.run(until=lambda cr: cr.status.phase == "RollingBack"))
    assert "deadlineSeconds" in cr.status.reason
    assert all(one.topics["orders"].perm for one in world.masters("a"))
    away.online = True
    assert of(await run.run()).status.phase == "RolledBack"


async def test_dead_letters_stay_and_are_told() -> None:
    world = two_clusters()
    consumer(world, fails=lambda message: message.id.endswith("-3"))
    producer(world)
    for master in world.masters("a"):
        master.groups["payers"] = SubscriptionGroup("payers", retry_max_times=0)
    run = await begun(world)
    cr = of(await run.run())
    assert cr.status.phase == "Succeeded"
    assert any("%DLQ%payers" in one for one in cr.status.kept)
    assert any("%DLQ%payers" in one.topics for one in world.masters("a"))


async def test_a_transfer_that_is_over_is_never_begun_again() -> None:
    world = two_clusters()
    consumer(world)
    run = await begun(world)
    assert of(await run.run()).status.phase == "Succeeded"
    calls = len(world.calls)
    run.apply(cancel=True)
    for _ in range(3):
        await run.reconcile()
    assert len(world.calls) == calls
    assert of(run.get()).status.phase == "Succeeded"


@versions
async def test_groups_that_the_target_had_stay_as_they_are_in_the_end(version: MQVersion) -> None:
    world = two_clusters(version)
    consumer(world)
    own = SubscriptionGroup("payers", retry_max_times=3)
    for master in world.masters("b"):
        master.groups["payers"] = own
    before = export(world, "b")["brokers"]
    run = await begun(world)
    await run.run(until=waits_at("Drain"))
    assert all(one.groups["payers"] == own for one in world.masters("b"))
    run.apply(cancel=True)
    assert of(await run.run()).status.phase == "RolledBack"
    after = export(world, "b")["brokers"]
    assert [one["groups"] for one in after.values()] == [one["groups"] for one in before.values()]


async def test_a_group_that_one_broker_knows_is_recorded_as_it_is_on_all() -> None:
    world = two_clusters()
    first, second = world.masters("a")
    for master in (first, second):
        master.groups["auditors"] = SubscriptionGroup("auditors", retry_max_times=5)
    first.offsets["orders@auditors"] = {0: 0}
    run = await begun(world)
    await run.run(until=waits_at("Recorded"))
    record = of(run.get()).status.record
    assert record is not None
    (group,) = record.groups
    assert [part.config["retryMaxTimes"] for part in group.source] == [5, 5]


@versions
async def test_what_is_made_again_on_the_source_is_closed_until_consumers_have_let_go(
    version: MQVersion,
) -> None:
    world = two_clusters(version)
    had = consumer(world, fails=lambda message: message.tries < 1)
    sends = producer(world)
    run = await begun(world)
    await run.run(until=waits_at("DeleteTopic", "see that it is gone"))
    run.apply(cancel=True)
    await run.run(until=waits_at("RestoreSource", "let go of what was deleted"))
    assert {one.topics["orders"].perm for one in world.masters("a")} == {0}
    assert of(await run.run()).status.phase == "RolledBack"
    assert {one.topics["orders"].perm for one in world.masters("a")} == {6}
    sends.until = world.now
    world.advance(600)
    assert lost(world, had, "orders") == set()


@versions
async def test_a_group_that_never_committed_is_found_by_its_consumers(version: MQVersion) -> None:
    world = two_clusters(version)
    consumer(world, "newcomers", commit_s=100_000.0)
    run = await begun(world)
    await run.run(until=waits_at("Recorded"))
    record = of(run.get()).status.record
    assert record is not None
    assert [group.name for group in record.groups] == ["newcomers"]
