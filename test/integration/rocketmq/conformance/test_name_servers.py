"""Operations of name servers."""

from __future__ import annotations

import pytest

from fakes.rocketmq_client import fresh, soon
from fakes.rocketmq_servers import Servers
from rocketmq.admin import Admin
from rocketmq.clusters import Clusters
from rocketmq.codes import MQVersion
from rocketmq.errors import NoPermissionError, TopicNotExistError, UnsupportedError
from rocketmq.messages.name_servers import ORDER_TOPIC_NAMESPACE


async def test_every_name_server_knows_master_and_slave_by_their_ids(
    servers: Servers, admin: Admin
) -> None:
    for address in servers.name_servers:
        info = await admin.name_servers.cluster_info(address)
        assert info.broker_addr_table["broker-a"].broker_addrs == {
            0: servers.master,
            1: servers.slave,
        }
        assert info.masters("plain") == (servers.master,)
        assert info.replicas("plain") == (servers.slave,)
        assert info.without_master() == ()


async def test_a_name_server_tells_its_version(servers: Servers, admin: Admin) -> None:
    for address in servers.name_servers:
        version = await admin.name_servers.version(address)
        assert version >= MQVersion.V4_9_4
        assert (version >= MQVersion.V5_0_0) == servers.release.five


async def test_a_view_of_all_name_servers_finds_no_disagreement(
    servers: Servers, admin: Admin
) -> None:
    view = await Clusters(admin, servers.name_servers).view("plain")
    assert view.disagreements == ()
    assert set(view.brokers.values) == {servers.master, servers.slave}


async def test_a_route_has_the_queues_and_the_addresses(
    servers: Servers, admin: Admin, topic: str
) -> None:
    route = await admin.name_servers.topic_route(servers.name_servers[0], topic)
    (queues,) = route.queue_datas
    assert (queues.broker_name, queues.read_queue_nums, queues.perm) == ("broker-a", 4, 6)
    assert route.masters == (servers.master,)
    assert route.order_topic_conf is None


async def test_a_topic_without_a_route_is_its_own_error(servers: Servers, admin: Admin) -> None:
    with pytest.raises(TopicNotExistError, match=servers.name_servers[0]):
        await admin.name_servers.topic_route(servers.name_servers[0], "nowhere")


async def test_topics_are_listed_for_all_and_for_a_cluster(
    servers: Servers, admin: Admin, topic: str
) -> None:
    first = servers.name_servers[0]
    assert topic in await admin.name_servers.topics(first)
    assert topic in await admin.name_servers.topics_of_cluster(first, "plain")
    assert topic not in await admin.name_servers.topics_of_cluster(first, "guarded")
    assert await admin.name_servers.topics_of_cluster(first, "unknown") == ()
    assert {"plain", "broker-a"} <= set(await admin.name_servers.system_topics(first))


async def test_write_permission_goes_and_comes_back_on_each_name_server(
    servers: Servers, admin: Admin, topic: str
) -> None:
    clusters = Clusters(admin, servers.name_servers)

    async def permissions() -> set[int]:
        routes = [await admin.name_servers.topic_route(one, topic) for one in servers.name_servers]
        return {queue.perm for route in routes for queue in route.queue_datas}

    wiped = await clusters.wipe_write_permission("broker-a")
    assert wiped.complete
    assert all(count > 0 for count in wiped.values.values())
    assert await permissions() == {4}
    added = await clusters.add_write_permission("broker-a")
    assert added.complete
    assert await permissions() == {6}
    assert set((await clusters.wipe_write_permission("unknown")).values.values()) == {0}


async def test_a_route_can_be_deleted_from_one_name_server(
    servers: Servers, admin: Admin, topic: str
) -> None:
    first, second = servers.name_servers
    await admin.name_servers.delete_topic(first, topic)
    with pytest.raises(TopicNotExistError):
        await admin.name_servers.topic_route(first, topic)
    assert (await admin.name_servers.topic_route(second, topic)).queue_datas
    assert (await Clusters(admin, (first, second)).topic_route(topic)).queue_datas
    await admin.name_servers.delete_topic(second, topic, cluster="plain")
    with pytest.raises(TopicNotExistError):
        await Clusters(admin, (first, second)).topic_route(topic)


async def test_the_members_of_a_broker_set(servers: Servers, admin: Admin) -> None:
    asked = admin.name_servers.broker_members(servers.name_servers[0], "plain", "broker-a")
    if not servers.release.five:
        with pytest.raises(UnsupportedError):
            await asked
        return
    members = await asked
    assert members is not None
    assert members.broker_addrs == {0: servers.master, 1: servers.slave}


async def test_settings_are_changed_and_read_back(servers: Servers, admin: Admin) -> None:
    address = servers.name_servers[1]
    before = (await admin.name_servers.settings(address)).values
    assert before["orderMessageEnable"] == "true"
    wanted = {"serverChannelMaxIdleTimeSeconds": "119", "noSuchKey": "1", "listenPort": "abc"}
    change = await admin.name_servers.update_settings(address, wanted)
    assert change.not_taken == {"noSuchKey": None, "listenPort": before["listenPort"]}
    after = (await admin.name_servers.settings(address)).values
    assert after["serverChannelMaxIdleTimeSeconds"] == "119"


async def test_a_black_listed_setting_is_refused(servers: Servers, admin: Admin) -> None:
    with pytest.raises(NoPermissionError):
        await admin.name_servers.update_settings(
            servers.name_servers[0], {"kvConfigPath": "/elsewhere"}
        )


async def test_pairs_are_kept_listed_and_dropped(servers: Servers, admin: Admin) -> None:
    server, names = servers.name_servers[0], admin.name_servers
    namespace = fresh("namespace")
    assert await names.pair(server, namespace, "key") is None
    assert await names.pairs(server, namespace) == {}
    await names.put_pair(server, namespace, "key", "broker-a:4;broker-b:4 ü")
    assert await names.pair(server, namespace, "key") == "broker-a:4;broker-b:4 ü"
    assert await names.pairs(server, namespace) == {"key": "broker-a:4;broker-b:4 ü"}
    await names.delete_pair(server, namespace, "key")
    assert await names.pair(server, namespace, "key") is None


async def test_an_ordered_topic_has_its_queue_counts_in_the_route(
    servers: Servers, admin: Admin, topic: str
) -> None:
    server = servers.name_servers[0]
    await admin.name_servers.put_pair(server, ORDER_TOPIC_NAMESPACE, topic, "broker-a:4")

    async def routed() -> None:
        route = await admin.name_servers.topic_route(server, topic)
        assert route.order_topic_conf == "broker-a:4"

    await soon(routed)
