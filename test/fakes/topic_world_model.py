"""Brokers and name servers with topics, groups, offsets and messages, as values in memory. Pure.

Facts: the remoting dossier 2.1 to 2.4, 4.6 and 6.3, and the sources of 4.9.7 and 5.3.3. What the
two generations do differently is here because a transfer of a topic has to bear it: 4.x keeps the
offsets of a deleted topic, 5.x refuses offsets for what it does not know and writes no record
twice. A queue is no part of its topic: a message that is stored for a deleted topic is there, and
nobody sees it.
"""

from __future__ import annotations

import msgspec

from rocketmq import system_names
from rocketmq.codes import MQVersion, ResponseCode
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import DEFAULT_TOPIC, TopicConfig
from rocketmq.routes import MASTER_ID, READ, WRITE

SCHEDULE = "SCHEDULE_TOPIC_XXXX"
HALF = "RMQ_SYS_TRANS_HALF_TOPIC"
TRANSACTIONS = "CID_RMQ_SYS_TRANS"
TIMER = "rmq_sys_wheel_timer"
DELAYS_S = (1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200)
"""The delay of each level, from level 1 on."""
_INHERIT = 1


class Refusal(Exception):  # noqa: N818 - it is an answer
    """What a broker says instead of doing something."""

    def __init__(self, code: int, remark: str) -> None:
        super().__init__(remark)
        self.code = code
        self.remark = remark


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A message in a queue; `topic` is where it belongs if it waits in a queue of the broker's own.

    One `id` may be stored at several places: a producer that heard nothing sends again.
    """

    id: str
    topic: str
    key: str = ""
    tries: int = 0
    at: float = 0.0
    due: float = 0.0


class Queue(msgspec.Struct):
    """A queue from its first message on; those before `min_offset` are deleted."""

    messages: list[Stored] = []
    min_offset: int = 0

    @property
    def end(self) -> int:
        """The next offset to be written."""
        return len(self.messages)


class Client(msgspec.Struct, frozen=True):
    """A consumer as its heartbeats describe it."""

    client_id: str
    topics: tuple[str, ...]
    broadcasting: bool = False
    from_where: str = "CONSUME_FROM_LAST_OFFSET"


class Broker(msgspec.Struct, kw_only=True):
    """A running broker. `silent` is to whoever administers it, `down` to everybody; a `cold` one
    has the beginnings of its queues on disk alone: who never committed begins at their end."""

    cluster: str
    name: str
    address: str
    name_servers: tuple[str, ...]
    id: int = MASTER_ID
    version: MQVersion = MQVersion.V5_3_3
    auto_topics: bool = True
    auto_groups: bool = True
    cold: bool = False
    silent: bool = False
    down: bool = False
    settings: dict[str, str] = {}
    topics: dict[str, TopicConfig] = {}
    groups: dict[str, SubscriptionGroup] = {}
    offsets: dict[str, dict[int, int]] = {}
    queues: dict[tuple[str, int], Queue] = {}
    clients: dict[str, dict[str, Client]] = {}
    heard: dict[tuple[str, str], float] = {}
    """When a consumer (group and id) was last heard of."""
    producers: dict[str, dict[str, str]] = {}
    delay_offsets: dict[int, int] = {}
    timers: list[Stored] = []
    resolved: set[str] = set()
    topics_version: int = 0
    stored_bytes: int = 0

    @property
    def five(self) -> bool:
        """Whether it is 5.x."""
        return self.version >= MQVersion.V5_0_0

    @property
    def master(self) -> bool:
        """Whether it may be written to."""
        return self.id == MASTER_ID

    @property
    def permission(self) -> int:
        """Whether the broker as a whole may be read and written."""
        return int(self.settings.get("brokerPermission", "6"))

    @property
    def system_topics(self) -> tuple[str, ...]:
        """What it made for itself."""
        own = (DEFAULT_TOPIC, SCHEDULE, HALF, "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT")
        five = (TIMER, f"rmq_sys_REVIVE_LOG_{self.cluster}") if self.five else ()
        return (*own, *five, self.cluster, self.name, f"{self.cluster}_REPLY_TOPIC")

    def registered(self, config: TopicConfig) -> int:
        """The permission that name servers are told: 4.x replaces the topic's, 5.x has both."""
        if self.permission == READ | WRITE:
            return config.perm
        return config.perm & self.permission if self.five else self.permission

    def queue(self, topic: str, queue_id: int) -> Queue:
        """A queue, made at the first question."""
        return self.queues.setdefault((topic, queue_id), Queue())

    def end(self, topic: str, queue_id: int) -> int:
        """The next offset to be written, 0 for what is not there."""
        found = self.queues.get((topic, queue_id))
        return found.end if found else 0

    def start(self, topic: str, queue_id: int) -> int:
        """The oldest offset that is still there."""
        found = self.queues.get((topic, queue_id))
        return found.min_offset if found else 0

    def put(self, message: Stored, topic: str, queue_id: int) -> int:
        """Store a message whatever the topic is; its offset."""
        queue = self.queue(topic, queue_id)
        queue.messages.append(message)
        self.stored_bytes += 100
        return queue.end - 1

    def save_topic(self, config: TopicConfig) -> bool:
        """Create or replace a topic; whether name servers will hear of it."""
        self._require_writable()
        if config.topic_name in self.system_topics:
            raise self._invalid(f"The topic[{config.topic_name}] is conflict with system topic.")
        kept = msgspec.structs.replace(
            config,
            order=config.order and self.five,
            attributes=config.attributes if self.five else {},
        )
        if self.version >= MQVersion.V5_3_0 and self.topics.get(config.topic_name) == kept:
            return False
        self.topics[config.topic_name] = kept
        self.topics_version += 1
        return True

    def delete_topic(self, topic: str) -> None:
        """Delete a topic and its queues; 4.x keeps the offsets of its groups."""
        self._require_writable()
        if topic in self.system_topics:
            raise self._invalid(f"The topic[{topic}] is conflict with system topic.")
        if self.topics.pop(topic, None) is not None:
            self.topics_version += 1
        for place in [place for place in self.queues if place[0] == topic]:
            del self.queues[place]
        if self.five:
            for key in [key for key in self.offsets if key.partition("@")[0] == topic]:
                del self.offsets[key]

    def save_group(self, config: SubscriptionGroup) -> None:
        """Create or replace a group."""
        self._require_writable()
        self.groups[config.group_name] = config

    def delete_group(self, group: str, *, with_offsets: bool) -> None:
        """Delete a group; its retry and dead-letter topics stay."""
        self._require_writable()
        self.groups.pop(group, None)
        if with_offsets:
            for key in [key for key in self.offsets if key.partition("@")[2] == group]:
                del self.offsets[key]

    def committed(self, group: str, topic: str, queue_id: int) -> int | None:
        """The committed offset as it is kept."""
        return self.offsets.get(f"{topic}@{group}", {}).get(queue_id)

    def first_offset(self, group: str, topic: str, queue_id: int) -> int | None:
        """Where a consumer is told to begin: 0 for a queue whose first message is in memory."""
        known = self.committed(group, topic, queue_id)
        if known is not None:
            return known
        return None if self.cold or self.start(topic, queue_id) else 0

    def commit(self, group: str, topic: str, queue_id: int, offset: int) -> None:
        """Keep an offset, unchecked but for what 5.x wants to exist."""
        if self.five and topic not in self.topics and topic not in self.system_topics:
            raise Refusal(ResponseCode.TOPIC_NOT_EXIST, f"Topic {topic} not exist!")
        if self.version >= MQVersion.V5_3_0 and group not in self.groups:
            remark = f"Group {group} not exist!"
            raise Refusal(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, remark)
        self.offsets.setdefault(f"{topic}@{group}", {})[queue_id] = offset

    def online(self, group: str) -> dict[str, Client]:
        """The group's connected consumers."""
        return self.clients.get(group, {})

    def groups_of(self, topic: str) -> tuple[str, ...]:
        """Who consumes the topic now, or once committed.

        5.3.3 notes the topic's own name where it should note the group's.
        """
        now = {
            topic if self.version >= MQVersion.V5_3_3 else group
            for group, clients in self.clients.items()
            if any(topic in client.topics for client in clients.values())
        }
        keys = (key.partition("@") for key in self.offsets)
        return tuple(sorted(now | {group for of, _, group in keys if of == topic}))

    def heartbeat(self, group: str, client: Client) -> bool:
        """A consumer is online; whether the broker made a topic and registers all it has."""
        if group not in self.groups:
            if not self.auto_groups:
                return False
            self.groups[group] = SubscriptionGroup(group)
        self.clients.setdefault(group, {})[client.client_id] = client
        return self.make_group_topic(system_names.retry_topic(group))

    def forget_clients(self, before: float) -> None:
        """Consumers that were last heard of before that moment are not online any more."""
        for (group, client_id), at in list(self.heard.items()):
            if at < before:
                del self.heard[group, client_id]
                self.part(group, client_id)

    def part(self, group: str, client_id: str) -> None:
        """A consumer is not online any more."""
        self.clients.get(group, {}).pop(client_id, None)
        if not self.clients.get(group):
            self.clients.pop(group, None)

    def make_group_topic(self, topic: str) -> bool:
        """A retry or dead-letter topic, made by the broker; whether it was missing."""
        if topic in self.topics:
            return False
        dead = topic.startswith(system_names.DEAD_LETTER_PREFIX)
        perm = WRITE if dead and self.version < MQVersion.V4_9_2 else READ | WRITE
        self.topics[topic] = TopicConfig(topic, 1, 1, perm)
        self.topics_version += 1
        return True

    def take(self, topic: str, queue_id: int) -> bool:
        """Whether a message for this queue is taken; makes the topic if the broker makes topics.

        The topic's own permission is not asked.
        """
        if topic not in self.topics:
            if not self.auto_topics:
                return False
            self.topics[topic] = TopicConfig(topic, 4, 4)
            self.topics_version += 1
        config = self.topics[topic]
        return queue_id < max(config.read_queue_nums, config.write_queue_nums)

    def _require_writable(self) -> None:
        refuses = MQVersion.V4_9_4 <= self.version < MQVersion.V5_1_4
        if not self.master and refuses:
            raise Refusal(
                ResponseCode.SYSTEM_ERROR,
                "Can't modify topic or subscription group from slave broker, please execute it "
                "from master broker.",
            )

    def _invalid(self, remark: str) -> Refusal:
        new = self.version >= MQVersion.V5_3_2
        code = ResponseCode.INVALID_PARAMETER if new else ResponseCode.SYSTEM_ERROR
        return Refusal(code, remark)


class Entry(msgspec.Struct, frozen=True):
    """What a name server knows of one broker."""

    cluster: str
    address: str
    at: float


class Queues(msgspec.Struct, frozen=True):
    """What a name server knows of a topic on one broker set."""

    read: int
    write: int
    perm: int
    flags: int


class NameServer(msgspec.Struct, kw_only=True):
    """A running name server. `deaf`: what brokers tell it is lost."""

    address: str
    version: MQVersion = MQVersion.V5_3_3
    silent: bool = False
    down: bool = False
    deaf: bool = False
    sets: dict[str, dict[int, Entry]] = {}
    topics: dict[str, dict[str, Queues]] = {}
    versions: dict[str, int] = {}
    pairs: dict[str, dict[str, str]] = {}

    @property
    def five(self) -> bool:
        """Whether it is 5.x."""
        return self.version >= MQVersion.V5_0_0

    def register(self, broker: Broker, topics: dict[str, Queues], version: int, now: float) -> None:
        """A broker tells of itself and of some topics; none is ever taken away by this."""
        entry = Entry(broker.cluster, broker.address, now)
        self.sets.setdefault(broker.name, {})[broker.id] = entry
        if broker.master:
            self.versions[broker.name] = version
            for topic, queues in topics.items():
                self.topics.setdefault(topic, {})[broker.name] = queues

    def forget(self, broker: Broker) -> None:
        """A broker's line is closed."""
        self.sets.get(broker.name, {}).pop(broker.id, None)
        if self.sets.get(broker.name):
            return
        self.sets.pop(broker.name, None)
        self.versions.pop(broker.name, None)
        for topic in list(self.topics):
            self.topics[topic].pop(broker.name, None)
            if not self.topics[topic]:
                del self.topics[topic]

    def delete_topic(self, topic: str, cluster: str | None) -> None:
        """Forget a route, from 4.9.4 on only its part in the cluster."""
        if cluster is None or self.version < MQVersion.V4_9_4:
            self.topics.pop(topic, None)
            return
        known = self.topics.get(topic, {})
        for name in list(known):
            if cluster in {one.cluster for one in self.sets.get(name, {}).values()}:
                del known[name]
        if not known:
            self.topics.pop(topic, None)
