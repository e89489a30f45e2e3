"""The topic world from outside: what is set up, and what a group can still get. Pure.

`export` before and after says whether anything was left behind; `lost` whether a message was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fakes.topic_world_clients import Consumer
from fakes.topic_world_ledger import Place
from fakes.topic_world_model import SCHEDULE, Broker, Queue, Stored
from fakes.topic_world_servers import Servers
from rocketmq import system_names
from rocketmq.routes import WRITE


def export(world: Servers, cluster: str) -> dict[str, Any]:
    """What people set up in a cluster, and how far groups are.

    Topics, groups and offsets by broker, routes by name server; no messages.
    """
    masters = world.masters(cluster)
    names = {one.name for one in masters}
    listed = {topic for one in masters for topic in one.system_topics}
    return {
        "brokers": {one.name: _exported(one) for one in masters},
        "routes": {
            address: {
                topic: {name: queues for name, queues in sorted(route.items()) if name in names}
                for topic, route in sorted(world.name_servers[address].topics.items())
                if set(route) & names and not system_names.is_system_topic(topic, listed=listed)
            }
            for address in sorted({address for one in masters for address in one.name_servers})
        },
    }


def lost(world: Servers, consumer: Consumer, topic: str) -> set[str]:
    """What its group never had of the topic's acknowledged messages, and never will have."""
    return world.ledger.missing(consumer.group, [topic]) - obtainable(world, consumer, topic)


def obtainable(world: Servers, consumer: Consumer, topic: str) -> set[str]:
    """The messages that the group can still be given, as messages of the topic, retries or dead
    letters. What waits for a topic that is no more will be given to nobody."""
    found: set[str] = set()
    for broker in world.brokers.values():
        if broker.master:
            found |= {one.id for one in _readable(broker, consumer, topic)}
    return found


def _readable(broker: Broker, consumer: Consumer, topic: str) -> Iterator[Stored]:
    retry = system_names.retry_topic(consumer.group)
    for (name, queue_id), queue in broker.queues.items():
        if name in (topic, retry) and name in broker.topics:
            yield from queue.messages[_start(broker, consumer, name, queue_id) :]
        if name == SCHEDULE:
            waiting = queue.messages[broker.delay_offsets.get(queue_id + 1, 0) :]
            yield from (one for one in waiting if one.topic in broker.topics)
    yield from (one for one in broker.timers if one.topic in broker.topics)
    dead = system_names.dead_letter_topic(consumer.group)
    yield from broker.queues.get((dead, 0), Queue()).messages


def _start(broker: Broker, consumer: Consumer, topic: str, queue_id: int) -> int:
    """From where on the group has a queue: whichever is earlier, committed or held; else all."""
    held = consumer.positions.get(Place(broker.name, topic, queue_id))
    known = (held, broker.committed(consumer.group, topic, queue_id))
    return min((one for one in known if one is not None), default=0)


def _exported(broker: Broker) -> dict[str, Any]:
    listed = broker.system_topics

    def of_people(topic: str) -> bool:
        return not system_names.is_system_topic(topic, listed=listed)

    offsets = sorted(broker.offsets.items())
    return {
        "topics": {one: config for one, config in sorted(broker.topics.items()) if of_people(one)},
        "groups": {
            name: config
            for name, config in sorted(broker.groups.items())
            if not system_names.is_system_group(name)
        },
        "offsets": {
            key: dict(sorted(queues.items()))
            for key, queues in offsets
            if of_people(key.partition("@")[0])
        },
        "writable": bool(broker.permission & WRITE),
    }
