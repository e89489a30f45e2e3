"""The load and the proxy that the other tests of this folder rest upon."""

from __future__ import annotations

import asyncio

import pytest

from fakes.remoting_proxy import Fate, RemotingProxy
from fakes.rocketmq_load import GroupPlan, running_load
from fakes.rocketmq_pairs import Pair
from fakes.transfers import Scene, acknowledged, completed
from rocketmq.admin import Admin
from rocketmq.codes import RequestCode
from rocketmq.errors import ConnectError, ConnectionLostError, RocketmqError
from rocketmq.messages.topics import TopicConfig
from rocketmq.pool import ClientSettings, Pool

pytestmark = pytest.mark.timeout(600)


def test_a_load_that_nothing_disturbs_loses_nothing(scene: Scene) -> None:
    topic = scene.fresh("steady")
    scene.make([topic])
    groups = (GroupPlan(scene.fresh("once")), GroupPlan(scene.fresh("again"), fails_every=10))
    timed = 25 if scene.pair.release.five else 0
    plan = scene.load(topic, *groups, delayed_every=20, timed_every=timed, open_every=30)
    with running_load(plan) as load:
        acknowledged(load, 100)
        report = completed(load, f"{scene.version}, undisturbed")
    assert set(report.by_broker) == {"source-0", "source-1"}
    # A JVM that is new takes its time: what was not answered is sent again, and may come twice.
    assert max(report.duplicates.values()) <= len(report.failures), report


def test_the_network_can_be_cut_and_answers_lost(pair: Pair, network: RemotingProxy) -> None:
    name_server = network.proxied(pair.name_servers[0])
    lost: list[str] = []

    async def ask() -> None:
        async with Pool(ClientSettings()) as pool:
            admin = Admin(pool)
            info = await admin.name_servers.cluster_info(name_server)
            brokers = [network.proxied(one) for one in pair.brokers.values()]
            assert sorted(info.addresses()) == sorted(brokers)
            broker = brokers[0]
            network.cut(next(iter(pair.brokers.values())))
            with pytest.raises(RocketmqError):
                await admin.topics.all(broker)
            network.heal()
            assert (await admin.topics.all(broker)).topic_config_table

            def judge(asked: object) -> Fate:
                return Fate.LOSE

            network.judge(judge, lambda: lost.append("lost"))
            with pytest.raises((ConnectionLostError, ConnectError)):
                await admin.topics.save(broker, TopicConfig("judged"))
            network.heal()
            assert "judged" in (await admin.topics.all(broker)).topic_config_table
            await admin.topics.delete(broker, "judged")

    asyncio.run(ask())
    assert lost == ["lost"]
    assert RequestCode.UPDATE_AND_CREATE_TOPIC in {asked.code for asked in network.seen}
