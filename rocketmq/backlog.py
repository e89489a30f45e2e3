"""What one broker still holds for somebody, from what it says of itself. Pure.

The broker is a master: it alone delivers delayed messages and knows its consumers. What cannot be
read is a ProtocolError, never a zero. A number is true of one moment only: a message that moves
(delivered, sent back, committed) is stored anew, so a look during which the log grew proves
nothing, and so does a pair of looks between which it grew (`is_done`).

Popped messages (5.x) wait in the timer wheel until their time is over, and the broker then writes
those that were not acknowledged anew, within seconds. Its own offset in its records of them never
reaches their end, so it is the still log that tells that no one is left.

What is not seen: offsets that consumers keep for themselves (broadcasting; they are named), and
consumers behind a proxy in cluster mode, which are offline to the broker.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from rocketmq.errors import ProtocolError
from rocketmq.messages.brokers import RuntimeInfo
from rocketmq.messages.groups import ConsumerConnection, GroupTable
from rocketmq.messages.offsets import CommittedOffsets
from rocketmq.messages.topics import QueueOffsets, TopicTable
from rocketmq.system_names import (
    DEAD_LETTER_PREFIX,
    RETRY_PREFIX,
    is_group_topic,
    is_system_group,
    is_system_topic,
)

DELAY_TOPIC = "SCHEDULE_TOPIC_XXXX"
"""Messages of delay level N wait in its queue N - 1."""
HALF_TOPIC = "RMQ_SYS_TRANS_HALF_TOPIC"
"""Messages of transactions that nobody has ended."""
EXPIRED_HALF_TOPIC = "TRANS_CHECK_MAX_TIME_TOPIC"
"""Messages of transactions that the broker gave up."""
TRANSACTION_GROUP = "CID_RMQ_SYS_TRANS"
REVIVE_PREFIX = "rmq_sys_REVIVE_LOG"
"""Messages that were popped and may have to be given out again."""
REVIVE_GROUP = "CID_RMQ_SYS_REVIVE_GROUP"
LIGHT_PREFIX = "%LMQ%"
"""Light queues are no topics of the broker's table; each has one queue."""

_A_USERS_ALL_THE_SAME = "DEFAULT_CONSUMER"
"""The Java client's name for a group that was given none."""

_OF_TIMERS = ("timerOffsetBehind", "timerCongestNum")

Pair = tuple[str, str]
"""A topic and a group that consumes it."""

Queues = Mapping[int, QueueOffsets]
"""The queues of a topic by their number."""


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker said, of `topics` as far as they were asked for; `before` and `after` it said
    the rest."""

    before: RuntimeInfo
    after: RuntimeInfo
    topics: TopicTable
    system_topics: Collection[str]
    groups: GroupTable
    consumers: Mapping[str, ConsumerConnection | None]
    """Of every group: who is connected."""
    offsets: CommittedOffsets
    delivered: Mapping[int, int]
    """How far it is in each queue of delayed messages, by level."""
    queues: Mapping[str, Queues]
    """Of every topic that was looked at."""
    elsewhere: Collection[Pair] = ()
    """Who consumes what on other brokers: it may never have come here yet."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of a topic that a group has not consumed; `online` if somebody does it now."""

    topic: str
    group: str
    messages: int
    online: bool
    queues: Mapping[int, int] = {}
    """The messages by queue, where there are any."""


class Left(msgspec.Struct, frozen=True):
    """Messages of a topic that belong to no group."""

    topic: str
    messages: int


class Delay(msgspec.Struct, frozen=True):
    """One level of delayed messages: the next to be delivered, and the end of the queue."""

    level: int
    delivered: int
    end: int

    @property
    def messages(self) -> int:
        """Those that wait."""
        return self.end - self.delivered


class Broadcast(msgspec.Struct, frozen=True):
    """Connected consumers that keep their offsets to themselves."""

    topic: str
    group: str


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker holds, at one moment.

    `unread` are topics with messages that no group ever consumed. Messages may be counted twice
    while they move, and once for each group.
    """

    waiting: tuple[Waiting, ...] = ()
    unread: tuple[Left, ...] = ()
    delays: tuple[Delay, ...] = ()
    timed: int = 0
    """Messages in the timer wheel or on the way there (5.x)."""
    half: int = 0
    """Messages of transactions that are open, or that the broker has not seen ended."""
    revivals: int = 0
    """Records of popped messages that the broker has not passed; it never passes the last ones."""
    dead_letters: tuple[Left, ...] = ()
    """Also those of transactions that the broker gave up."""
    broadcasts: tuple[Broadcast, ...] = ()
    undispatched_bytes: int = 0
    """Stored, but in no queue yet."""
    log_begin: int = 0
    """End of the commit log when the look began."""
    log_end: int = 0
    """And when it was over."""

    @property
    def delayed(self) -> int:
        """Messages that wait for their delay level's time."""
        return sum(delay.messages for delay in self.delays)

    @property
    def messages(self) -> int:
        """All that somebody has yet to be given; dead letters are not among them."""
        consumers = sum(one.messages for one in self.waiting)
        unread = sum(one.messages for one in self.unread)
        return consumers + unread + self.delayed + self.timed + self.half

    @property
    def is_still(self) -> bool:
        """Whether nothing moved while it was looked at: only then is a zero one."""
        return self.log_begin == self.log_end and not self.undispatched_bytes


STILL_S = 10.0
"""Between two looks: longer than a message is in nobody's hands while the broker moves it."""

REVIVED_S = 30.0
"""The same where messages were popped: the broker looks after them every few seconds."""


def still_needed_s(first: Backlog) -> float:
    """How long after this look a second one proves anything."""
    return REVIVED_S if first.revivals else STILL_S


def is_done(first: Backlog, second: Backlog, seconds_between: float) -> bool:
    """Whether two looks show that nobody waits for anything of this broker."""
    return (
        not first.messages
        and not second.messages
        and first.is_still
        and second.is_still
        and first.log_end == second.log_end
        and seconds_between >= still_needed_s(first)
    )


def needed_topics(
    table: TopicTable,
    system_topics: Collection[str],
    offsets: CommittedOffsets,
    only: Collection[str] | None = None,
) -> tuple[str, ...]:
    """The topics of a broker whose queues have to be looked at, in order.

    `only` leaves, of users' topics, these; and all in which messages are tried again, for a retry
    topic does not tell what was consumed.
    """
    users = {
        topic
        for topic in table.topic_config_table
        if _is_a_users_topic(topic) and not is_system_topic(topic, listed=system_topics)
    }
    users |= {topic for (topic, _), _ in offsets_of(offsets) if topic.startswith(LIGHT_PREFIX)}
    if only is not None:
        users = {topic for topic in users if topic in only or topic.startswith(RETRY_PREFIX)}
    own = {topic for topic in table.topic_config_table if not _is_a_users_topic(topic)}
    return tuple(sorted(own | users))


def needed_groups(
    groups: GroupTable, offsets: CommittedOffsets, elsewhere: Iterable[Pair] = ()
) -> tuple[str, ...]:
    """The groups whose consumers have to be asked for, in order.

    A group that was deleted may have left offsets behind: nobody knows that it will not come back.
    """
    known = {*groups.subscription_group_table, *offsets.groups, *(group for _, group in elsewhere)}
    return tuple(sorted(group for group in known if is_a_users_group(group)))


def needed_queues(table: TopicTable, offsets: CommittedOffsets) -> dict[str, int]:
    """How many queues of a topic may hold messages, from the first on.

    Also those that producers do not use any more, and those above the topic's numbers in which
    somebody once consumed.
    """
    found = {
        topic: max(config.read_queue_nums, config.write_queue_nums)
        for topic, config in table.topic_config_table.items()
    }
    for (topic, _), by_queue in offsets_of(offsets):
        found[topic] = max([found.get(topic, 0), *(queue_id + 1 for queue_id in by_queue)])
    return found


def consumers_of(offsets: CommittedOffsets) -> frozenset[Pair]:
    """Who consumes what on a broker, now or once."""
    return frozenset(pair for pair, _ in offsets_of(offsets) if is_a_users_group(pair[1]))


def offsets_of(offsets: CommittedOffsets) -> Iterator[tuple[Pair, Mapping[int, int]]]:
    """Topic and group of every offset, and the offsets by queue."""
    for key, by_queue in offsets.offset_table.items():
        topic, _, group = key.partition("@")
        yield (topic, group), by_queue


def backlog(tables: Tables) -> Backlog:
    """What the broker holds. Raises ProtocolError for what it did not say."""
    known = {topic: queues for topic, queues in tables.queues.items() if _is_a_users_topic(topic)}
    users = {topic for topic in known if not topic.startswith(DEAD_LETTER_PREFIX)}
    rows = tuple(_waiting(tables, users))
    consumed = {row.topic for row in rows} | {one.topic for one in _broadcasts(tables)}
    return Backlog(
        waiting=tuple(sorted((row for row in rows if row.messages), key=_order)),
        unread=tuple(
            Left(topic, _stored(known[topic]))
            for topic in sorted(users - consumed)
            if _stored(known[topic])
        ),
        delays=tuple(_delays(tables)),
        timed=_timed(tables.after),
        half=_behind(tables, HALF_TOPIC, TRANSACTION_GROUP),
        revivals=_revivals(tables),
        dead_letters=tuple(_dead_letters(tables)),
        broadcasts=tuple(sorted(set(_broadcasts(tables)), key=lambda one: (one.topic, one.group))),
        undispatched_bytes=tables.after.dispatch_behind_bytes,
        log_begin=tables.before.commit_log_max_offset,
        log_end=tables.after.commit_log_max_offset,
    )


def lag(queue: QueueOffsets, committed: int | None) -> int:
    """Messages of a queue that are there and that a group has not consumed.

    All of them, where it never committed; older ones may have expired, and a broker takes any
    number for an offset.
    """
    return max(0, queue.max_offset - max(queue.min_offset, committed or 0))


def _waiting(tables: Tables, topics: Collection[str]) -> Iterator[Waiting]:
    """A row for each topic and group that consumes it, also where nothing waits."""
    committed = dict(offsets_of(tables.offsets))
    pairs = {*consumers_of(tables.offsets), *tables.elsewhere, *_subscribed(tables)}
    for topic, group in pairs:
        if topic not in topics:
            continue
        by_queue = committed.get((topic, group), {})
        lags = {
            queue_id: lag(queue, by_queue.get(queue_id))
            for queue_id, queue in tables.queues[topic].items()
        }
        yield Waiting(
            topic=topic,
            group=group,
            messages=sum(lags.values()),
            online=_is_online(tables.consumers.get(group), topic),
            queues={queue_id: messages for queue_id, messages in lags.items() if messages},
        )


def _order(row: Waiting) -> tuple[str, str]:
    return row.topic, row.group


def _subscribed(tables: Tables) -> Iterator[tuple[str, str]]:
    """Topics and groups of connected consumers, who may have committed nothing yet.

    And those of the groups' retry topics, connected or not.
    """
    for group in needed_groups(tables.groups, tables.offsets):
        yield RETRY_PREFIX + group, group
        connected = tables.consumers.get(group)
        if connected is not None and not connected.broadcasting:
            yield from ((topic, group) for topic in connected.subscription_table)


def _broadcasts(tables: Tables) -> Iterator[Broadcast]:
    for group, connected in tables.consumers.items():
        if connected is not None and connected.broadcasting:
            yield from (
                Broadcast(topic, group)
                for topic in connected.subscription_table
                if not is_group_topic(topic)
            )


def _is_online(connected: ConsumerConnection | None, topic: str) -> bool:
    """Whether connected consumers of the group take this topic; some do not tell which ones."""
    if connected is None or not connected.connection_set:
        return False
    told = connected.subscription_table
    return not told or topic in told or topic.startswith(RETRY_PREFIX)


def is_a_users_group(group: str) -> bool:
    """Whether people consume with this group, as far as its name tells."""
    return group == _A_USERS_ALL_THE_SAME or not is_system_group(group)


def _is_a_users_topic(topic: str) -> bool:
    own = topic in (DELAY_TOPIC, HALF_TOPIC, EXPIRED_HALF_TOPIC)
    return not own and not topic.startswith(REVIVE_PREFIX)


def _stored(queues: Queues) -> int:
    return _uncommitted(queues, {})


def _behind(tables: Tables, topic: str, group: str) -> int:
    return _uncommitted(tables.queues.get(topic, {}), tables.offsets.of(topic, group))


def _delays(tables: Tables) -> Iterator[Delay]:
    for queue_id, queue in sorted(tables.queues.get(DELAY_TOPIC, {}).items()):
        level = queue_id + 1
        waiting = lag(queue, tables.delivered.get(level))
        if queue.max_offset:
            yield Delay(level, queue.max_offset - waiting, queue.max_offset)


def _timed(info: RuntimeInfo) -> int:
    """A broker whose timers are off says 0 of both; one before 5.0 has none."""
    if info.version.startswith("V4_"):
        return 0
    return sum(_number(info, key) for key in _OF_TIMERS)


def _number(info: RuntimeInfo, key: str) -> int:
    text = info.table.get(key, "")
    if not text.removeprefix("-").isdecimal():
        raise ProtocolError(f"{key} is no whole number: {text!r}")
    return max(0, int(text))


def _revivals(tables: Tables) -> int:
    topics: Iterable[str] = (one for one in tables.queues if one.startswith(REVIVE_PREFIX))
    return sum(_behind(tables, topic, REVIVE_GROUP) for topic in topics)


def _dead_letters(tables: Tables) -> Iterator[Left]:
    """What nobody has read of them; of several groups that do the slowest counts."""
    readers: dict[str, list[Mapping[int, int]]] = {}
    for (topic, group), by_queue in offsets_of(tables.offsets):
        if is_a_users_group(group):
            readers.setdefault(topic, []).append(by_queue)
    for topic, queues in sorted(tables.queues.items()):
        if topic.startswith(DEAD_LETTER_PREFIX) or topic == EXPIRED_HALF_TOPIC:
            left = max(_uncommitted(queues, one) for one in readers.get(topic, [{}]))
            if left:
                yield Left(topic, left)


def _uncommitted(queues: Queues, committed: Mapping[int, int]) -> int:
    return sum(lag(queue, committed.get(queue_id)) for queue_id, queue in queues.items())
