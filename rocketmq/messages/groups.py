"""Subscription groups on a broker, their consumers and how far they are (dossier 2.4). Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode, ResponseCode
from rocketmq.errors import for_code
from rocketmq.fastjson import MessageQueue
from rocketmq.messages.operation import (
    CONSUME_STATS_TIMEOUT_S,
    MANY_TIMEOUT_S,
    Operation,
    body_as,
    header,
    in_body,
    nothing,
)
from rocketmq.messages.values import DataVersion


class ExponentialRetry(msgspec.Struct, frozen=True):
    """Waits from `initial` to `max`, each `multiplier` times the one before; milliseconds."""

    initial: int = 5_000
    max: int = 7_200_000
    multiplier: int = 2


class CustomizedRetry(msgspec.Struct, frozen=True):
    """Waits in milliseconds, one after the other."""

    next: tuple[int, ...] = ()


class GroupRetryPolicy(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """When a message is tried again (5.x): CUSTOMIZED or EXPONENTIAL."""

    type: str = "CUSTOMIZED"
    exponential_retry_policy: ExponentialRetry | None = None
    customized_retry_policy: CustomizedRetry | None = None


class GroupSubscription(msgspec.Struct, frozen=True, rename="camel"):
    """A topic that the group is bound to (5.x)."""

    topic: str
    expression_type: str | None = None
    expression: str | None = None
    version: int = 0


class SubscriptionGroup(msgspec.Struct, frozen=True, rename="camel"):
    """A group as a broker keeps it; the defaults are the broker's own.

    The fields that are None do not exist in 4.x; left at None, a 5.x broker takes its defaults.
    """

    group_name: str
    consume_enable: bool = True
    consume_from_min_enable: bool = True
    consume_broadcast_enable: bool = True
    retry_queue_nums: int = 1
    retry_max_times: int = 16
    broker_id: int = 0
    which_broker_when_consume_slowly: int = 1
    notify_consumer_ids_changed_enable: bool = True
    consume_message_orderly: bool | None = None
    group_retry_policy: GroupRetryPolicy | None = None
    group_sys_flag: int | None = None
    consume_timeout_minute: int | None = None
    subscription_data_set: tuple[GroupSubscription, ...] | None = None
    attributes: dict[str, str] | None = None


class GroupTable(msgspec.Struct, frozen=True, rename="camel"):
    """All groups of a broker, its own among them."""

    subscription_group_table: dict[str, SubscriptionGroup] = {}
    data_version: DataVersion = DataVersion()


class QueueProgress(msgspec.Struct, frozen=True, rename="camel"):
    """How far a group is in one queue; `last_timestamp` is of the last message consumed (ms).

    A queue that was never committed has a `consumer_offset` of 0: its lag is the whole queue.
    `pull_offset` exists from 5.0.
    """

    broker_offset: int
    consumer_offset: int
    last_timestamp: int = 0
    pull_offset: int | None = None

    @property
    def lag(self) -> int:
        """Messages not yet acknowledged."""
        return self.broker_offset - self.consumer_offset


class ConsumeStats(msgspec.Struct, frozen=True, rename="camel"):
    """A group's progress on one broker.

    Empty for unknown and for broadcasting groups; a topic that an online group does not subscribe
    to is missing.
    """

    offset_table: dict[MessageQueue, QueueProgress] = {}
    consume_tps: float = 0.0

    @property
    def lag(self) -> int:
        """Messages not yet acknowledged, over all queues."""
        return sum(progress.lag for progress in self.offset_table.values())


class BrokerConsumeStats(msgspec.Struct, frozen=True, rename="camel"):
    """The progress of every group on a broker; `total_inflight_diff` exists from 5.0."""

    broker_addr: str = ""
    consume_stats_list: tuple[dict[str, tuple[ConsumeStats, ...]], ...] = ()
    total_diff: int = 0
    total_inflight_diff: int | None = None

    @property
    def by_group(self) -> dict[str, tuple[ConsumeStats, ...]]:
        """The progress of each group, topic by topic."""
        return {group: stats for part in self.consume_stats_list for group, stats in part.items()}


class ClientConnection(msgspec.Struct, frozen=True, rename="camel"):
    """A client that is connected to the broker."""

    client_id: str
    client_addr: str
    language: str = ""
    version: int = 0


class ProducerInfo(msgspec.Struct, frozen=True, rename="camel"):
    """A connected producer and when it was last heard of (ms)."""

    client_id: str
    remote_address: str = msgspec.field(default="", name="remoteIP")
    language: str = ""
    version: int = 0
    last_update_timestamp: int = 0


class Subscription(msgspec.Struct, frozen=True, rename="camel"):
    """What a consumer wants of a topic."""

    topic: str
    sub_string: str = "*"
    expression_type: str = "TAG"
    sub_version: int = 0
    class_filter_mode: bool = False
    tags_set: tuple[str, ...] = ()
    code_set: tuple[int, ...] = ()


class ConsumerConnection(msgspec.Struct, frozen=True, rename="camel"):
    """A group's connected consumers and what they subscribe to."""

    connection_set: tuple[ClientConnection, ...] = ()
    subscription_table: dict[str, Subscription] = {}
    consume_type: str | None = None
    message_model: str | None = None
    consume_from_where: str | None = None

    @property
    def broadcasting(self) -> bool:
        """Whether each consumer gets every message, and keeps its offsets to itself."""
        return self.message_model == "BROADCASTING"


class _Ids(msgspec.Struct, frozen=True, rename="camel"):
    consumer_id_list: tuple[str, ...] = ()


class _Connections(msgspec.Struct, frozen=True, rename="camel"):
    connection_set: tuple[ClientConnection, ...] = ()


class _Producers(msgspec.Struct, frozen=True):
    data: dict[str, tuple[ProducerInfo, ...]] = {}


def all_groups() -> Operation[GroupTable]:
    """GET_ALL_SUBSCRIPTIONGROUP_CONFIG 201."""
    return Operation(Request(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG), in_body(GroupTable))


def save_group(config: SubscriptionGroup, replaced: SubscriptionGroup | None) -> Operation[None]:
    """UPDATE_AND_CREATE_SUBSCRIPTIONGROUP 200."""
    before = (replaced.attributes if replaced else None) or {}
    wanted = config.attributes or {}
    attributes = {f"+{key}": value for key, value in wanted.items() if before.get(key) != value}
    attributes |= {f"-{key}": "" for key in before if key not in wanted}
    body = msgspec.json.encode(_sent(config, attributes))
    return Operation(Request(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, {}, body), nothing)


def create_groups(configs: Iterable[SubscriptionGroup]) -> Operation[None]:
    """UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST 225, from 5.3.1."""
    new = [
        _sent(config, {f"+{key}": value for key, value in (config.attributes or {}).items()})
        for config in configs
    ]
    body = msgspec.json.encode({"groupConfigList": new})
    request = Request(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, {}, body)
    return Operation(request, nothing, MANY_TIMEOUT_S)


def _sent(config: SubscriptionGroup, attributes: dict[str, str]) -> dict[str, object]:
    """The record as it is written: what a version does not have is left out."""
    sent: dict[str, object] = msgspec.to_builtins(
        msgspec.structs.replace(config, attributes=attributes or None)
    )
    return {key: value for key, value in sent.items() if value is not None}


def delete_group(name: str, *, with_offsets: bool) -> Operation[None]:
    """DELETE_SUBSCRIPTIONGROUP 207; 4.9 and 5.x spell the flag differently."""
    fields = header(groupName=name, removeOffset=with_offsets, cleanOffset=with_offsets)
    return Operation(Request(RequestCode.DELETE_SUBSCRIPTIONGROUP, fields), nothing)


def consume_stats(group_name: str, topic: str | None) -> Operation[ConsumeStats]:
    """GET_CONSUME_STATS 208."""
    fields = header(consumerGroup=group_name, topic=topic)
    request = Request(RequestCode.GET_CONSUME_STATS, fields)
    return Operation(request, in_body(ConsumeStats), CONSUME_STATS_TIMEOUT_S)


def broker_consume_stats(*, ordered: bool) -> Operation[BrokerConsumeStats]:
    """GET_BROKER_CONSUME_STATS 317."""
    request = Request(RequestCode.GET_BROKER_CONSUME_STATS, header(isOrder=ordered))
    return Operation(request, in_body(BrokerConsumeStats), CONSUME_STATS_TIMEOUT_S)


def consumer_ids(group_name: str) -> Operation[tuple[str, ...]]:
    """GET_CONSUMER_LIST_BY_GROUP 38; SYSTEM_ERROR with its own sentence means nobody."""
    read = in_body(_Ids)
    request = Request(RequestCode.GET_CONSUMER_LIST_BY_GROUP, header(consumerGroup=group_name))

    def answer(response: Response) -> tuple[str, ...]:
        return (
            ()
            if _nobody(response, "no consumer for this group")
            else read(response).consumer_id_list
        )

    return Operation(request, answer, allow=frozenset({ResponseCode.SYSTEM_ERROR}))


def consumer_connection(group_name: str) -> Operation[ConsumerConnection | None]:
    """GET_CONSUMER_CONNECTION_LIST 203."""
    request = Request(RequestCode.GET_CONSUMER_CONNECTION_LIST, header(consumerGroup=group_name))

    def answer(response: Response) -> ConsumerConnection | None:
        offline = response.code == ResponseCode.CONSUMER_NOT_ONLINE
        return None if offline else body_as(ConsumerConnection, response.body)

    return Operation(request, answer, allow=frozenset({ResponseCode.CONSUMER_NOT_ONLINE}))


def producer_connections(group_name: str) -> Operation[tuple[ClientConnection, ...]]:
    """GET_PRODUCER_CONNECTION_LIST 204; SYSTEM_ERROR with its own sentence means nobody."""
    read = in_body(_Connections)
    request = Request(RequestCode.GET_PRODUCER_CONNECTION_LIST, header(producerGroup=group_name))

    def answer(response: Response) -> tuple[ClientConnection, ...]:
        return () if _nobody(response, "the producer group[") else read(response).connection_set

    return Operation(request, answer, allow=frozenset({ResponseCode.SYSTEM_ERROR}))


def all_producers() -> Operation[dict[str, tuple[ProducerInfo, ...]]]:
    """GET_ALL_PRODUCER_INFO 328, from 4.9."""
    read = in_body(_Producers)
    request = Request(RequestCode.GET_ALL_PRODUCER_INFO)
    return Operation(request, lambda response: read(response).data)


def _nobody(response: Response, remark: str) -> bool:
    if response.code != ResponseCode.SYSTEM_ERROR:
        return False
    if response.remark.startswith(remark):
        return True
    raise for_code(response.code, response.remark)
