"""Operations on consumer offsets."""

from __future__ import annotations

import pytest

from fakes.rocketmq_client import fresh, heartbeat, outgoing, sent, soon
from fakes.rocketmq_servers import Servers
from rocketmq.admin import Admin
from rocketmq.errors import SubscriptionGroupNotExistError, TopicNotExistError
from rocketmq.fastjson import MessageQueue
from rocketmq.messages.groups import SubscriptionGroup


async def test_an_offset_is_committed_and_found_again(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    await sent(admin, servers.master, topic, b"1", b"2")
    broker = servers.master
    # 4.x cannot be told to say "none" for a queue whose first message is still there.
    none = None if servers.release.five else 0
    assert await admin.offsets.committed(broker, group, topic, 0) == none
    await admin.offsets.commit(broker, group, topic, 0, offset=2)
    assert await admin.offsets.committed(broker, group, topic, 0) == 2
    table = await admin.offsets.all(broker)
    assert table.of(topic, group) == {0: 2}
    assert group in table.groups
    await admin.offsets.commit(broker, group, topic, 0, offset=1)
    assert await admin.offsets.committed(broker, group, topic, 0) == 1


async def test_an_offset_for_an_unknown_topic_or_group(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    topics = admin.offsets.commit(servers.master, group, "nowhere", 0, offset=1)
    groups = admin.offsets.commit(servers.master, "nobody", topic, 0, offset=1)
    if not servers.release.five:
        await topics
        await groups
        return
    with pytest.raises(TopicNotExistError):
        await topics
    with pytest.raises(SubscriptionGroupNotExistError):
        await groups


async def test_a_group_gets_the_offsets_of_another(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    other = fresh("group")
    await admin.groups.save(servers.master, SubscriptionGroup(other))
    await sent(admin, servers.master, topic, b"1", b"2", b"3")
    await admin.offsets.commit(servers.master, group, topic, 0, offset=2)
    await admin.offsets.clone(servers.master, source=group, target=other, topic=topic)
    assert await admin.offsets.committed(servers.master, other, topic, 0) == 2


async def test_offsets_are_reset_to_the_beginning(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    broker = servers.master
    await sent(admin, broker, topic, b"1", b"2")
    for queue_id in range(4):  # 4.x wants an offset of every queue, to believe in the group
        await admin.offsets.commit(broker, group, topic, queue_id, offset=2)
    if not servers.release.five:  # 4.x tells consumers to do it: one must be there
        await admin.clients.heartbeat(broker, heartbeat(fresh("client"), group, topic))
    reset = await admin.offsets.reset(broker, group, topic, 0)
    assert reset[MessageQueue(topic, "broker-a", 0)] == 0
    if servers.release.five:
        assert await admin.offsets.committed(broker, group, topic, 0) == 0


async def test_how_far_the_broker_is_with_delayed_messages(
    servers: Servers, admin: Admin, topic: str
) -> None:
    await admin.clients.send(servers.master, outgoing(topic, b"later", DELAY="1"))

    async def delivered() -> None:
        assert (await admin.offsets.delayed(servers.master))[1] >= 1
        assert await admin.topics.max_offset(servers.master, topic, 0) == 1

    await soon(delivered)
