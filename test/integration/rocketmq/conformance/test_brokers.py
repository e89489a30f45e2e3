"""Operations on a broker as a whole."""

from __future__ import annotations

import pytest

from fakes.rocketmq_client import fresh, soon
from fakes.rocketmq_servers import Servers
from rocketmq.admin import Admin
from rocketmq.calls import Request
from rocketmq.clusters import Clusters
from rocketmq.codes import RequestCode, version_name
from rocketmq.errors import NoPermissionError, ServerFaultError, UnsupportedError
from rocketmq.messages.topics import TopicConfig
from rocketmq.pool import Pool


async def test_settings_of_master_and_slave(servers: Servers, admin: Admin) -> None:
    master = await admin.brokers.settings(servers.master)
    slave = await admin.brokers.settings(servers.slave)
    assert (master.values["brokerName"], master.values["brokerId"]) == ("broker-a", "0")
    assert (slave.values["brokerRole"], slave.values["brokerId"]) == ("SLAVE", "1")
    assert master.version is not None
    assert "rocketmqHome" not in repr(master)


async def test_a_change_is_read_back_and_counted(servers: Servers, admin: Admin) -> None:
    before = await admin.brokers.settings(servers.slave)
    strange = "a\\b = c: é # !"
    wanted = {"fileReservedTime": "71", "msgTraceTopicName": strange}
    change = await admin.brokers.update_settings(servers.slave, wanted)
    assert change.not_taken == {}
    after = await admin.brokers.settings(servers.slave)
    assert (after.values["fileReservedTime"], after.values["msgTraceTopicName"]) == ("71", strange)
    assert before.version is not None
    assert after.version is not None
    assert after.version.counter == before.version.counter + 1


async def test_what_the_broker_did_not_take_is_told(servers: Servers, admin: Admin) -> None:
    wanted = {"fileReservedTime": "abc", "noSuchKey": "1", "brokerRole": "NONSENSE"}
    change = await admin.brokers.update_settings(servers.slave, wanted)
    assert set(change.not_taken) == set(wanted)
    assert change.not_taken["brokerRole"] == "SLAVE"


@pytest.mark.late
async def test_no_client_uses_a_closed_master_and_what_it_was_given_is_there_once_it_is_open(
    servers: Servers, admin: Admin, topic: str
) -> None:
    new = TopicConfig(fresh("given"), read_queue_nums=3, write_queue_nums=2)

    async def used(name: str, *, wanted: bool) -> None:
        for server in servers.name_servers:
            route = await admin.name_servers.topic_route(server, name)
            assert [(queue.readable, queue.writable) for queue in route.queue_datas] == [
                (wanted, wanted)
            ]

    # Its replica, which is open, changes nothing: name servers ask masters alone.
    closed = await admin.brokers.update_settings(servers.master, {"brokerPermission": "1"})
    try:
        assert closed.not_taken == {}
        await soon(lambda: used(topic, wanted=False))
        await admin.topics.save(servers.master, new)
        await soon(lambda: used(new.topic_name, wanted=False))
        assert await admin.topics.get(servers.master, new.topic_name) == new
    finally:
        opened = await admin.brokers.update_settings(servers.master, {"brokerPermission": "6"})
    assert opened.not_taken == {}
    for name in (topic, new.topic_name):
        await soon(lambda name=name: used(name, wanted=True))
    # What the scripts in the pods read of the file that the broker has written anew.
    process = servers.processes["master"]
    lines = process.settings.read_text(encoding="utf-8").splitlines()
    store = f"storePathRootDir={process.folder / 'store'}"
    assert {"brokerPermission=6", "brokerId=0", "brokerName=broker-a", store} <= set(lines)


async def test_a_broker_that_takes_no_writes_says_so_in_its_routes(
    servers: Servers, admin: Admin, topic: str
) -> None:
    async def routed(perm: int) -> None:
        for server in servers.name_servers:
            route = await admin.name_servers.topic_route(server, topic)
            assert [one.perm for one in route.queue_datas] == [perm]

    for perm in (4, 6):
        change = await admin.brokers.update_settings(
            servers.master, {"brokerPermission": f"{perm}"}
        )
        assert change.not_taken == {}
        await soon(lambda now=perm: routed(now))


async def test_a_broker_is_told_of_other_name_servers(servers: Servers, admin: Admin) -> None:
    before = (await admin.brokers.settings(servers.slave)).values["namesrvAddr"]
    assert before == ";".join(servers.name_servers)
    for addresses in (servers.name_servers[::-1], servers.name_servers):
        wanted = {"namesrvAddr": ";".join(addresses)}
        change = await admin.brokers.update_settings(servers.slave, wanted)
        assert (change.not_taken, change.found) == ({}, wanted)


async def test_a_change_goes_to_every_broker_of_a_cluster(servers: Servers, admin: Admin) -> None:
    clusters = Clusters(admin, servers.name_servers)
    changes = await clusters.update_settings("plain", {"deleteWhen": "05"})
    assert set(changes.values) == {servers.master, servers.slave}
    assert all(change.not_taken == {} for change in changes.values.values())


async def test_a_black_listed_setting_is_refused(servers: Servers, admin: Admin) -> None:
    change = admin.brokers.update_settings(servers.master, {"brokerConfigPath": "/elsewhere"})
    if not servers.release.five:  # no black list before 4.9.8 and 5.0, and no such key either
        assert (await change).not_taken == {"brokerConfigPath": None}
        return
    with pytest.raises(NoPermissionError):
        await change


async def test_runtime_figures_of_master_and_slave(servers: Servers, admin: Admin) -> None:
    for address in (servers.master, servers.slave):
        info = await admin.brokers.runtime_info(address)
        assert info.version == f"V{servers.version.replace('.', '_')}"
        assert version_name(info.version_ordinal) == servers.version
        assert info.boot_time_ms > 1_600_000_000_000
        assert info.commit_log_max_offset >= 0
        assert info.commit_log_min_offset >= -1
        assert info.dispatch_behind_bytes >= 0
        assert info.put_tps >= 0
        assert info.get_tps >= 0
        assert info.messages_today >= 0
        assert 0 <= info.commit_log_disk_ratio <= 1


async def test_every_answer_tells_the_version_of_its_server(servers: Servers, pool: Pool) -> None:
    request = Request(RequestCode.GET_BROKER_RUNTIME_INFO)
    answer = await pool.call(servers.master, request)
    assert version_name(answer.version) == servers.version


async def test_replication_seen_from_both_ends(servers: Servers, admin: Admin) -> None:
    if not servers.release.five:
        with pytest.raises(UnsupportedError):
            await admin.brokers.ha_status(servers.master)
        return

    async def connected() -> None:
        master = await admin.brokers.ha_status(servers.master)
        slave = await admin.brokers.ha_status(servers.slave)
        assert master.master
        assert [one.in_sync for one in master.ha_connection_info] == [True]
        assert not slave.master
        assert slave.ha_client_runtime_info.master_addr

    await soon(connected)


async def test_epochs_exist_in_controller_mode_alone(servers: Servers, admin: Admin) -> None:
    if not servers.release.five:
        with pytest.raises(UnsupportedError):
            await admin.brokers.epochs(servers.master)
        return
    with pytest.raises(ServerFaultError):
        await admin.brokers.epochs(servers.master)
    epochs = await admin.brokers.epochs(servers.controlled[0])
    assert (epochs.cluster_name, epochs.broker_name) == ("controlled", "broker-c")
    assert [one.epoch for one in epochs.epoch_list][:1] == [1]


async def test_a_slave_can_be_told_how_far_its_master_is_on_disk(
    servers: Servers, admin: Admin
) -> None:
    if not servers.release.five:
        with pytest.raises(UnsupportedError):
            await admin.brokers.reset_master_flush_offset(servers.slave, 0)
        return
    await admin.brokers.reset_master_flush_offset(servers.slave, 0)
    await admin.brokers.reset_master_flush_offset(servers.master, 0)
