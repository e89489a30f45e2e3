"""What a slave has from its master: messages at once, topics when it next asks for them.

A 4.9 slave asks every 10 seconds, one of 5.x once a minute, so these run late.
"""

from __future__ import annotations

import pytest

from fakes.rocketmq_client import soon
from fakes.rocketmq_servers import Servers
from rocketmq.admin import Admin
from rocketmq.messages.clients import Pull
from rocketmq.messages.topics import TopicConfig

pytestmark = pytest.mark.late

_WITHIN_S = 100.0


async def test_a_slave_has_the_topics_of_its_master(
    servers: Servers, admin: Admin, early_topic: TopicConfig
) -> None:
    async def heard_of() -> None:
        assert await admin.topics.get(servers.slave, early_topic.topic_name) == early_topic

    await soon(heard_of, within_s=_WITHIN_S)


async def test_a_slave_gives_out_the_messages_that_it_has_copied(
    servers: Servers, admin: Admin, early_topic: TopicConfig
) -> None:
    asked = Pull(group="TOOLS_CONSUMER", topic=early_topic.topic_name, queue_id=0, offset=0)

    async def copied() -> None:
        pulled = await admin.clients.pull(servers.slave, asked)
        assert [one.body for one in pulled.messages] == [b"copied"]

    await soon(copied, within_s=_WITHIN_S)


async def test_a_slave_that_has_caught_up_has_its_masters_end_of_the_log(
    servers: Servers, admin: Admin
) -> None:
    async def caught_up() -> None:
        master = await admin.brokers.runtime_info(servers.master)
        slave = await admin.brokers.runtime_info(servers.slave)
        assert slave.commit_log_max_offset == master.commit_log_max_offset > 0
        if servers.release.five:
            status = await admin.brokers.ha_status(servers.master)
            assert [(one.diff, one.in_sync) for one in status.ha_connection_info] == [(0, True)]

    await soon(caught_up)
