"""What an earlier topic of the name left on the target: a broker that was killed has it again."""

from __future__ import annotations

import pytest

from fakes.topic_world import TopicWorld
from fakes.topic_world_clients import Consumer
from fakes.topic_world_clusters import V4, V5, consumer, producer, two_clusters
from fakes.topic_world_export import lost
from fakes.topic_world_model import Broker, Stored
from fakes.transfer_run import TransferRun
from rocketmq.codes import MQVersion

versions = pytest.mark.parametrize("version", [V4, V5], ids=["4.9", "5.3"])


def crashed(version: MQVersion) -> tuple[TopicWorld, Broker, Consumer]:
    """A broker of the target that holds a message of a topic that was deleted there; a consumer."""
    world = two_clusters(version)
    here = consumer(world)
    producer(world)
    broker = world.masters("b")[1]
    broker.put(Stored(id="old", topic="orders"), "orders", 2)
    world.advance(40)
    return world, broker, here


async def assert_moved_without_it(world: TopicWorld, run: TransferRun, here: Consumer) -> None:
    cr = await run.run()
    assert cr is not None
    assert cr.status.phase == "Succeeded"
    world.advance(60)
    assert "old" not in world.ledger.ids(here.group)
    assert lost(world, here, "orders") == set()


@versions
async def test_it_goes_before_the_topic_is_made(version: MQVersion) -> None:
    world, broker, here = crashed(version)
    run = TransferRun(world)
    run.apply()
    await assert_moved_without_it(world, run, here)
    assert "orders" in broker.topics


@versions
async def test_it_goes_also_where_the_broker_comes_late(version: MQVersion) -> None:
    world, broker, here = crashed(version)
    world.end(broker)
    run = TransferRun(world)
    run.apply()
    await run.run(until=lambda cr: cr.status.stage == "CloseSource")
    assert "orders" not in broker.topics
    world.begin(broker)
    await assert_moved_without_it(world, run, here)
    assert "orders" in broker.topics
