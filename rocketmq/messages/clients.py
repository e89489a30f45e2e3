"""What producers and consumers do: send, pull, heartbeat (dossier 2.6). Pure.

The subset that drains, probes and tests need: no batches, no transactions, no rebalancing.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode, ResponseCode
from rocketmq.messages.groups import Subscription
from rocketmq.messages.operation import Operation, field_number, field_text, header, nothing
from rocketmq.messages.stored import Message, messages, properties_text
from rocketmq.messages.topics import DEFAULT_TOPIC

ANY_QUEUE = -1
"""The broker chooses a queue."""

_WITH_SUBSCRIPTION = 4
_SUSPEND = 2
_NOT_DURABLE = frozenset(
    {
        ResponseCode.FLUSH_DISK_TIMEOUT,
        ResponseCode.SLAVE_NOT_AVAILABLE,
        ResponseCode.FLUSH_SLAVE_TIMEOUT,
    }
)
_NO_MESSAGES = frozenset(
    {
        ResponseCode.PULL_NOT_FOUND,
        ResponseCode.PULL_RETRY_IMMEDIATELY,
        ResponseCode.PULL_OFFSET_MOVED,
    }
)


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message to send; `born_timestamp` is its time in milliseconds."""

    topic: str
    body: bytes
    producer_group: str
    born_timestamp: int
    queue_id: int = ANY_QUEUE
    properties: dict[str, str] = {}
    flag: int = 0
    sys_flag: int = 0


class Sent(msgspec.Struct, frozen=True):
    """A stored message; `doubt` says why it is not yet as safe as configured (else None)."""

    message_id: str
    queue_id: int
    queue_offset: int
    doubt: ResponseCode | None


class PullStatus(IntEnum):
    """What a pull found."""

    FOUND = 0
    NOTHING_NEW = ResponseCode.PULL_NOT_FOUND
    FILTERED = ResponseCode.PULL_RETRY_IMMEDIATELY
    OFFSET_MOVED = ResponseCode.PULL_OFFSET_MOVED


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """Where to read; `suspend_ms` above 0 lets the broker wait that long for a message."""

    group: str
    topic: str
    queue_id: int
    offset: int
    limit: int = 32
    suspend_ms: int = 0
    subscription: str = "*"


class Pulled(msgspec.Struct, frozen=True):
    """What came, and where to go on: `next_offset`, whatever the status is."""

    status: PullStatus
    messages: tuple[Message, ...]
    next_offset: int
    min_offset: int
    max_offset: int


class ConsumerData(msgspec.Struct, frozen=True, rename="camel"):
    """A group that the client consumes for."""

    group_name: str
    subscription_data_set: tuple[Subscription, ...]
    consume_type: str = "CONSUME_PASSIVELY"
    message_model: str = "CLUSTERING"
    consume_from_where: str = "CONSUME_FROM_LAST_OFFSET"
    unit_mode: bool = False


class ProducerData(msgspec.Struct, frozen=True, rename="camel"):
    """A group that the client produces for."""

    group_name: str


class Heartbeat(msgspec.Struct, frozen=True):
    """Who the client is; a broker forgets it after 120 seconds, or when the line ends."""

    client_id: str = msgspec.field(name="clientID")
    producers: tuple[ProducerData, ...] = msgspec.field(default=(), name="producerDataSet")
    consumers: tuple[ConsumerData, ...] = msgspec.field(default=(), name="consumerDataSet")


def send(message: Outgoing) -> Operation[Sent]:
    """SEND_MESSAGE_V2 310."""
    fields = header(
        a=message.producer_group,
        b=message.topic,
        c=DEFAULT_TOPIC,
        d=4,
        e=message.queue_id,
        f=message.sys_flag,
        g=message.born_timestamp,
        h=message.flag,
        i=properties_text(message.properties),
        j=0,
        k=False,
        m=False,
    )

    def answer(response: Response) -> Sent:
        return Sent(
            field_text(response, "msgId"),
            field_number(response, "queueId"),
            field_number(response, "queueOffset"),
            ResponseCode(response.code) if response.code in _NOT_DURABLE else None,
        )

    request = Request(RequestCode.SEND_MESSAGE_V2, fields, message.body)
    return Operation(request, answer, allow=frozenset(_NOT_DURABLE))


def pull(asked: Pull) -> Operation[Pulled]:
    """PULL_MESSAGE 11, with the subscription in the request: no heartbeat is needed."""
    fields = header(
        consumerGroup=asked.group,
        topic=asked.topic,
        queueId=asked.queue_id,
        queueOffset=asked.offset,
        maxMsgNums=asked.limit,
        sysFlag=_WITH_SUBSCRIPTION | (_SUSPEND if asked.suspend_ms else 0),
        commitOffset=0,
        suspendTimeoutMillis=asked.suspend_ms,
        subscription=asked.subscription,
        subVersion=0,
        expressionType="TAG",
    )

    def answer(response: Response) -> Pulled:
        return Pulled(
            PullStatus(response.code),
            messages(response.body) if response.code == PullStatus.FOUND else (),
            field_number(response, "nextBeginOffset"),
            field_number(response, "minOffset"),
            field_number(response, "maxOffset"),
        )

    timeout_s = 5.0 + asked.suspend_ms / 1000
    request = Request(RequestCode.PULL_MESSAGE, fields)
    return Operation(request, answer, timeout_s, frozenset(_NO_MESSAGES))


def heartbeat(beat: Heartbeat) -> Operation[None]:
    """HEART_BEAT 34."""
    return Operation(Request(RequestCode.HEART_BEAT, {}, msgspec.json.encode(beat)), nothing)


def unregister(
    client_id: str, producer_group: str | None, consumer_group: str | None
) -> Operation[None]:
    """UNREGISTER_CLIENT 35."""
    fields = header(clientID=client_id, producerGroup=producer_group, consumerGroup=consumer_group)
    return Operation(Request(RequestCode.UNREGISTER_CLIENT, fields), nothing)
