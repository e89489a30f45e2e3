"""What is known of both sides of a transfer, as values. Pure.

A server that gave no usable answer is a `Silence`: nothing is known of it, and nothing that rests
on it is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, TypeVar

import msgspec

from reconcilers.facts import Silence
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import QueueOffsets, TopicConfig
from rocketmq.routes import TopicRoute

Side = Literal["source", "target"]

Queues = Mapping[int, QueueOffsets]
"""The queues of a topic on a broker, by number."""

T = TypeVar("T")


class Consumers(msgspec.Struct, frozen=True):
    """Connected consumers of a group."""

    topics: frozenset[str]
    """What they subscribe to; empty where they do not tell."""
    broadcasting: bool = False


class Hidden(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that a broker holds back: nobody can tell cheaply which topic they are for."""

    delays: Mapping[int, tuple[int, int]] = {}
    """By level: the next message to be delivered, and the end."""
    timed: int = 0
    """In the timer wheel or on the way there (5.x), popped messages among them."""
    half: int = 0
    """Of transactions that the broker has not seen ended."""
    half_given_up_s: float = 0.0
    """How long a transaction can stay open before the broker gives it up."""
    undispatched: int = 0
    """Bytes that are stored and in no queue yet."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What one master said; `queues` was asked after `offsets`, so no offset is truly above."""

    address: str
    keeps_offsets: bool = False
    """Whether the offsets of a deleted topic stay (4.x)."""
    topic: TopicConfig | None = None
    mapped: bool = False
    """Whether its queues are mapped to several brokers (a static topic)."""
    groups: Mapping[str, SubscriptionGroup] = {}
    topics: Mapping[str, TopicConfig] = {}
    """The retry and dead-letter topics of its groups."""
    offsets: Mapping[str, Mapping[str, Mapping[int, int]]] = {}
    """By topic and group: the committed offsets by queue."""
    queues: Mapping[str, Queues] = {}
    """Of the topic, and of those in `topics`."""
    remains: Mapping[int, int] = {}
    """The ends of the queues that an earlier topic of this name left, where there are any.

    A broker that was killed brings the queues of deleted topics back from its log, with all that
    was consumed in them. Asked for only while a transfer goes forward.
    """
    consumers: Mapping[str, Consumers | None] = {}
    """By group: who is connected."""
    shared: frozenset[str] = frozenset()
    """The groups that consume other topics as well."""
    found: frozenset[str] = frozenset()
    """The groups that consume the topic, now or once."""
    hidden: Hidden | None = None
    """None: it was not looked for."""

    def offset(self, topic: str, group: str, queue: int) -> int | None:
        """The committed offset; None without one."""
        return self.offsets.get(topic, {}).get(group, {}).get(queue)


class ServerLook(msgspec.Struct, frozen=True, kw_only=True):
    """What one name server said."""

    clusters: Mapping[str, frozenset[str]]
    """The names of the broker sets, by cluster."""
    masters: Mapping[str, str]
    """The address of each set's master."""
    routes: Mapping[str, TopicRoute | None] = {}
    """By topic that was asked for; None: it knows no such topic."""
    order: str = ""
    """The order configuration of the topic."""
    version: int = 0
    """Its MQVersion ordinal."""


class SideFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One side: its name servers by address, its masters by brokerName."""

    cluster: str
    servers: Mapping[str, ServerLook | Silence]
    brokers: Mapping[str, Look | Silence]

    @property
    def looks(self) -> dict[str, Look]:
        """The masters that answered, by name."""
        return {name: one for name, one in self.brokers.items() if isinstance(one, Look)}

    @property
    def server_looks(self) -> dict[str, ServerLook]:
        """The name servers that answered, by address."""
        return {name: one for name, one in self.servers.items() if isinstance(one, ServerLook)}

    @property
    def silences(self) -> tuple[str, ...]:
        """Who did not answer, in words."""
        return tuple(
            f"{name}: {one.reason}"
            for found in (self.servers, self.brokers)
            for name, one in sorted(found.items())
            if isinstance(one, Silence)
        )

    @property
    def known(self) -> bool:
        """Whether a name server knows the cluster."""
        return any(one.clusters.get(self.cluster) for one in self.server_looks.values())

    def holders(self) -> dict[str, Look]:
        """The masters that have the topic."""
        return {name: look for name, look in self.looks.items() if look.topic is not None}

    def routed(self, topic: str) -> Iterator[tuple[str, dict[str, int]]]:
        """By name server: the permission of the topic's queues on each broker of this side."""
        for address, server in self.server_looks.items():
            route = server.routes.get(topic)
            queues = () if route is None else route.queue_datas
            yield (
                address,
                {one.broker_name: one.perm for one in queues if one.broker_name in self.brokers},
            )


class TransferFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides, and what stands against the transfer from outside."""

    source: SideFacts
    target: SideFacts
    shared_servers: bool
    """Whether both sides have the same name servers."""
    system_topics: frozenset[str] = frozenset()
    """What the servers themselves call system topics."""
    rival: str = ""
    """Another transfer of the topic that comes first."""

    @property
    def silences(self) -> tuple[str, ...]:
        """Who did not answer, in words, each once."""
        return tuple(dict.fromkeys((*self.source.silences, *self.target.silences)))

    def side(self, side: Side) -> SideFacts:
        """One of the two."""
        return self.source if side == "source" else self.target
