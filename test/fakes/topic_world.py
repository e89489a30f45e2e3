"""Groups of name servers and clusters of brokers with topics and messages, for the real `Admin`.

A `TopicWorld` is a `Caller`, deterministic and without a clock: `advance` lets time pass, a second
at a time, in which brokers register, slaves follow, delayed messages become due, producers send and
consumers consume. Between two `advance`s the world stands still, whoever asks. `faults` decides
what becomes of each call; a call that dies ends the administrator: every later one raises `Died`
until `successor` is called.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from fakes.topic_world_answers import answer
from fakes.topic_world_clients import Consumer, Producer
from fakes.topic_world_faults import Died, Fault, Faults, at, error_of, no_faults
from fakes.topic_world_ledger import Place
from fakes.topic_world_model import (
    DELAYS_S,
    HALF,
    SCHEDULE,
    TIMER,
    Broker,
    Client,
    NameServer,
    Queues,
    Stored,
)
from fakes.topic_world_servers import Servers, Timing
from rocketmq.calls import Request, Response
from rocketmq.errors import ConnectError, NoAnswerError, for_code

__all__ = ["Died", "Fault", "Timing", "TopicWorld", "at"]


class TopicWorld(Servers):
    """All servers and clients."""

    def __init__(self, timing: Timing | None = None) -> None:
        super().__init__(timing)
        self.producers: list[Producer] = []
        self.consumers: list[Consumer] = []
        self.faults: Faults = no_faults
        self.calls: list[tuple[str, Request]] = []
        self._dead = False

    def advance(self, seconds: float = 1.0) -> None:
        """Let time pass."""
        for _ in range(max(1, round(seconds))):
            self.now += 1.0
            self.tick()
            for producer in self.producers:
                producer.tick(self, self.now)
            for consumer in self.consumers:
                consumer.tick(self, self.now)

    def leave(self, consumer: Consumer, *, committing: bool = True) -> None:
        """A consumer ends (committing where it is) or is killed."""
        consumer.leave(self, committing=committing)

    # What an administrator does.

    async def call(
        self,
        address: str,
        request: Request,
        *,
        timeout_s: float = 5.0,
        allow: Collection[int] = (),
    ) -> Response:
        """See `rocketmq.calls.Caller`."""
        response = self._asked(address, request)
        if response.code != 0 and response.code not in allow:
            raise for_code(response.code, response.remark, address)
        return response

    async def send_one_way(self, address: str, request: Request) -> None:
        """See `rocketmq.calls.Caller`."""
        self._asked(address, request)

    def successor(self) -> None:
        """Another administrator begins; it meets no faults until some are set."""
        self._dead = False
        self.faults = no_faults

    def _asked(self, address: str, request: Request) -> Response:
        if self._dead:
            raise Died
        number = len(self.calls)
        self.calls.append((address, request))
        fault = self.faults(number, address, request)
        if fault is Fault.DIES:
            self._dead = True
            raise Died
        if fault not in (None, Fault.LOST, Fault.DIED):
            raise error_of(fault, address)
        response = self._answered(address, request)
        if fault is Fault.DIED:
            self._dead = True
            raise Died
        if fault is Fault.LOST:
            raise error_of(fault, address)
        return response

    def _answered(self, address: str, request: Request) -> Response:
        server = self.name_servers.get(address) or self.brokers.get(address)
        if server is None or server.down:
            raise ConnectError("connection refused", address=address)
        if server.silent:
            raise NoAnswerError("no answer within 5 s", address=address)
        found = answer(server, request)
        if isinstance(server, Broker):
            self.tell(server, found.told)
        return Response(found.code, found.remark, found.fields, found.body, int(server.version))

    def answered(self, address: str, request: Request) -> Response:
        """What a server answers, whoever asks: no fault comes in between."""
        self.calls.append((address, request))
        return self._answered(address, request)

    # What clients do: see `Road`.

    def route(self, name_servers: tuple[str, ...], topic: str) -> dict[str, Queues] | None:
        """The first name server that answers is believed."""
        for server in self._answering(name_servers):
            known = server.topics.get(topic)
            return dict(known) if known else None
        return {}

    def master(self, name_servers: tuple[str, ...], broker_name: str) -> Broker | None:
        """The address stays in a client's memory once it was in a route."""
        for broker in self.brokers.values():
            reached = set(broker.name_servers) & set(name_servers)
            if reached and broker.name == broker_name and broker.master and not broker.down:
                return broker
        return None

    def templates(self, name_servers: tuple[str, ...]) -> tuple[str, ...]:
        """The broker sets that offer the template topic."""
        known = {name for server in self._answering(name_servers) for name in server.sets}
        return tuple(
            one.name for one in self.brokers.values() if one.name in known and one.auto_topics
        )

    def send(self, broker: Broker, message: Stored, queue_id: int, *, level: int = 0) -> bool:
        """A message for a topic that the broker does not have makes it, where brokers do that."""
        version = broker.topics_version
        if not broker.take(message.topic, queue_id):
            return False
        if broker.topics_version != version:
            self.tell(broker, (message.topic,))
        if level:
            late = msgspec.structs.replace(message, due=self.now + DELAYS_S[level - 1])
            broker.put(late, SCHEDULE, level - 1)
            return True
        broker.put(message, message.topic, queue_id)
        self.ledger.stored.append((message.id, Place(broker.name, message.topic, queue_id)))
        return True

    def set_timer(self, broker: Broker, message: Stored, delay_s: float) -> None:
        """A message of 5.x that comes at a time of its own."""
        late = msgspec.structs.replace(message, due=self.now + delay_s)
        broker.timers.append(late)
        broker.put(late, TIMER, 0)
        self.ledger.acknowledged[message.id] = message.topic

    def prepare(self, broker: Broker, message: Stored) -> None:
        """A half message: nobody has it before `resolve`."""
        broker.put(message, HALF, 0)

    def resolve(self, broker: Broker, message: Stored, *, commit: bool) -> None:
        """Its producer decides; the broker moves past it at its next check."""
        broker.resolved.add(message.id)
        if commit:
            self.give(broker, message)
            self.ledger.acknowledged[message.id] = message.topic
        else:
            self.ledger.given_up.add(message.id)

    def meet(self, broker: Broker, group: str, client: Client) -> None:
        """A heartbeat; a group that is new makes its broker register all that it has."""
        broker.heard[group, client.client_id] = self.now
        if broker.heartbeat(group, client):
            self.register(broker, delay_s=self.timing.learn_s)

    def peers(self, group: str) -> tuple[str, ...]:
        """Who shares the group's queues."""
        return tuple(sorted(one.id for one in self.consumers if one.group == group and one.online))

    def _answering(self, name_servers: tuple[str, ...]) -> Iterator[NameServer]:
        for address in name_servers:
            server = self.name_servers.get(address)
            if server is not None and not (server.down or server.silent):
                yield server
