"""Operations on subscription groups and on the clients of a broker."""

from __future__ import annotations

import msgspec
import pytest

from fakes.rocketmq_client import fresh, heartbeat, sent, soon
from fakes.rocketmq_servers import Servers
from rocketmq.admin import Admin
from rocketmq.calls import Request
from rocketmq.clusters import Clusters
from rocketmq.codes import RequestCode
from rocketmq.errors import SubscriptionGroupNotExistError, UnsupportedError
from rocketmq.fastjson import MessageQueue
from rocketmq.messages.groups import ExponentialRetry, GroupRetryPolicy, SubscriptionGroup
from rocketmq.messages.operation import header
from rocketmq.pool import Pool
from rocketmq.system_names import is_system_group, retry_topic, user_groups


async def test_a_group_is_saved_as_given_and_changed_without_loss(
    servers: Servers, admin: Admin
) -> None:
    wanted = SubscriptionGroup(
        fresh("group"), consume_broadcast_enable=False, retry_queue_nums=2, retry_max_times=7
    )
    if servers.release.five:
        policy = GroupRetryPolicy("EXPONENTIAL", ExponentialRetry(1000, 60_000, 3))
        wanted = msgspec.structs.replace(
            wanted, group_retry_policy=policy, consume_message_orderly=True
        )
    await admin.groups.save(servers.master, wanted)
    found = await admin.groups.get(servers.master, wanted.group_name)
    assert _as_far_as(wanted, found) == wanted
    changed = msgspec.structs.replace(found, consume_enable=False)
    await admin.groups.save(servers.master, changed, replaced=found)
    assert await admin.groups.get(servers.master, wanted.group_name) == changed


async def test_many_groups_are_created_at_once_from_5_3_1_on(
    servers: Servers, admin: Admin
) -> None:
    groups = [
        SubscriptionGroup(fresh("group"), consume_enable=False, retry_max_times=7),
        SubscriptionGroup(fresh("group")),
    ]
    if not servers.release.five:
        with pytest.raises(UnsupportedError):
            await admin.groups.create_all(servers.master, groups)
        return
    await admin.groups.create_all(servers.master, groups)
    for wanted in groups:
        found = await admin.groups.get(servers.master, wanted.group_name)
        assert _as_far_as(wanted, found) == wanted
    copied = msgspec.structs.replace(found, group_name=fresh("group"))
    await admin.groups.create_all(servers.master, [copied])
    assert await admin.groups.get(servers.master, copied.group_name) == copied


async def test_the_servers_own_groups_are_told_from_ours(
    servers: Servers, admin: Admin, group: str
) -> None:
    table = (await admin.groups.all(servers.master)).subscription_group_table
    assert any(is_system_group(name) for name in table)
    ours = user_groups(table)
    assert group in ours
    assert all("group" in name for name in ours), ours


async def test_asking_for_an_unknown_group_does_not_make_it(
    servers: Servers, admin: Admin, pool: Pool
) -> None:
    name = fresh("unknown-group")
    with pytest.raises(SubscriptionGroupNotExistError):
        await admin.groups.get(servers.master, name)
    assert name not in (await admin.groups.all(servers.master)).subscription_group_table
    if servers.release.five:
        # Why GET_SUBSCRIPTIONGROUP_CONFIG is not used: on a broker with autoCreateSubscriptionGroup
        # it makes what it is asked for.
        code = RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG
        await pool.call(servers.master, Request(code, header(group=name)))
        assert name in (await admin.groups.all(servers.master)).subscription_group_table


async def test_progress_of_a_group(servers: Servers, admin: Admin, topic: str, group: str) -> None:
    await sent(admin, servers.master, topic, b"1", b"2", b"3")
    await admin.offsets.commit(servers.master, group, topic, 0, offset=1)

    async def counted() -> None:
        stats = await admin.groups.consume_stats(servers.master, group, topic=topic)
        queue = stats.offset_table[MessageQueue(topic, "broker-a", 0)]
        assert (queue.broker_offset, queue.consumer_offset, queue.lag) == (3, 1, 2)
        assert stats.lag == 2

    await soon(counted)
    assert (await admin.groups.consume_stats(servers.master, group)).lag == 2
    of_all = await admin.groups.broker_consume_stats(servers.master)
    assert sum(stats.lag for stats in of_all.by_group[group]) == 2
    assert of_all.total_diff >= 2
    progress = await Clusters(admin, servers.name_servers).progress(group, topic=topic)
    assert progress.stats.lag == 2


async def test_an_unknown_group_has_no_progress(servers: Servers, admin: Admin) -> None:
    assert (await admin.groups.consume_stats(servers.master, fresh("nobody"))).lag == 0


async def test_connected_clients_are_seen_until_they_leave(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    groups, broker, client = admin.groups, servers.master, fresh("client")
    assert await groups.consumer_ids(broker, group) == ()
    assert await groups.consumer_connection(broker, group) is None
    await admin.clients.heartbeat(broker, heartbeat(client, group, topic))
    assert await groups.consumer_ids(broker, group) == (client,)
    connection = await groups.consumer_connection(broker, group)
    assert connection is not None
    assert [one.client_id for one in connection.connection_set] == [client]
    assert connection.subscription_table[topic].sub_string == "*"
    (producer,) = await groups.producer_connections(broker, f"{group}-producers")
    assert (producer.client_id, producer.language) == (client, "PYTHON")
    assert f"{group}-producers" in await groups.all_producers(broker)
    assert retry_topic(group) in (await admin.topics.all(broker)).topic_config_table
    await admin.clients.unregister(
        broker, client, producer_group=f"{group}-producers", consumer_group=group
    )
    assert await groups.consumer_ids(broker, group) == ()
    assert await groups.consumer_connection(broker, group) is None
    assert await groups.producer_connections(broker, f"{group}-producers") == ()


async def test_a_group_of_a_whole_cluster_comes_and_goes(servers: Servers, admin: Admin) -> None:
    clusters = Clusters(admin, servers.name_servers)
    config = SubscriptionGroup(fresh("group"))
    assert (await clusters.save_group("plain", config)).values == {servers.master: None}
    assert await admin.groups.get(servers.master, config.group_name)
    gone = await clusters.delete_group("plain", config.group_name, with_offsets=True)
    assert gone.values == {servers.master: None}
    with pytest.raises(SubscriptionGroupNotExistError):
        await admin.groups.get(servers.master, config.group_name)


async def test_a_deleted_group_leaves_no_offsets_when_so_asked(
    servers: Servers, admin: Admin, topic: str, group: str
) -> None:
    await admin.offsets.commit(servers.master, group, topic, 0, offset=0)
    await admin.groups.delete(servers.master, group, with_offsets=True)
    assert (await admin.offsets.all(servers.master)).of(topic, group) == {}


def _as_far_as(wanted: SubscriptionGroup, found: SubscriptionGroup) -> SubscriptionGroup:
    """What was found without the fields that were left to the broker."""
    left = {name: None for name in wanted.__struct_fields__ if getattr(wanted, name) is None}
    return msgspec.structs.replace(found, **left)
