"""Operations of controllers, and what they do to two brokers in controller mode."""

from __future__ import annotations

import pytest

from fakes.rocketmq_client import soon
from fakes.rocketmq_servers import Servers
from rocketmq.admin import Admin
from rocketmq.errors import (
    BrokerMetadataNotExistError,
    BrokerNeedToBeRegisteredError,
    InvalidCleanBrokerMetadataError,
    MasterStillExistError,
    NotLeaderError,
    UnsupportedError,
)
from rocketmq.messages.controllers import ReplicaSet


async def test_all_controllers_name_the_same_leader(servers: Servers, admin: Admin) -> None:
    if not servers.release.five:
        with pytest.raises(UnsupportedError):
            await admin.controllers.metadata(servers.master)
        return
    leader = await _leader(servers, admin)
    told = [await admin.controllers.metadata(one) for one in servers.controllers]
    assert {one.leader_address for one in told} == {leader}
    assert [one.is_leader for one in told].count(True) == 1
    assert set(told[0].peers.values()) == set(servers.controllers)


async def test_both_replicas_are_alive_and_in_sync(servers: Servers, admin: Admin) -> None:
    if not servers.release.five:
        with pytest.raises(UnsupportedError):
            await admin.controllers.sync_states(servers.master, ["broker-c"])
        return
    leader = await _leader(servers, admin)
    found = await _both_in_sync(servers, admin, leader)
    assert found.not_in_sync_replicas == ()
    assert {one.broker_address for one in found.in_sync_replicas} == set(servers.controlled)
    assert await admin.controllers.sync_states(leader, ["unknown"]) == {}
    assert await admin.controllers.sync_states(leader, []) == {}
    master = await admin.controllers.master_info(leader, "broker-c")
    assert (master.broker_id, master.address) == (found.master_broker_id, found.master_address)
    assert master.in_sync.sync_state_set == {one.broker_id for one in found.in_sync_replicas}
    with pytest.raises(BrokerMetadataNotExistError):
        await admin.controllers.master_info(leader, "unknown")


async def test_a_follower_sends_to_the_leader(servers: Servers, admin: Admin) -> None:
    if not servers.release.five:
        with pytest.raises(UnsupportedError):
            await admin.controllers.master_info(servers.master, "broker-c")
        return
    leader = await _leader(servers, admin)
    follower = next(one for one in servers.controllers if one != leader)
    with pytest.raises(NotLeaderError):
        await admin.controllers.sync_states(follower, ["broker-c"])


async def test_settings_are_changed_and_read_back(servers: Servers, admin: Admin) -> None:
    if not servers.release.five:
        with pytest.raises(UnsupportedError):
            await admin.controllers.settings(servers.master)
        with pytest.raises(UnsupportedError):
            await admin.controllers.update_settings(servers.master, {"unknown": "1"})
        return
    address = servers.controllers[0]
    assert (await admin.controllers.settings(address)).values["controllerDLegerGroup"] == "group"
    wanted = {"scanNotActiveBrokerInterval": "1001", "noSuchKey": "1"}
    change = await admin.controllers.update_settings(address, wanted)
    assert change.not_taken == {"noSuchKey": None}


async def test_a_designated_replica_becomes_the_master(servers: Servers, admin: Admin) -> None:
    if not servers.release.five:
        with pytest.raises(UnsupportedError):
            await admin.controllers.elect_master(servers.master, "controlled", "broker-c")
        return
    leader = await _leader(servers, admin)
    before = await _both_in_sync(servers, admin, leader)
    chosen = next(
        one for one in before.in_sync_replicas if one.broker_id != before.master_broker_id
    )
    elect = admin.controllers.elect_master
    elected = await elect(leader, "controlled", "broker-c", broker_id=chosen.broker_id)
    assert (elected.broker_id, elected.address) == (chosen.broker_id, chosen.broker_address)
    assert before.master_epoch is not None
    assert elected.epoch == before.master_epoch + 1

    async def registered() -> None:
        info = await admin.name_servers.cluster_info(servers.name_servers[0])
        assert info.masters("controlled") == (chosen.broker_address,)

    await soon(registered)
    with pytest.raises(MasterStillExistError):
        await elect(leader, "controlled", "broker-c", broker_id=chosen.broker_id)
    with pytest.raises(MasterStillExistError):
        await elect(leader, "controlled", "broker-c")
    with pytest.raises(BrokerNeedToBeRegisteredError):
        await elect(leader, "controlled", "unknown", broker_id=1)
    await _both_in_sync(servers, admin, leader)


@pytest.mark.late
async def test_a_replica_is_cleaned_only_when_it_is_gone(servers: Servers, admin: Admin) -> None:
    clean = admin.controllers.clean_broker_data
    if not servers.release.five:
        with pytest.raises(UnsupportedError):
            await clean(servers.master, "controlled", "broker-c", [1])
        return
    leader = await _leader(servers, admin)
    before = await _both_in_sync(servers, admin, leader)
    slave = next(one for one in before.in_sync_replicas if one.broker_id != before.master_broker_id)
    with pytest.raises(InvalidCleanBrokerMetadataError):
        await clean(leader, "controlled", "broker-c", [slave.broker_id])
    with pytest.raises(InvalidCleanBrokerMetadataError):
        await clean(leader, "controlled", "broker-c")
    servers.processes[f"controlled-{servers.controlled.index(slave.broker_address)}"].kill()

    async def cleaned() -> None:
        await clean(leader, "controlled", "broker-c", [slave.broker_id])

    await soon(cleaned)
    after = (await admin.controllers.sync_states(leader, ["broker-c"]))["broker-c"]
    known = {one.broker_id for one in (*after.in_sync_replicas, *after.not_in_sync_replicas)}
    assert known == {before.master_broker_id}


async def _leader(servers: Servers, admin: Admin) -> str:
    async def known() -> str:
        told = await admin.controllers.metadata(servers.controllers[0])
        assert told.leader_address is not None
        return told.leader_address

    return await soon(known)


async def _both_in_sync(servers: Servers, admin: Admin, leader: str) -> ReplicaSet:
    async def known() -> ReplicaSet:
        found = (await admin.controllers.sync_states(leader, ["broker-c"]))["broker-c"]
        assert [one.alive for one in found.in_sync_replicas] == [True, True], found
        return found

    return await soon(known, within_s=60.0)
