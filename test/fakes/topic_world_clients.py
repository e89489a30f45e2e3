"""Producers and consumers that see the world through routes which they fetch now and then. Pure.

What the Java client does and a transfer has to bear: a route is old for `refresh_s`; a route that
is gone is kept; a queue is given up or taken over at a rebalance, at which its position is
committed whatever became of the topic; heartbeats bring back a group that was deleted; a producer
that heard no answer sends again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

import msgspec

from fakes.topic_world_ledger import Consumed, Ledger, Place
from fakes.topic_world_model import Broker, Client, Queues, Refusal, Stored
from rocketmq import system_names
from rocketmq.routes import READ, WRITE

FIRST, LAST = "CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_LAST_OFFSET"
_RETRY_LEVEL = 3


class Road(Protocol):
    """What a client can do in the world."""

    ledger: Ledger

    def route(self, name_servers: tuple[str, ...], topic: str) -> dict[str, Queues] | None:
        """By broker set, from the first name server that answers; None if it knows no such topic.

        Empty when no name server answers.
        """
        ...

    def master(self, name_servers: tuple[str, ...], broker_name: str) -> Broker | None:
        """The broker set's master as clients find it, if it runs."""
        ...

    def templates(self, name_servers: tuple[str, ...]) -> tuple[str, ...]:
        """The broker sets that make topics for producers."""
        ...

    def send(self, broker: Broker, message: Stored, queue_id: int, *, level: int = 0) -> bool:
        """Store a message; False when the broker takes it not."""
        ...

    def meet(self, broker: Broker, group: str, client: Client) -> None:
        """A heartbeat."""
        ...

    def peers(self, group: str) -> tuple[str, ...]:
        """The client ids of the group's consumers that are online, sorted."""
        ...


class Producer(msgspec.Struct, kw_only=True):
    """Sends `rate` messages a second; one key's go to one queue if it has `keys`.

    With `level` every message is delayed; one whose `doubts` says so is stored and not answered.
    """

    name: str
    topic: str
    name_servers: tuple[str, ...]
    rate: int = 2
    keys: tuple[str, ...] = ()
    level: int = 0
    refresh_s: float = 30.0
    until: float = float("inf")
    doubts: Callable[[str], bool] = lambda _: False
    sent: int = 0
    turn: int = 0
    failed: int = 0
    route: dict[str, Queues] = {}
    refresh_at: float = 0.0
    waiting: dict[str, list[Stored]] = {}
    """By key: what could not be sent yet, in order."""

    def tick(self, road: Road, now: float) -> None:
        """One second of its life."""
        if now >= self.refresh_at:
            self.refresh_at = now + self.refresh_s
            self._learn(road)
        if now < self.until:
            for _ in range(self.rate):
                self._next(now)
        for line in self.waiting.values():
            while line and self._send(road, line[0], now):
                line.pop(0)

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent."""
        return not any(self.waiting.values())

    def _learn(self, road: Road) -> None:
        found = road.route(self.name_servers, self.topic)
        if found:
            self.route = found
        elif found is None and not self.route:
            offered = road.templates(self.name_servers)
            self.route = {name: Queues(4, 4, READ | WRITE, 0) for name in offered}

    def _next(self, now: float) -> None:
        key = self.keys[self.sent % len(self.keys)] if self.keys else ""
        id_ = f"{self.name}-{key}-{self.sent}"
        self.sent += 1
        self.waiting.setdefault(key, []).append(Stored(id=id_, topic=self.topic, key=key, at=now))

    def _send(self, road: Road, message: Stored, now: float) -> bool:
        places = [
            (name, queue_id)
            for name, queues in sorted(self.route.items())
            if queues.perm & WRITE
            for queue_id in range(queues.write)
        ]
        if not places:
            return False
        if message.key:
            places = [places[zlib.crc32(message.key.encode()) % len(places)]]
        else:
            self.turn = (self.turn + 1) % len(places)
            places = (places[self.turn :] + places[: self.turn])[:3]
        for name, queue_id in places:
            broker = road.master(self.name_servers, name)
            fresh = msgspec.structs.replace(message, at=now)
            if broker is not None and road.send(broker, fresh, queue_id, level=self.level):
                if not self.doubts(message.id):
                    road.ledger.acknowledged.setdefault(message.id, self.topic)
                    return True
                self.doubts = lambda _: False
            self.failed += 1
        return False


class Consumer(msgspec.Struct, kw_only=True):
    """Consumes `rate` messages a second of each queue that it has.

    One that `fails` a message sends it back, to be tried later. `online` is set by the test.
    """

    group: str
    topics: tuple[str, ...]
    name_servers: tuple[str, ...]
    client_id: str = ""
    from_where: str = LAST
    broadcasting: bool = False
    rate: int = 50
    refresh_s: float = 30.0
    rebalance_s: float = 20.0
    heartbeat_s: float = 30.0
    commit_s: float = 5.0
    online: bool = True
    fails: Callable[[Stored], bool] = lambda _: False
    routes: dict[str, dict[str, Queues]] = {}
    positions: dict[Place, int] = {}
    refresh_at: float = 0.0
    rebalance_at: float = 0.0
    heartbeat_at: float = 0.0
    commit_at: float = 0.0

    @property
    def id(self) -> str:
        """What brokers know it by."""
        return self.client_id or f"{self.group}@1"

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The topics, and the group's retry topic."""
        return (*self.topics, system_names.retry_topic(self.group))

    def tick(self, road: Road, now: float) -> None:
        """One second of its life."""
        if not self.online:
            return
        if now >= self.refresh_at:
            self.refresh_at = now + self.refresh_s
            self._learn(road)
        if now >= self.heartbeat_at:
            self.heartbeat_at = now + self.heartbeat_s
            self._meet(road)
        if now >= self.rebalance_at:
            self.rebalance_at = now + self.rebalance_s
            self._rebalance(road)
        for place in list(self.positions):
            self._consume(road, place, now)
        if now >= self.commit_at:
            self.commit_at = now + self.commit_s
            for place in self.positions:
                self._commit(road, place)

    def leave(self, road: Road, *, committing: bool = True) -> None:
        """It ends, or is killed."""
        for place in self.positions if committing else ():
            self._commit(road, place)
        for name in {name for route in self.routes.values() for name in route}:
            broker = road.master(self.name_servers, name)
            if broker is not None:
                broker.part(self.group, self.id)
        self.online = False
        self.positions = {}
        self.routes = {}
        self.refresh_at = self.rebalance_at = self.heartbeat_at = 0.0

    def _learn(self, road: Road) -> None:
        for topic in self.subscriptions:
            found = road.route(self.name_servers, topic)
            if found:
                self.routes[topic] = found

    def _meet(self, road: Road) -> None:
        client = Client(self.id, self.subscriptions, self.broadcasting, self.from_where)
        for name in sorted({name for route in self.routes.values() for name in route}):
            broker = road.master(self.name_servers, name)
            if broker is not None:
                road.meet(broker, self.group, client)

    def _rebalance(self, road: Road) -> None:
        peers = road.peers(self.group)
        places = sorted(
            Place(name, topic, queue_id)
            for topic, route in self.routes.items()
            for name, queues in route.items()
            if queues.perm & READ
            for queue_id in range(queues.read)
        )
        if not self.broadcasting and self.id in peers:
            own = peers.index(self.id)
            places = [place for at, place in enumerate(places) if at % len(peers) == own]
        for place in [place for place in self.positions if place not in places]:
            self._commit(road, place)
            del self.positions[place]
        for place in places:
            if place not in self.positions:
                self._begin(road, place)

    def _begin(self, road: Road, place: Place) -> None:
        broker = road.master(self.name_servers, place.broker_name)
        if broker is None:
            return
        group = "" if self.broadcasting else self.group
        offset = broker.first_offset(group, place.topic, place.queue_id)
        if offset is None:
            first = self.from_where == FIRST or system_names.is_group_topic(place.topic)
            ends = (broker.start, broker.end)
            offset = ends[0 if first else 1](place.topic, place.queue_id)
        self.positions[place] = offset

    def _consume(self, road: Road, place: Place, now: float) -> None:
        broker = road.master(self.name_servers, place.broker_name)
        config = broker.topics.get(place.topic) if broker is not None else None
        if broker is None or config is None or not config.perm & READ:
            return
        queue = broker.queue(place.topic, place.queue_id)
        at = self.positions[place]
        if at > queue.end:
            at = queue.end if broker.five or queue.min_offset else 0
        at = max(at, queue.min_offset)
        self.positions[place] = min(at + self.rate, queue.end)
        had = road.ledger.consumed.setdefault(self.group, [])
        for offset in range(at, self.positions[place]):
            message = queue.messages[offset]
            if self.fails(message):
                self._send_back(road, broker, message)
            else:
                had.append(Consumed(message.id, message.key, place, offset, now))

    def _send_back(self, road: Road, broker: Broker, message: Stored) -> None:
        known = broker.groups.get(self.group)
        tries = message.tries + 1
        if tries > (known.retry_max_times if known else 16):
            topic = system_names.dead_letter_topic(self.group)
            broker.make_group_topic(topic)
            road.send(broker, msgspec.structs.replace(message, topic=topic), 0)
            return
        topic = system_names.retry_topic(self.group)
        again = msgspec.structs.replace(message, topic=topic, tries=tries)
        road.send(broker, again, 0, level=_RETRY_LEVEL + message.tries)

    def _commit(self, road: Road, place: Place) -> None:
        broker = road.master(self.name_servers, place.broker_name)
        if broker is None or self.broadcasting:
            return
        try:
            broker.commit(self.group, place.topic, place.queue_id, self.positions[place])
        except Refusal:
            return
