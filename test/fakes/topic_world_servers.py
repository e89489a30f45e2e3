"""Name servers and brokers in time: who tells whom what, and when. Pure: time is an argument.

A broker tells its name servers of one topic when that changes, and of all it has every half minute
if its version is another one than they know; so what a name server did not hear may stay unknown
to it when the next change is heard. Nobody ever takes a route away but who deletes it.
"""

from __future__ import annotations

import copy

import msgspec

from fakes.topic_world_ledger import Ledger, Place
from fakes.topic_world_model import (
    DELAYS_S,
    HALF,
    SCHEDULE,
    TRANSACTIONS,
    Broker,
    NameServer,
    Queues,
    Stored,
)
from rocketmq.codes import MQVersion


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How fast servers are, in seconds."""

    learn_s: float = 1.0
    """Until name servers know of a change at a broker."""
    register_s: float = 30.0
    expiry_s: float = 120.0
    sync_s: float = 10.0
    check_s: float = 30.0
    """How often a broker moves past half messages that are decided."""
    client_s: float = 120.0
    """How long a broker takes a client for connected that says nothing; its line stays open."""


class _News(msgspec.Struct, frozen=True):
    """What a broker told, on its way to a name server."""

    due: float
    name_server: str
    broker: str
    topics: dict[str, Queues]
    version: int


class Servers:
    """All servers by their addresses; `ledger` hears of every message that is stored."""

    def __init__(self, timing: Timing | None = None) -> None:
        self.timing = timing or Timing()
        self.now = 0.0
        self.name_servers: dict[str, NameServer] = {}
        self.brokers: dict[str, Broker] = {}
        self.ledger = Ledger()
        self._news: list[_News] = []
        self._next_register: dict[str, float] = {}

    def name_server(self, address: str, version: MQVersion = MQVersion.V5_3_3) -> NameServer:
        """Start a name server."""
        server = NameServer(address=address, version=version)
        self.name_servers[address] = server
        return server

    def broker(self, broker: Broker) -> Broker:
        """Start a broker; its name servers know it at once."""
        self.brokers[broker.address] = broker
        self.register(broker, delay_s=0.0)
        self._deliver()
        return broker

    def masters(self, cluster: str) -> tuple[Broker, ...]:
        """The masters of a cluster, by name."""
        found = [one for one in self.brokers.values() if one.cluster == cluster and one.master]
        return tuple(sorted(found, key=lambda one: one.name))

    def settle(self) -> None:
        """Let every name server learn at once what brokers have to tell."""
        for one in self.brokers.values():
            self.register(one, delay_s=0.0)
        self._deliver()

    def end(self, broker: Broker) -> None:
        """A broker's process ends; `begin` lets it come back with what it had."""
        broker.down = True
        broker.clients = {}
        for address in broker.name_servers:
            if not self.name_servers[address].deaf:
                self.name_servers[address].forget(broker)

    def begin(self, broker: Broker) -> None:
        """A broker that ended starts again."""
        broker.down = False
        self.register(broker, delay_s=self.timing.learn_s)

    def restart(self, server: NameServer) -> None:
        """A name server that knows nothing until brokers tell it again."""
        server.sets, server.topics, server.versions = {}, {}, {}

    def tick(self) -> None:
        """What servers do at this moment."""
        self._deliver()
        for broker in self.brokers.values():
            if not broker.down:
                self._live(broker)
        self._deliver()
        self._expire()

    def tell(self, broker: Broker, topics: tuple[str, ...]) -> None:
        """A broker tells its name servers of these topics; "" stands for all."""
        if "" in topics:
            self.register(broker, delay_s=self.timing.learn_s)
        elif topics:
            self._send(broker, topics, self.timing.learn_s)

    def register(self, broker: Broker, *, delay_s: float) -> None:
        """A broker tells of all it has, where that is news."""
        self._send(broker, tuple(broker.topics), delay_s, whole=True)

    def give(self, broker: Broker, message: Stored) -> None:
        """A message of the broker's own queues goes where it belongs, be there a topic or not."""
        config = broker.topics.get(message.topic)
        queue_id = sum(message.id.encode()) % (config.write_queue_nums if config else 1)
        fresh = msgspec.structs.replace(message, due=0.0, at=self.now)
        broker.put(fresh, message.topic, queue_id)
        self.ledger.stored.append((message.id, Place(broker.name, message.topic, queue_id)))

    def _live(self, broker: Broker) -> None:
        if self.now >= self._next_register.get(broker.address, 0.0):
            self._next_register[broker.address] = self.now + self.timing.register_s
            self.register(broker, delay_s=0.0)
        if not broker.master:
            if self.now % self.timing.sync_s < 1.0:
                self._follow(broker)
            return
        broker.forget_clients(self.now - self.timing.client_s)
        for level in range(1, len(DELAYS_S) + 1):
            self._give_delayed(broker, level)
        for timer in [one for one in broker.timers if one.due <= self.now]:
            broker.timers.remove(timer)
            self.give(broker, timer)
        if self.now % self.timing.check_s < 1.0:
            _pass_resolved(broker)

    def _give_delayed(self, broker: Broker, level: int) -> None:
        queue = broker.queues.get((SCHEDULE, level - 1))
        if queue is None:
            return
        offset = broker.delay_offsets.get(level, 0)
        while offset < queue.end and queue.messages[offset].due <= self.now:
            self.give(broker, queue.messages[offset])
            offset += 1
        broker.delay_offsets[level] = offset

    def _follow(self, slave: Broker) -> None:
        for master in self.masters(slave.cluster):
            if master.name == slave.name and not master.down:
                slave.topics = dict(master.topics)
                slave.groups = dict(master.groups)
                slave.offsets = copy.deepcopy(master.offsets)
                slave.queues = copy.deepcopy(master.queues)

    def _expire(self) -> None:
        known = {(one.name, one.id): one for one in self.brokers.values()}
        for server in self.name_servers.values():
            for name, entries in list(server.sets.items()):
                for id_, entry in list(entries.items()):
                    if self.now - entry.at > self.timing.expiry_s:
                        server.forget(known[name, id_])

    def _send(
        self, broker: Broker, topics: tuple[str, ...], delay_s: float, *, whole: bool = False
    ) -> None:
        told = {topic: _queues(broker, topic) for topic in topics if topic in broker.topics}
        version = broker.topics_version
        for address in broker.name_servers:
            server = self.name_servers.get(address)
            if server is None or server.deaf or server.down:
                continue
            unchanged = whole and server.versions.get(broker.name) == version
            news = {} if unchanged else told
            due = self.now + delay_s
            self._news.append(_News(due, address, broker.address, news, version))

    def _deliver(self) -> None:
        due = [one for one in self._news if one.due <= self.now]
        self._news = [one for one in self._news if one.due > self.now]
        for news in due:
            server, broker = self.name_servers[news.name_server], self.brokers[news.broker]
            if not (server.deaf or server.down or broker.down):
                server.register(broker, news.topics, news.version, self.now)


def _queues(broker: Broker, topic: str) -> Queues:
    config = broker.topics[topic]
    permission = broker.registered(config)
    queues = (config.read_queue_nums, config.write_queue_nums)
    return Queues(*queues, permission, config.topic_sys_flag)


def _pass_resolved(broker: Broker) -> None:
    queue = broker.queues.get((HALF, 0))
    if queue is None:
        return
    offset = broker.committed(TRANSACTIONS, HALF, 0) or 0
    while offset < queue.end and queue.messages[offset].id in broker.resolved:
        offset += 1
    broker.offsets.setdefault(f"{HALF}@{TRANSACTIONS}", {})[0] = offset
