"""Sending, pulling, heartbeats."""

from __future__ import annotations

import zlib

import msgspec
import pytest

from fakes.rocketmq_client import fresh, heartbeat, outgoing, sent, soon
from fakes.rocketmq_servers import Servers
from rocketmq.admin import Admin
from rocketmq.errors import ResponseError, TopicNotExistError
from rocketmq.messages.clients import Pull, Pulled, PullStatus
from rocketmq.messages.stored import uncompressed


async def test_what_is_sent_is_pulled_as_it_was(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    body = "käse \x00 💧".encode()
    message = outgoing(topic, body, TAGS="a", KEYS="k1 k2", own="wert=ü")
    told = await admin.clients.send(servers.master, message)
    assert (told.queue_id, told.queue_offset, told.doubt) == (0, 0, None)
    pulled = await _pulled(admin, servers, group, topic)
    (found,) = pulled.messages
    assert (found.topic, found.queue_id, found.offset, found.body) == (topic, 0, 0, body)
    assert (found.tags, found.keys) == ("a", ("k1", "k2"))
    assert found.properties["own"] == "wert=ü"
    assert found.born_timestamp == message.born_timestamp
    assert found.body_crc == zlib.crc32(body) & 0x7FFFFFFF
    assert (pulled.next_offset, pulled.min_offset, pulled.max_offset) == (1, 0, 1)


async def test_a_compressed_body_is_left_as_it_is_and_can_be_read(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    packed = zlib.compress(b"text " * 100)
    message = msgspec.structs.replace(outgoing(topic, packed), sys_flag=1)
    await admin.clients.send(servers.master, message)
    (found,) = (await _pulled(admin, servers, group, topic)).messages
    assert found.body == packed
    assert uncompressed(found) == b"text " * 100


async def test_many_messages_come_in_their_order(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    await sent(admin, servers.master, topic, *(f"{number}".encode() for number in range(10)))
    await _dispatched(admin, servers, topic, 10)
    pulled = await _pulled(admin, servers, group, topic)
    assert [one.body for one in pulled.messages] == [b"%d" % number for number in range(10)]


async def test_a_pull_at_the_end_and_one_past_it_say_where_to_go_on(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    await sent(admin, servers.master, topic, b"1")
    await _dispatched(admin, servers, topic, 1)
    end = await _pulled(admin, servers, group, topic, offset=1)
    assert (end.status, end.next_offset) == (PullStatus.NOTHING_NEW, 1)
    past = await _pulled(admin, servers, group, topic, offset=100)
    assert (past.status, past.next_offset, past.messages) == (PullStatus.OFFSET_MOVED, 1, ())


async def test_a_filtered_pull_goes_on_after_what_it_left_out(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    await admin.clients.send(servers.master, outgoing(topic, b"1", TAGS="other"))
    await _dispatched(admin, servers, topic, 1)
    asked = Pull(group=group, topic=topic, queue_id=0, offset=0, subscription="wanted")
    pulled = await admin.clients.pull(servers.master, asked)
    assert (pulled.status, pulled.next_offset) == (PullStatus.FILTERED, 1)


async def test_a_long_pull_waits_for_a_message(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    asked = Pull(group=group, topic=topic, queue_id=0, offset=0, suspend_ms=500)
    pulled = await admin.clients.pull(servers.master, asked)
    assert pulled.messages == ()


async def test_sending_to_an_unknown_topic_queue_or_slave_is_refused(
    servers: Servers, admin: Admin, topic: str
) -> None:
    missing = outgoing("TBW102-nowhere", b"1")
    await admin.brokers.update_settings(servers.master, {"autoCreateTopicEnable": "false"})
    with pytest.raises(TopicNotExistError):
        await admin.clients.send(servers.master, missing)
    beyond = msgspec.structs.replace(outgoing(topic, b"1"), queue_id=99)
    with pytest.raises(ResponseError, match="queueId"):
        await admin.clients.send(servers.master, beyond)
    with pytest.raises(ResponseError) as caught:
        await admin.clients.send(servers.slave, outgoing(topic, b"1"))
    assert caught.value.retriable


async def test_a_heartbeat_is_taken_and_taken_back(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    client = fresh("client")
    await admin.clients.heartbeat(servers.master, heartbeat(client, group, topic))
    await admin.clients.unregister(servers.master, client, consumer_group=group)
    assert await admin.groups.consumer_ids(servers.master, group) == ()


async def _dispatched(admin: Admin, servers: Servers, topic: str, count: int) -> None:
    """A message is stored first and in its queue a moment later."""

    async def there() -> None:
        assert await admin.topics.max_offset(servers.master, topic, 0) == count

    await soon(there)


async def _pulled(
    admin: Admin, servers: Servers, group: str, topic: str, *, offset: int = 0
) -> Pulled:
    asked = Pull(group=group, topic=topic, queue_id=0, offset=offset, suspend_ms=2000)
    return await admin.clients.pull(servers.master, asked)
