"""In the topic world a careless transfer loses what it would lose of a real cluster."""

from __future__ import annotations

import msgspec

from fakes.topic_world_clients import FIRST
from fakes.topic_world_clusters import NAMES, TOPIC, V4, consumer, producer, two_clusters
from fakes.topic_world_export import lost, obtainable
from fakes.topic_world_model import SCHEDULE, Stored
from rocketmq.admin import Admin
from rocketmq.messages.groups import SubscriptionGroup


async def test_under_load_every_message_comes_once_and_in_order() -> None:
    world = two_clusters()
    shop = producer(world, rate=5, keys=("x", "y", "z"))
    one, two = (consumer(world, client_id=client) for client in ("p-1", "p-2"))
    world.advance(100)
    shop.until = world.now
    world.advance(60)
    assert len(world.ledger.acknowledged) == 5 * 100
    assert world.ledger.missing("payers", ["orders"]) == set()
    assert world.ledger.disorder("payers") == []
    assert world.ledger.key_disorder("payers") == []
    assert lost(world, one, "orders") == lost(world, two, "orders") == set()


async def test_a_topic_that_is_deleted_with_messages_loses_them() -> None:
    world = two_clusters()
    shop = producer(world, rate=5, until=21.0)
    payer = consumer(world, online=False)
    world.advance(30)
    assert len(obtainable(world, payer, "orders")) == len(world.ledger.acknowledged) == 5 * 20
    for master in world.masters("a"):
        master.delete_topic("orders")
    assert lost(world, payer, "orders") == set(world.ledger.acknowledged)
    assert shop.idle


async def test_a_stale_offset_of_4x_skips_what_comes_to_the_topic_later() -> None:
    world = two_clusters(V4)
    shop = producer(world, rate=8)
    payer = consumer(world)
    world.advance(20)
    shop.until = world.now
    world.advance(30)
    world.leave(payer)
    for master in world.masters("a"):
        master.delete_topic("orders")
        master.save_topic(TOPIC)
    shop.until = world.now + 61
    world.advance(70)
    payer.online = True
    world.advance(60)
    assert lost(world, payer, "orders")


async def test_a_late_send_brings_a_deleted_topic_back_where_brokers_make_topics() -> None:
    for auto in (True, False):
        world = two_clusters(auto_topics=auto)
        shop = producer(world)
        world.advance(10)
        for master in world.masters("a"):
            master.delete_topic("orders")
        world.advance(10)
        assert ("orders" in world.masters("a")[0].topics) is auto
        assert shop.idle is auto


async def test_a_producer_without_a_route_uses_brokers_that_make_topics() -> None:
    world = two_clusters(topic=False)
    producer(world, until=5.0)
    world.advance(10)
    assert set(world.name_servers[NAMES[0]].topics["orders"]) <= {"a-0", "a-1", "b-0", "b-1"}
    assert len(world.ledger.acknowledged) == 8


async def test_producers_obey_the_route_they_have_and_not_the_broker() -> None:
    world = two_clusters()
    producer(world)
    world.advance(5)
    admin = Admin(world)
    for master in world.masters("a"):
        await admin.topics.save(master.address, msgspec.structs.replace(TOPIC, perm=4))
    before = len(world.ledger.acknowledged)
    world.advance(10)
    during = len(world.ledger.acknowledged)
    assert during > before
    world.advance(30)
    after = len(world.ledger.acknowledged)
    world.advance(30)
    assert len(world.ledger.acknowledged) == after


async def test_delayed_messages_come_late_and_to_nobody_if_the_topic_is_gone() -> None:
    world = two_clusters()
    producer(world, level=4, until=4.0)
    payer = consumer(world)
    world.advance(10)
    admin = Admin(world)
    delayed = [await admin.topics.max_offset(f"a-{one}:10911", SCHEDULE, 3) for one in (0, 1)]
    assert sum(delayed) == 6
    assert (await admin.offsets.delayed("a-0:10911")) == {4: 0}
    table = (await admin.brokers.runtime_info("a-0:10911")).table
    assert table["scheduleMessageOffset_4"].startswith("0,")
    assert world.ledger.missing("payers", ["orders"])
    assert lost(world, payer, "orders") == set()
    world.advance(60)
    assert world.ledger.missing("payers", ["orders"]) == set()
    assert (await admin.offsets.delayed("a-0:10911"))[4] > 0

    late = producer(world, level=4, name="late")
    late.until = world.now + 3
    world.advance(5)
    for master in world.masters("a"):
        master.delete_topic("orders")
    assert lost(world, payer, "orders")


async def test_what_a_consumer_fails_comes_again_and_ends_as_a_dead_letter() -> None:
    world = two_clusters()
    producer(world, until=3.0)
    payer = consumer(world, from_where=FIRST)
    payer.fails = lambda message: message.tries < 1
    world.advance(60)
    assert world.ledger.missing("payers", ["orders"]) == set()
    payer.fails = lambda _: True
    for broker in world.masters("a"):
        broker.save_group(SubscriptionGroup("payers", retry_max_times=1))
    producer(world, name="late", until=world.now + 3)
    world.advance(100)
    assert any("%DLQ%payers" in broker.topics for broker in world.masters("a"))
    assert world.ledger.missing("payers", ["orders"])
    assert lost(world, payer, "orders") == set()


async def test_timers_and_half_messages_wait_in_the_brokers_own_queues() -> None:
    world = two_clusters()
    payer = consumer(world, from_where=FIRST)
    broker = world.masters("a")[0]
    admin = Admin(world)
    world.set_timer(broker, Stored(id="t-1", topic="orders"), 40.0)
    half = Stored(id="h-1", topic="orders")
    world.prepare(broker, half)
    world.advance(31)
    assert (await admin.brokers.runtime_info(broker.address)).table["timerCongestNum"] == "1"
    half_topic = "RMQ_SYS_TRANS_HALF_TOPIC"
    assert await admin.topics.max_offset(broker.address, half_topic, 0) == 1
    offsets = (await admin.offsets.all(broker.address)).of(half_topic, "CID_RMQ_SYS_TRANS")
    assert offsets == {0: 0}
    world.resolve(broker, half, commit=True)
    world.advance(60)
    assert (await admin.brokers.runtime_info(broker.address)).table["timerCongestNum"] == "0"
    offsets = (await admin.offsets.all(broker.address)).of(half_topic, "CID_RMQ_SYS_TRANS")
    assert offsets == {0: 1}
    assert world.ledger.ids("payers") == {"t-1", "h-1"}
    assert lost(world, payer, "orders") == set()


async def test_who_heard_no_answer_sends_again() -> None:
    world = two_clusters()
    shop = producer(world, until=6.0)
    shop.doubts = lambda id_: id_.endswith("-3")
    consumer(world)
    world.advance(60)
    assert world.ledger.stored_twice() == 1
    assert world.ledger.duplicates("payers") == 1


async def test_a_consumer_that_is_killed_has_messages_again() -> None:
    world = two_clusters()
    producer(world, rate=8)
    payer = consumer(world, commit_s=1000.0)
    world.advance(30)
    world.leave(payer, committing=False)
    payer.online = True
    world.advance(30)
    assert world.ledger.duplicates("payers") > 50
    assert lost(world, payer, "orders") == set()


async def test_who_never_committed_begins_at_the_end_of_a_cold_queue() -> None:
    for cold in (False, True):
        world = two_clusters(cold=cold)
        producer(world, until=5.0)
        world.advance(10)
        consumer(world)
        world.advance(30)
        assert bool(world.ledger.missing("payers", ["orders"])) is cold


async def test_a_consumer_that_was_moved_away_stays_connected_for_two_minutes() -> None:
    world = two_clusters()
    consumer(world)
    world.advance(40)
    for broker in world.masters("a"):
        broker.delete_topic("orders")
        broker.delete_topic("%RETRY%payers")
    for broker in world.masters("b"):
        broker.save_topic(TOPIC)
        broker.make_group_topic("%RETRY%payers")
    for server in world.name_servers.values():
        server.delete_topic("orders", "a")
        server.delete_topic("%RETRY%payers", "a")
    world.settle()
    world.advance(60)
    assert world.masters("a")[0].online("payers")
    assert world.masters("b")[0].online("payers")
    world.advance(90)
    assert not world.masters("a")[0].online("payers")
