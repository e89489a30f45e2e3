"""A topic world as tests begin with it: two clusters, one topic, clients where they are wanted."""

from __future__ import annotations

from typing import Any

import msgspec

from fakes.topic_world import TopicWorld
from fakes.topic_world_clients import Consumer, Producer
from fakes.topic_world_model import Broker
from rocketmq.codes import MQVersion
from rocketmq.messages.topics import TopicConfig

V4, V5 = MQVersion.V4_9_7, MQVersion.V5_3_3
NAMES = ("n-0:9876", "n-1:9876")
TOPIC = TopicConfig("orders", 4, 4)


def two_clusters(version: MQVersion = V5, *, topic: bool = True, **broker: bool) -> TopicWorld:
    """Two name servers; clusters a and b of two masters each; the topic on a."""
    world = TopicWorld()
    for address in NAMES:
        world.name_server(address, version)
    for cluster in "ab":
        for group in (0, 1):
            name = f"{cluster}-{group}"
            world.broker(
                Broker(
                    cluster=cluster,
                    name=name,
                    address=f"{name}:10911",
                    name_servers=NAMES,
                    version=version,
                    **broker,
                )
            )
    for master in world.masters("a") if topic else ():
        master.save_topic(TOPIC)
    world.settle()
    return world


def consumer(world: TopicWorld, group: str = "payers", **fields: Any) -> Consumer:
    """A consumer of the topic, online from the next second on."""
    basics = Consumer(group=group, topics=(TOPIC.topic_name,), name_servers=NAMES)
    world.consumers.append(msgspec.structs.replace(basics, **fields))
    return world.consumers[-1]


def producer(world: TopicWorld, **fields: Any) -> Producer:
    """A producer for the topic: `shop`, two messages a second."""
    basics = Producer(name="shop", topic=TOPIC.topic_name, name_servers=NAMES)
    world.producers.append(msgspec.structs.replace(basics, **fields))
    return world.producers[-1]
