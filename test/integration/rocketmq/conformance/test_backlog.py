"""What a broker holds, counted on real brokers: nothing is overlooked on its way."""

from __future__ import annotations

import time

import msgspec
import pytest

from fakes.rocketmq_client import fresh, heartbeat, outgoing, sent, soon
from fakes.rocketmq_servers import Servers
from rocketmq.admin import Admin
from rocketmq.backlog import REVIVED_S, Backlog, Broadcast, Left, Waiting
from rocketmq.calls import Request
from rocketmq.codes import RequestCode
from rocketmq.draining import read_backlog
from rocketmq.messages.clients import Outgoing, Sent
from rocketmq.messages.operation import header
from rocketmq.messages.topics import TopicConfig
from rocketmq.pool import Pool
from rocketmq.system_names import retry_topic

_PREPARED, _COMMIT = 4, 8


async def _backlog(admin: Admin, servers: Servers, topic: str) -> Backlog:
    return await read_backlog(admin, servers.master, topics={topic})


async def _row(admin: Admin, servers: Servers, topic: str, group: str) -> Waiting:
    rows = (await _backlog(admin, servers, topic)).waiting
    (row,) = [one for one in rows if (one.topic, one.group) == (topic, group)]
    return row


async def test_messages_that_a_group_has_not_consumed(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    await sent(admin, servers.master, topic, b"1", b"2", b"3")
    upper = msgspec.structs.replace(outgoing(topic, b"4"), queue_id=3)
    await admin.clients.send(servers.master, upper)

    async def unread() -> None:
        assert (await _backlog(admin, servers, topic)).unread == (Left(topic, 4),)

    await soon(unread)
    await admin.offsets.commit(servers.master, group, topic, 0, offset=1)
    # Producers use one queue from now on, and 4.9 leaves the others out of the statistics.
    before = await admin.topics.get(servers.master, topic)
    await admin.topics.save(
        servers.master, TopicConfig(topic, read_queue_nums=4, write_queue_nums=1), replaced=before
    )
    row = await _row(admin, servers, topic, group)
    assert (row.messages, row.online, row.queues) == (3, False, {0: 2, 3: 1})


async def test_consumers_are_seen_while_they_are_connected(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    await sent(admin, servers.master, topic, b"1")
    client = fresh("client")
    await admin.clients.heartbeat(servers.master, heartbeat(client, group, topic))

    async def there(*, online: bool) -> None:
        rows = (await _backlog(admin, servers, topic)).waiting
        assert [one.online for one in rows if one.topic == topic] == [online]

    await soon(lambda: there(online=True))
    await admin.offsets.commit(servers.master, group, topic, 0, offset=0)
    await admin.clients.unregister(servers.master, client, consumer_group=group)
    await soon(lambda: there(online=False))


async def test_broadcasting_consumers_are_named(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    await sent(admin, servers.master, topic, b"1")
    beat = heartbeat(fresh("client"), group, topic)
    data = msgspec.structs.replace(beat.consumers[0], message_model="BROADCASTING")
    beat = msgspec.structs.replace(beat, consumers=(data,))
    await admin.clients.heartbeat(servers.master, beat)
    found = await _backlog(admin, servers, topic)
    assert Broadcast(topic, group) in found.broadcasts
    assert (found.waiting, found.unread) == ((), ())
    await admin.clients.unregister(servers.master, beat.client_id, consumer_group=group)


async def test_delayed_messages_wait_for_their_time(
    servers: Servers, admin: Admin, topic: str
) -> None:
    before = (await _backlog(admin, servers, topic)).delayed
    await admin.clients.send(servers.master, outgoing(topic, b"later", DELAY="2"))

    async def pending() -> None:
        assert (await _backlog(admin, servers, topic)).delayed == before + 1

    async def delivered() -> None:
        found = await _backlog(admin, servers, topic)
        assert found.unread == (Left(topic, 1),)
        assert found.delayed == before

    await soon(pending)
    await soon(delivered)


async def test_timer_messages_wait_in_the_wheel(servers: Servers, admin: Admin, topic: str) -> None:
    if not servers.release.five:
        assert (await _backlog(admin, servers, topic)).timed == 0
        return
    due = str(int(time.time() * 1000) + 4000)
    await admin.clients.send(servers.master, outgoing(topic, b"later", TIMER_DELIVER_MS=due))
    # In the wheel or on the way there at every moment, from the answer on.
    while not (await _backlog(admin, servers, topic)).unread:
        found = await _backlog(admin, servers, topic)
        assert found.timed or found.unread or not found.is_still or time.time() * 1000 > float(due)


async def test_half_messages_wait_until_they_are_ended(
    servers: Servers, admin: Admin, pool: Pool, topic: str
) -> None:
    before = (await _backlog(admin, servers, topic)).half
    told = await admin.clients.send(servers.master, _half(topic))

    async def pending() -> None:
        assert (await _backlog(admin, servers, topic)).half == before + 1

    await soon(pending)
    await pool.call(servers.master, _ended(told))

    async def ended() -> None:
        found = await _backlog(admin, servers, topic)
        assert (found.half, found.unread) == (before, (Left(topic, 1),))

    await soon(ended, within_s=90.0)  # the broker looks for ends again and again, and in batches


async def test_messages_that_were_sent_back_wait_to_be_tried_again(
    servers: Servers, admin: Admin, pool: Pool, topic: str, group: str
) -> None:
    (told,) = await sent(admin, servers.master, topic, b"again")
    await admin.offsets.commit(servers.master, group, topic, 0, offset=1)
    fields = header(
        offset=int(told.message_id[16:], 16),
        group=group,
        delayLevel=1,
        originMsgId=told.message_id,
        originTopic=topic,
        unitMode=False,
        maxReconsumeTimes=16,
    )
    await pool.call(servers.master, Request(RequestCode.CONSUMER_SEND_MSG_BACK, fields))
    found = await _backlog(admin, servers, topic)
    assert found.delayed or found.waiting or not found.is_still

    async def waits() -> None:
        rows = (await _backlog(admin, servers, topic)).waiting
        found = [(one.group, one.messages) for one in rows if one.topic == retry_topic(group)]
        assert found == [(group, 1)]

    await soon(waits)


async def test_popped_messages_wait_until_they_are_acknowledged(
    servers: Servers, admin: Admin, pool: Pool, topic: str, group: str
) -> None:
    if not servers.release.five:
        pytest.skip("4.9 knows no pop")
    await sent(admin, servers.master, topic, b"popped")
    await soon(lambda: _popped(pool, servers, topic, group))
    assert not any(row.topic == topic for row in (await _backlog(admin, servers, topic)).waiting)
    began, empty_since, gap = time.monotonic(), 0.0, 0.0
    while time.monotonic() - began < 60:
        found = await _backlog(admin, servers, topic)
        if any(group in row.topic for row in found.waiting) or any(
            group in left.topic for left in found.unread
        ):
            break
        if found.timed or found.delayed:
            empty_since = 0.0
        else:  # the broker's hands alone hold it
            empty_since = empty_since or time.monotonic()
            gap = max(gap, time.monotonic() - empty_since)
    else:
        raise AssertionError("it never came back")
    assert gap < REVIVED_S / 2, gap
    assert found.revivals


async def _popped(pool: Pool, servers: Servers, topic: str, group: str) -> None:
    fields = header(
        consumerGroup=group,
        topic=topic,
        queueId=0,
        maxMsgNums=1,
        invisibleTime=10_000,
        pollTime=500,
        bornTime=int(time.time() * 1000),
        initMode=0,
        expType="TAG",
        exp="*",
        order=False,
    )
    answer = await pool.call(servers.master, Request(RequestCode.POP_MESSAGE, fields))
    assert answer.body


def _half(topic: str) -> Outgoing:
    message = outgoing(topic, b"half", TRAN_MSG="true", PGROUP="producers", UNIQ_KEY=fresh("key"))
    now = int(time.time() * 1000)
    return msgspec.structs.replace(message, sys_flag=_PREPARED, born_timestamp=now)


def _ended(told: Sent) -> Request:
    fields = header(
        producerGroup="producers",
        tranStateTableOffset=told.queue_offset,
        commitLogOffset=int(told.message_id[16:], 16),
        commitOrRollback=_COMMIT,
        fromTransactionCheck=False,
        msgId="",
        transactionId="",
    )
    return Request(RequestCode.END_TRANSACTION, fields)
