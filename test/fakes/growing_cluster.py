"""A cluster of one group with topics and groups of consumers, which tests let grow."""

from __future__ import annotations

from fakes.rocketmq_world import World
from fakes.rolling_cluster import made
from fakes.witness import Place
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig

MASTERS = tuple(f"broker-{number}-master-0" for number in range(3))
SOURCE, *NEW = MASTERS


def filled(world: World, place: Place, topics: int = 300, **spec: object) -> None:
    """One group, whose master has topics and groups of consumers."""
    made(place, **{"size": 1, "replicaPerGroup": 0, **spec})
    names = [f"topic-{number}" for number in range(topics)]
    world.add_topics(
        SOURCE,
        *(TopicConfig(name, read_queue_nums=at % 8 + 1) for at, name in enumerate(names)),
        TopicConfig("%RETRY%group-1"),
    )
    groups = (f"group-{number}" for number in range(topics // 10))
    world.add_groups(SOURCE, *(SubscriptionGroup(name, retry_max_times=3) for name in groups))


def assert_equal_to_the_source(world: World, *pods: str) -> None:
    """These masters are open, and were given once what people made on the first one."""
    source = world.broker(SOURCE)
    users = {name: one for name, one in source.topics.items() if not name.startswith("%")}
    for pod in pods:
        found = world.broker(pod)
        assert (found.topics, found.groups) == (users, source.groups), pod
        assert (found.closed, found.settings["brokerPermission"]) == (False, "6")
        assert found.metadata_writes == len(users) + len(source.groups), "each was written once"
