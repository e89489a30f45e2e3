"""What a broker says of itself when it is asked for its backlog, from a few words."""

from __future__ import annotations

from collections.abc import Mapping

from rocketmq.backlog import Tables
from rocketmq.messages.brokers import RuntimeInfo
from rocketmq.messages.groups import (
    ClientConnection,
    ConsumerConnection,
    GroupTable,
    Subscription,
    SubscriptionGroup,
)
from rocketmq.messages.offsets import CommittedOffsets
from rocketmq.messages.topics import QueueOffsets, TopicConfig, TopicTable

Offsets = Mapping[str, Mapping[int, int]]


def runtime_info(version: str = "V5_3_3", *, log_end: int = 100, **more: str) -> RuntimeInfo:
    """The figures of a broker."""
    timers = {} if version.startswith("V4_") else {"timerOffsetBehind": "0", "timerCongestNum": "0"}
    figures = {"commitLogMaxOffset": str(log_end), "dispatchBehindBytes": "0"}
    return RuntimeInfo({"brokerVersionDesc": version, **timers, **figures, **more})


def connected(*topics: str, broadcasting: bool = False, clients: int = 1) -> ConsumerConnection:
    """Consumers of a group that are connected and take these topics."""
    return ConsumerConnection(
        tuple(ClientConnection(f"client-{number}", "c:1") for number in range(clients)),
        {topic: Subscription(topic) for topic in topics},
        message_model="BROADCASTING" if broadcasting else "CLUSTERING",
    )


def tables(
    ends: Mapping[str, Mapping[int, int | tuple[int, int]]],
    offsets: Offsets | None = None,
    *,
    consumers: Mapping[str, ConsumerConnection | None] | None = None,
    delivered: Mapping[int, int] | None = None,
    before: RuntimeInfo | None = None,
    after: RuntimeInfo | None = None,
) -> Tables:
    """A broker whose queues end there (or begin and end), with these committed offsets."""
    queues = {
        topic: {
            queue_id: QueueOffsets(*(end if isinstance(end, tuple) else (0, end)))
            for queue_id, end in by_queue.items()
        }
        for topic, by_queue in ends.items()
    }
    committed = CommittedOffsets({key: dict(one) for key, one in (offsets or {}).items()})
    online = dict(consumers or {})
    return Tables(
        before=before or runtime_info(),
        after=after or before or runtime_info(),
        topics=TopicTable(
            {topic: TopicConfig(topic, len(one), len(one)) for topic, one in queues.items()}
        ),
        system_topics=(),
        groups=GroupTable({group: SubscriptionGroup(group) for group in online}),
        consumers=dict.fromkeys(committed.groups) | online,
        offsets=committed,
        delivered=delivered or {},
        queues=queues,
    )
