"""The producer and the consumers of a load, which follow routes as clients do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec

from fakes.rocketmq_load_report import Acknowledged, Received
from rocketmq.admin import Admin
from rocketmq.calls import Request
from rocketmq.codes import RequestCode
from rocketmq.errors import RocketmqError, TopicNotExistError
from rocketmq.messages.clients import ConsumerData, Heartbeat, Outgoing, ProducerData, Pull, Sent
from rocketmq.messages.groups import Subscription
from rocketmq.messages.stored import Message
from rocketmq.pool import Pool
from rocketmq.routes import TopicRoute
from rocketmq.system_names import retry_topic

REFRESH_S = 0.5
_HEARTBEAT_S = 2.0
IDLE_S = 0.02
_LOOK_S = 0.5
"""How often consumers look for messages: a dozen queues each, of several groups."""
_GROUP = "load"
_OPEN_S = 1.0
_PREPARED, _COMMITTED = 1 << 2, 2 << 2
"""Bits of sysFlag."""
_Queue = tuple[str, str, int]
"""brokerName, address, queue."""


class GroupPlan(msgspec.Struct, frozen=True):
    """A consumer group of a load. One in `fails_every` messages is sent back the first time.

    One that is `held` is online and consumes nothing, and so commits nothing, until it is released.
    """

    name: str
    fails_every: int = 0
    other_topics: tuple[str, ...] = ()
    held: bool = False


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent and who consumes it.

    One in `delayed_every` messages is delayed by five seconds, one in `timed_every` (5.x) comes
    three seconds later by a timer, one in `open_every` is sent in a transaction that is open for a
    second. With `keys` a message has the key of its number, and one key's messages go to one queue,
    in order.
    """

    name_servers: tuple[str, ...]
    topic: str
    groups: tuple[GroupPlan, ...]
    per_second: int = 20
    keys: int = 0
    delayed_every: int = 0
    timed_every: int = 0
    open_every: int = 0


class Routes:
    """What a client knows of topics; looked up again when it is old."""

    def __init__(self, plan: LoadPlan, admin: Admin) -> None:
        self._name_servers = plan.name_servers
        self._admin = admin
        self._known: dict[str, TopicRoute] = {}
        self._next: dict[str, float] = {}

    async def of(self, topic: str) -> TopicRoute:
        """The route as the client believes it."""
        now = asyncio.get_running_loop().time()
        if now >= self._next.get(topic, 0.0):
            self._next[topic] = now + REFRESH_S
            await self._look_up(topic)
        return self._known.get(topic, TopicRoute())

    async def _look_up(self, topic: str) -> None:
        for name_server in self._name_servers:
            try:
                self._known[topic] = await self._admin.name_servers.topic_route(name_server, topic)
            except TopicNotExistError:
                return
            except RocketmqError:
                continue
            else:
                return

    def queues(self, route: TopicRoute, *, write: bool) -> list[_Queue]:
        """The queues that a client would use."""
        masters = {one.broker_name: one.master for one in route.broker_datas}
        found: list[_Queue] = []
        for one in sorted(route.queue_datas, key=lambda data: data.broker_name):
            master = masters.get(one.broker_name)
            count_ = one.write_queue_nums if write else one.read_queue_nums
            if master is not None and (one.writable if write else one.readable):
                found += [(one.broker_name, master, queue) for queue in range(count_)]
        return found


class Producer:
    """Sends one message after the other."""

    def __init__(self, plan: LoadPlan, pool: Pool) -> None:
        self._plan = plan
        self._pool = pool
        self._admin = Admin(pool)
        self._routes = Routes(plan, self._admin)
        self._turn = 0

    async def send(self, number: int, failures: list[str]) -> Acknowledged:
        """Send one message until it is acknowledged."""
        key = number % self._plan.keys if self._plan.keys else -1
        late = self._late(number)
        while True:
            route = await self._routes.of(self._plan.topic)
            queues = self._routes.queues(route, write=True)
            if not queues:
                await asyncio.sleep(IDLE_S)
                continue
            self._turn += 1
            name, address, queue = queues[(key if key >= 0 else self._turn) % len(queues)]
            try:
                sent = await self._admin.clients.send(address, self._message(number, queue, late))
                if "TRAN_MSG" in late:
                    await self._commit(address, sent)
            except RocketmqError as error:
                failures.append(f"{number}: {error}")
                await asyncio.sleep(IDLE_S)
                continue
            at = asyncio.get_running_loop().time()
            place = (sent.queue_id, sent.queue_offset)
            return Acknowledged(number, key, name, *place, delayed=bool(late), at=at)

    def _late(self, number: int) -> dict[str, str]:
        """The properties of a message that does not come at once; none for most of them."""
        plan = self._plan
        kinds = (
            (plan.delayed_every, {"DELAY": "2"}),
            (plan.timed_every, {"TIMER_DELAY_SEC": "3"}),
            (plan.open_every, {"TRAN_MSG": "true", "PGROUP": _GROUP}),
        )
        for every, properties in kinds:
            if every and number % every == every - 1:
                return properties
        return {}

    def _message(self, number: int, queue: int, late: dict[str, str]) -> Outgoing:
        return Outgoing(
            topic=self._plan.topic,
            body=str(number).encode(),
            producer_group=_GROUP,
            born_timestamp=0,
            queue_id=queue,
            properties={"UNIQ_KEY": f"{self._plan.topic}-{number}", **late},
            sys_flag=_PREPARED if "TRAN_MSG" in late else 0,
        )

    async def _commit(self, address: str, half: Sent) -> None:
        await asyncio.sleep(_OPEN_S)
        fields = {
            "producerGroup": _GROUP,
            "tranStateTableOffset": str(half.queue_offset),
            # A message's id ends in its place in the log.
            "commitLogOffset": str(int(half.message_id[-16:], 16)),
            "commitOrRollback": str(_COMMITTED),
            "fromTransactionCheck": "false",
            "msgId": half.message_id,
            "transactionId": "",
        }
        await self._pool.send_one_way(address, Request(RequestCode.END_TRANSACTION, fields))


class Consumer:
    """One group's only consumer; its pool is its own, for brokers know it by its lines."""

    def __init__(
        self, plan: LoadPlan, group: GroupPlan, pool: Pool, received: list[Received]
    ) -> None:
        self._plan = plan
        self._group = group
        self._pool = pool
        self._admin = Admin(pool)
        self._routes = Routes(plan, self._admin)
        self._received = received
        self._positions: dict[tuple[str, _Queue], int] = {}
        self._met: set[str] = set()
        self._heartbeat_at = 0.0
        self._topics = (plan.topic, retry_topic(group.name))

    async def run(self, wanted: Callable[[], bool], held: Callable[[], bool]) -> None:
        """Be online while it is wanted, and consume unless it is held."""
        while wanted():
            places = [
                (topic, queue)
                for topic in self._topics
                for queue in self._routes.queues(await self._routes.of(topic), write=False)
            ]
            await self._meet({address for _, (_, address, _) in places})
            if held():
                await asyncio.sleep(_LOOK_S)
                continue
            for place in [one for one in self._positions if one not in places]:
                await self._commit(*place)
                del self._positions[place]
            had = await asyncio.gather(*(self._read(*place) for place in places))
            await asyncio.sleep(0.0 if any(had) else _LOOK_S)

    async def leave(self) -> None:
        """Say good-bye; what was consumed is committed already."""
        await self._part(self._met)

    async def _part(self, addresses: set[str]) -> None:
        """Leave brokers that no route names any more; Java clients leave when their line ends."""
        for address in addresses:
            with suppress(RocketmqError):
                await self._admin.clients.unregister(
                    address, self._client_id, consumer_group=self._group.name
                )

    @property
    def _client_id(self) -> str:
        return f"{self._group.name}@load"

    async def _meet(self, addresses: set[str]) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._heartbeat_at and addresses <= self._met:
            return
        self._heartbeat_at = now + _HEARTBEAT_S
        topics = (*self._topics, *self._group.other_topics)
        subscribed = tuple(Subscription(topic, sub_version=1) for topic in topics)
        consumers = (ConsumerData(self._group.name, subscribed),)
        beat = Heartbeat(self._client_id, (ProducerData(_GROUP),), consumers)
        await self._part(self._met - addresses)
        self._met = set()
        for address in addresses:
            with suppress(RocketmqError):
                await self._admin.clients.heartbeat(address, beat)
                self._met.add(address)
        # As Java clients do, whether or not it has moved: a broker that crashed forgot the last.
        for place in self._positions:
            await self._commit(*place)

    async def _read(self, topic: str, queue: _Queue) -> bool:
        name, address, queue_id = queue
        place = (topic, queue)
        try:
            if place not in self._positions:
                self._positions[place] = await self._begin(topic, queue)
            offset = self._positions[place]
            asked = Pull(group=self._group.name, topic=topic, queue_id=queue_id, offset=offset)
            pulled = await self._admin.clients.pull(address, asked)
            for message in pulled.messages:
                await self._take(name, address, message)
            self._positions[place] = pulled.next_offset
            if pulled.next_offset != offset:
                await self._commit(topic, queue)
        except RocketmqError:
            return False
        return bool(pulled.messages)

    async def _begin(self, topic: str, queue: _Queue) -> int:
        """As CONSUME_FROM_LAST_OFFSET: the end of a queue whose beginning is no more in memory."""
        _, address, queue_id = queue
        group = self._group.name
        known = await self._admin.offsets.committed(address, group, topic, queue_id)
        if known is not None:
            return known
        first = await self._admin.topics.min_offset(address, topic, queue_id)
        last = await self._admin.topics.max_offset(address, topic, queue_id)
        return last if first else 0

    async def _take(self, name: str, address: str, message: Message) -> None:
        number = int(message.body)
        every = self._group.fails_every
        if every and number % every == 0 and not message.reconsume_times:
            await self._send_back(address, message)
            return
        at = asyncio.get_running_loop().time()
        self._received.append(
            Received(
                self._group.name, number, name, message.topic, message.queue_id, message.offset, at
            )
        )

    async def _send_back(self, address: str, message: Message) -> None:
        fields = {
            "offset": str(message.commit_log_offset),
            "group": self._group.name,
            "delayLevel": "1",
            "originMsgId": "",
            "originTopic": message.topic,
            "unitMode": "false",
            "maxReconsumeTimes": "16",
        }
        await self._pool.call(address, Request(RequestCode.CONSUMER_SEND_MSG_BACK, fields))

    async def _commit(self, topic: str, queue: _Queue) -> None:
        _, address, queue_id = queue
        with suppress(RocketmqError):
            await self._admin.offsets.commit(
                address,
                self._group.name,
                topic,
                queue_id,
                offset=self._positions[topic, queue],
            )
