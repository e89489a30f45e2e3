"""Operations on topics."""

from __future__ import annotations

import msgspec
import pytest

from fakes.rocketmq_client import fresh, sent, soon
from fakes.rocketmq_servers import Servers
from rocketmq.admin import Admin
from rocketmq.clusters import Clusters
from rocketmq.errors import ResponseError, TopicNotExistError, UnsupportedError
from rocketmq.fastjson import MessageQueue
from rocketmq.messages.topics import TopicConfig
from rocketmq.system_names import user_topics


async def test_a_topic_is_saved_as_given_and_changed(servers: Servers, admin: Admin) -> None:
    config = TopicConfig(
        fresh("orders"),
        read_queue_nums=3,
        write_queue_nums=2,
        perm=4,
        order=servers.release.five,  # 4.9.7 does not keep it, whatever the request says
    )
    await admin.topics.save(servers.master, config)
    assert await admin.topics.get(servers.master, config.topic_name) == config
    table = (await admin.topics.all(servers.master)).topic_config_table
    assert table[config.topic_name] == config
    changed = msgspec.structs.replace(config, perm=6)
    await admin.topics.save(servers.master, changed, replaced=config)
    assert await admin.topics.get(servers.master, config.topic_name) == changed


async def test_attributes_are_kept_and_an_immutable_one_is_not_sent_again(
    servers: Servers, admin: Admin
) -> None:
    kept = {"queue.type": "SimpleCQ", "message.type": "FIFO"} if servers.release.five else {}
    config = TopicConfig(fresh("typed"), attributes={"queue.type": "SimpleCQ", **kept})
    await admin.topics.save(servers.master, config)
    found = await admin.topics.get(servers.master, config.topic_name)
    assert found.attributes == kept
    if not servers.release.five:
        return
    fewer = msgspec.structs.replace(config, perm=4, attributes={"queue.type": "SimpleCQ"})
    await admin.topics.save(servers.master, fewer, replaced=found)
    assert await admin.topics.get(servers.master, config.topic_name) == fewer
    with pytest.raises(ResponseError, match=r"queue\.type"):
        await admin.topics.save(servers.master, fewer)


async def test_many_topics_are_created_at_once_from_5_3_on(servers: Servers, admin: Admin) -> None:
    typed = TopicConfig(
        fresh("many"),
        read_queue_nums=3,
        write_queue_nums=2,
        perm=4,
        order=True,
        attributes={"queue.type": "SimpleCQ", "message.type": "FIFO"},
    )
    plain, late = TopicConfig(fresh("many")), TopicConfig(fresh("many"))
    if not servers.release.five:
        with pytest.raises(UnsupportedError):
            await admin.topics.create_all(servers.master, [plain])
        return
    await admin.topics.create_all(servers.master, [typed, plain])
    table = (await admin.topics.all(servers.master)).topic_config_table
    assert (table[typed.topic_name], table[plain.topic_name]) == (typed, plain)
    if servers.version == "5.3.3":
        # Why only topics that are not there are created so.
        await admin.topics.create_all(servers.master, [plain, late])
        with pytest.raises(TopicNotExistError):
            await admin.topics.get(servers.master, late.topic_name)


async def test_a_bad_name_is_refused(servers: Servers, admin: Admin) -> None:
    with pytest.raises(ResponseError, match="topic"):
        await admin.topics.save(servers.master, TopicConfig("not a name"))


async def test_an_unknown_topic_is_its_own_error(servers: Servers, admin: Admin) -> None:
    for ask in (admin.topics.get, admin.topics.stats):
        with pytest.raises(TopicNotExistError, match=servers.master):
            await ask(servers.master, "nowhere")
    assert await admin.topics.max_offset(servers.master, "nowhere", 0) == 0


async def test_offsets_of_queues(servers: Servers, admin: Admin, topic: str) -> None:
    await sent(admin, servers.master, topic, b"1", b"2", b"3")

    async def counted() -> None:
        stats = await admin.topics.stats(servers.master, topic)
        queue = stats.offset_table[MessageQueue(topic, "broker-a", 0)]
        assert (queue.min_offset, queue.max_offset) == (0, 3)
        assert queue.last_update_timestamp > 0
        assert len(stats.offset_table) == 4

    await soon(counted)
    assert await admin.topics.max_offset(servers.master, topic, 0) == 3
    assert await admin.topics.min_offset(servers.master, topic, 0) == 0
    assert await admin.topics.offset_at(servers.master, topic, 0, 0) == 0


async def test_the_servers_own_topics_are_told_from_ours(
    servers: Servers, admin: Admin, topic: str
) -> None:
    listed = await admin.topics.system_topics(servers.master)
    assert {"SCHEDULE_TOPIC_XXXX", "plain", "broker-a"} <= set(listed)
    table = (await admin.topics.all(servers.master)).topic_config_table
    ours = user_topics(table, clusters=("plain",), listed=listed)
    assert topic in ours
    assert [name for name in ours if "-" not in name] == []


async def test_who_consumes_a_topic(servers: Servers, admin: Admin, topic: str, group: str) -> None:
    await admin.offsets.commit(servers.master, group, topic, 0, offset=0)
    assert await admin.topics.groups(servers.master, topic) == (group,)
    found = await Clusters(admin, servers.name_servers).groups_of_topic(topic)
    assert found.values == {servers.master: (group,)}


async def test_a_topic_of_a_whole_cluster_comes_and_goes(servers: Servers, admin: Admin) -> None:
    clusters = Clusters(admin, servers.name_servers)
    config = TopicConfig(fresh("everywhere"))
    assert (await clusters.save_topic("plain", config)).values == {servers.master: None}
    await soon(lambda: clusters.topic_route(config.topic_name))
    gone = await clusters.delete_topic("plain", config.topic_name)
    assert set(gone.values) == {servers.master, *servers.name_servers}
    assert gone.complete
    with pytest.raises(TopicNotExistError):
        await admin.topics.get(servers.master, config.topic_name)

    async def unrouted() -> None:
        with pytest.raises(TopicNotExistError):
            await clusters.topic_route(config.topic_name)

    await soon(unrouted)


async def test_deleting_a_topic_twice_is_no_error(
    servers: Servers, admin: Admin, topic: str
) -> None:
    await admin.topics.delete(servers.master, topic)
    await admin.topics.delete(servers.master, topic)
    with pytest.raises(TopicNotExistError):
        await admin.topics.stats(servers.master, topic)
