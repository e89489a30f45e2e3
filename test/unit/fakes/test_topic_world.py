"""The topic world's servers answer the real Admin as real servers do, faults and versions too."""

from __future__ import annotations

import msgspec
import pytest

from fakes.topic_world import Died, Fault, at
from fakes.topic_world_clusters import NAMES, TOPIC, V4, V5, consumer, producer, two_clusters
from fakes.topic_world_export import export
from fakes.topic_world_model import SCHEDULE, Broker
from rocketmq.admin import Admin
from rocketmq.clusters import Clusters
from rocketmq.codes import MQVersion
from rocketmq.errors import (
    ConnectError,
    ConnectionLostError,
    ConsumerNotOnlineError,
    NoAnswerError,
    ServerFaultError,
    SubscriptionGroupNotExistError,
    TopicNotExistError,
    UnsupportedError,
)
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig
from rocketmq.routes import MASTER_ID


async def test_name_servers_tell_clusters_and_routes() -> None:
    world = two_clusters()
    clusters = Clusters(Admin(world), NAMES)
    info = await clusters.info()
    assert info.clusters == ("a", "b")
    assert info.masters("a") == ("a-0:10911", "a-1:10911")
    route = await clusters.topic_route("orders")
    assert [(one.broker_name, one.perm) for one in route.queue_datas] == [("a-0", 6), ("a-1", 6)]
    with pytest.raises(TopicNotExistError):
        await clusters.topic_route("payments")
    assert "orders" in await Admin(world).name_servers.topics_of_cluster(NAMES[0], "a")
    assert await Admin(world).name_servers.topics_of_cluster(NAMES[0], "b") == ()


async def test_name_servers_learn_of_a_topic_a_moment_later() -> None:
    world = two_clusters()
    admin = Admin(world)
    await admin.topics.save("b-0:10911", TOPIC)
    assert len((await admin.name_servers.topic_route(NAMES[0], "orders")).queue_datas) == 2
    world.advance(2)
    assert len((await admin.name_servers.topic_route(NAMES[0], "orders")).queue_datas) == 3


async def test_a_route_outlives_its_topic_until_name_servers_are_told() -> None:
    world = two_clusters()
    admin = Admin(world)
    for master in world.masters("a"):
        await admin.topics.delete(master.address, "orders")
    world.advance(60)
    assert (await admin.name_servers.topic_route(NAMES[0], "orders")).queue_datas
    await admin.name_servers.delete_topic(NAMES[0], "orders", cluster="b")
    assert (await admin.name_servers.topic_route(NAMES[0], "orders")).queue_datas
    await admin.name_servers.delete_topic(NAMES[0], "orders", cluster="a")
    with pytest.raises(TopicNotExistError):
        await admin.name_servers.topic_route(NAMES[0], "orders")
    assert (await admin.name_servers.topic_route(NAMES[1], "orders")).queue_datas


async def test_a_deaf_name_server_may_miss_a_change_for_ever() -> None:
    """It hears of the next change of another topic, and takes the broker for known."""
    world = two_clusters()
    admin = Admin(world)
    deaf = world.name_servers[NAMES[1]]
    deaf.deaf = True
    await admin.topics.save("b-0:10911", TOPIC)
    world.advance(2)
    deaf.deaf = False
    await admin.topics.save("b-0:10911", TopicConfig("payments"))
    world.advance(60)
    assert "b-0" in deaf.topics["payments"]
    assert "b-0" not in deaf.topics["orders"]
    await admin.topics.save("b-0:10911", msgspec.structs.replace(TOPIC, perm=4))
    world.advance(2)
    assert deaf.topics["orders"]["b-0"].perm == 4


@pytest.mark.parametrize("version", [V4, V5])
async def test_topics_are_kept_as_the_version_keeps_them(version: MQVersion) -> None:
    world = two_clusters(version)
    admin = Admin(world)
    wanted = TopicConfig("fifo", 3, 2, 4, order=True, attributes={"message.type": "FIFO"})
    await admin.topics.save("a-0:10911", wanted)
    found = await admin.topics.get("a-0:10911", "fifo")
    assert (found.read_queue_nums, found.write_queue_nums, found.perm) == (3, 2, 4)
    assert found.order is (version == V5)
    assert found.attributes == ({"message.type": "FIFO"} if version == V5 else {})
    assert "fifo" in (await admin.topics.all("a-0:10911")).topic_config_table
    stats = await admin.topics.stats("a-0:10911", "fifo")
    assert len(stats.offset_table) == (3 if version == V5 else 2)
    with pytest.raises(Exception, match="system topic"):
        await admin.topics.save("a-0:10911", TopicConfig(SCHEDULE))


@pytest.mark.parametrize("version", [V4, V5])
async def test_4x_keeps_the_offsets_of_a_deleted_topic(version: MQVersion) -> None:
    world = two_clusters(version)
    admin = Admin(world)
    await admin.groups.save("a-0:10911", SubscriptionGroup("payers"))
    await admin.offsets.commit("a-0:10911", "payers", "orders", 1, offset=7)
    await admin.topics.delete("a-0:10911", "orders")
    kept = (await admin.offsets.all("a-0:10911")).of("orders", "payers")
    assert kept == ({1: 7} if version == V4 else {})
    if version == V4:
        await admin.offsets.commit("a-0:10911", "payers", "orders", 1, offset=0)
        return
    with pytest.raises(TopicNotExistError):
        await admin.offsets.commit("a-0:10911", "payers", "orders", 1, offset=0)
    with pytest.raises(SubscriptionGroupNotExistError):
        await admin.offsets.commit("a-1:10911", "others", "orders", 1, offset=0)


@pytest.mark.parametrize("version", [V4, V5])
async def test_groups_are_found_by_offsets_and_by_who_is_online(version: MQVersion) -> None:
    world = two_clusters(version)
    admin = Admin(world)
    consumer(world, commit_at=5.0)
    world.advance(3)
    # Before the first commit 5.3.3 knows the groups of a topic by a wrong name alone.
    first = await admin.topics.groups("a-0:10911", "orders")
    assert first == (("payers",) if version == V4 else ("orders",))
    world.advance(3)
    assert "payers" in await admin.topics.groups("a-0:10911", "orders")
    assert await admin.groups.consumer_ids("a-0:10911", "payers") == ("payers@1",)
    connection = await admin.groups.consumer_connection("a-0:10911", "payers")
    assert connection is not None
    assert set(connection.subscription_table) == {"orders", "%RETRY%payers"}
    assert await admin.groups.consumer_connection("b-0:10911", "payers") is None
    assert await admin.groups.consumer_ids("b-0:10911", "payers") == ()
    assert "payers" in (await admin.groups.all("a-0:10911")).subscription_group_table
    await admin.groups.delete("a-0:10911", "payers", with_offsets=True)
    with pytest.raises(SubscriptionGroupNotExistError):
        await admin.groups.get("a-0:10911", "payers")
    world.advance(60)
    assert (await admin.groups.get("a-0:10911", "payers")).group_name == "payers"


async def test_group_attributes_travel_with_signs() -> None:
    world = two_clusters()
    admin = Admin(world)
    first = SubscriptionGroup("payers", attributes={"a": "1", "b": "2"})
    await admin.groups.save("a-0:10911", first)
    second = msgspec.structs.replace(first, attributes={"b": "3"}, retry_max_times=4)
    await admin.groups.save("a-0:10911", second, replaced=first)
    found = await admin.groups.get("a-0:10911", "payers")
    assert (found.attributes, found.retry_max_times) == ({"b": "3"}, 4)


async def test_progress_counts_what_was_never_committed_whole() -> None:
    world = two_clusters()
    admin = Admin(world)
    producer(world, rate=8, until=11.0)
    world.advance(12)
    await admin.groups.save("a-0:10911", SubscriptionGroup("payers"))
    await admin.offsets.commit("a-0:10911", "payers", "orders", 0, offset=1)
    stats = await admin.groups.consume_stats("a-0:10911", "payers", topic="orders")
    stored = sum(world.brokers["a-0:10911"].end("orders", queue) for queue in range(4))
    assert stats.lag == stored - 1
    assert stored == 40
    assert await admin.topics.max_offset("a-0:10911", "orders", 0) == 10
    assert await admin.offsets.committed("a-0:10911", "payers", "orders", 3) is None
    assert "payers" in (await admin.groups.broker_consume_stats("a-0:10911")).by_group


async def test_slaves_follow_their_master_and_some_refuse_writes() -> None:
    world = two_clusters(MQVersion.V4_9_7)
    slave = world.broker(
        Broker(
            cluster="a",
            name="a-0",
            id=1,
            address="a-0-1:10911",
            name_servers=NAMES,
            version=MQVersion.V4_9_7,
        )
    )
    world.advance(10)
    admin = Admin(world)
    assert (await admin.topics.get(slave.address, "orders")).read_queue_nums == 4
    assert (await Clusters(admin, NAMES).info()).replicas("a") == (slave.address,)
    with pytest.raises(ServerFaultError, match="slave"):
        await admin.topics.save(slave.address, TopicConfig("payments"))
    assert slave.id != MASTER_ID


async def test_a_broker_that_ends_is_in_no_route_and_comes_back() -> None:
    world = two_clusters()
    admin = Admin(world)
    broker = world.masters("a")[0]
    world.end(broker)
    with pytest.raises(ConnectError):
        await admin.topics.all(broker.address)
    route = await admin.name_servers.topic_route(NAMES[0], "orders")
    assert [one.broker_name for one in route.queue_datas] == ["a-1"]
    world.begin(broker)
    world.advance(2)
    route = await admin.name_servers.topic_route(NAMES[0], "orders")
    assert [one.broker_name for one in route.queue_datas] == ["a-0", "a-1"]


async def test_a_name_server_that_restarts_knows_nothing_for_half_a_minute() -> None:
    world = two_clusters()
    world.restart(world.name_servers[NAMES[0]])
    assert (await Admin(world).name_servers.cluster_info(NAMES[0])).clusters == ()
    world.advance(31)
    assert (await Admin(world).name_servers.cluster_info(NAMES[0])).clusters == ("a", "b")


async def test_a_broker_s_permission_is_in_its_routes() -> None:
    for version, perm in ((V4, 4), (V5, 0)):
        world = two_clusters(version)
        admin = Admin(world)
        await admin.topics.save("a-0:10911", msgspec.structs.replace(TOPIC, perm=2))
        await admin.brokers.update_settings("a-0:10911", {"brokerPermission": "4"})
        world.advance(2)
        route = await admin.name_servers.topic_route(NAMES[0], "orders")
        assert {one.broker_name: one.perm for one in route.queue_datas} == {"a-0": perm, "a-1": 6}


async def test_faults_come_before_or_after_the_effect() -> None:
    cases = (
        (Fault.REFUSED, ConnectError, False),
        (Fault.CUT, ConnectionLostError, False),
        (Fault.SILENT, NoAnswerError, False),
        (Fault.LOST, ConnectionLostError, True),
        (Fault.DIES, Died, False),
        (Fault.DIED, Died, True),
    )
    for fault, error, done in cases:
        world = two_clusters()
        world.faults = at(1, fault)
        admin = Admin(world)
        await admin.topics.all("b-0:10911")
        with pytest.raises(error):
            await admin.topics.save("b-0:10911", TOPIC)
        assert ("orders" in world.brokers["b-0:10911"].topics) is done
        if error is Died:
            with pytest.raises(Died):
                await admin.topics.all("b-0:10911")
            world.successor()
        assert await admin.topics.all("b-0:10911")


async def test_silent_servers_and_old_versions_say_so() -> None:
    world = two_clusters(V4)
    admin = Admin(world)
    world.brokers["a-0:10911"].silent = True
    with pytest.raises(NoAnswerError):
        await admin.topics.all("a-0:10911")
    with pytest.raises(UnsupportedError):
        await admin.brokers.ha_status("a-1:10911")
    with pytest.raises(ConsumerNotOnlineError):
        await admin.offsets.reset("a-1:10911", "payers", "orders", -1)


async def test_an_export_is_equal_when_everything_was_put_back() -> None:
    for version in (V4, V5):
        world = two_clusters(version)
        admin = Admin(world)
        await admin.groups.save("a-0:10911", SubscriptionGroup("payers"))
        await admin.offsets.commit("a-0:10911", "payers", "orders", 0, offset=3)
        before = (export(world, "a"), export(world, "b"))
        await admin.topics.save("b-0:10911", TOPIC)
        world.advance(2)
        assert export(world, "b") != before[1]
        await admin.topics.delete("b-0:10911", "orders")
        assert export(world, "b") != before[1]
        for address in NAMES:
            await admin.name_servers.delete_topic(address, "orders", cluster="b")
        assert (export(world, "a"), export(world, "b")) == before
