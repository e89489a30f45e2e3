"""The load and the proxy that the other tests of this folder rest upon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fakes.remoting_proxy import Fate, RemotingProxy
from fakes.rocketmq_load import GroupPlan, LoadPlan, running_load
from fakes.rocketmq_pairs import SOURCE, Pair
from fakes.waiting import eventually, pause
from rocketmq.admin import Admin
from rocketmq.codes import RequestCode
from rocketmq.errors import ConnectError, ConnectionLostError, RocketmqError
from rocketmq.messages.topics import TopicConfig
from rocketmq.pool import ClientSettings, Pool


def test_a_load_that_nothing_disturbs_loses_nothing(
    pair: Pair, fresh: Callable[[str], str]
) -> None:
    topic = fresh("steady")

    async def make() -> None:
        async with Pool(ClientSettings()) as pool:
            for address in pair.masters(SOURCE):
                await Admin(pool).topics.save(address, TopicConfig(topic, 2, 2))

    asyncio.run(make())
    plan = LoadPlan(
        name_servers=pair.name_servers,
        topic=topic,
        groups=(GroupPlan(fresh("once")), GroupPlan(fresh("again"), fails_every=10)),
        delayed_every=20,
    )
    with running_load(plan) as load:
        eventually(lambda: _more_than(len(load.acknowledged), 100))
        load.stop_sending()
        eventually(lambda: _nothing(load.report().all_missing))
        pause(0.5)
        report = load.report()
    assert report.reordered == [], report
    assert report.failures == (), report
    assert set(report.by_broker) == {"source-0", "source-1"}
    assert report.duplicates == dict.fromkeys(report.groups, 0), report


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


def _more_than(number: int, least: int) -> None:
    assert number > least


def _nothing(found: dict[str, set[int]]) -> None:
    assert not found, found
