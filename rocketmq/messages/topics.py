"""Topics on a broker (dossier 2.3). Pure.

A topic is written to the master of each broker set and read anywhere. Writing replaces the whole
record but for its attributes, so read it, change it and write it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode
from rocketmq.fastjson import MessageQueue
from rocketmq.messages.name_servers import topic_names
from rocketmq.messages.operation import (
    MANY_TIMEOUT_S,
    Operation,
    field_number,
    header,
    in_body,
    nothing,
)
from rocketmq.messages.values import DataVersion
from rocketmq.routes import READ, WRITE

DEFAULT_TOPIC = "TBW102"
"""The template of automatically created topics: requests must name it."""


class TopicConfig(msgspec.Struct, frozen=True, rename="camel"):
    """A topic as a broker keeps it; the defaults are those of `mqadmin updateTopic`."""

    topic_name: str
    read_queue_nums: int = 8
    write_queue_nums: int = 8
    perm: int = READ | WRITE
    topic_filter_type: str = "SINGLE_TAG"
    topic_sys_flag: int = 0
    order: bool = False
    attributes: dict[str, str] = {}


class TopicTable(msgspec.Struct, frozen=True, rename="camel"):
    """All topics of a broker, its own among them.

    `topic_queue_mapping_detail_map` has the static topics of 5.x: which of their queues it hosts.
    """

    topic_config_table: dict[str, TopicConfig] = {}
    data_version: DataVersion = DataVersion()
    topic_queue_mapping_detail_map: dict[str, object] | None = None


class QueueOffsets(msgspec.Struct, frozen=True, rename="camel"):
    """The oldest offset of a queue, the next to be written, and the time of the last (ms)."""

    min_offset: int
    max_offset: int
    last_update_timestamp: int = 0


class TopicStats(msgspec.Struct, frozen=True, rename="camel"):
    """The queues of a topic on one broker.

    Before 5.3 those that producers write to, so after shrinking that number the upper ones are
    missing: to prove that a topic is empty, ask for the offsets of each queue.
    """

    offset_table: dict[MessageQueue, QueueOffsets] = {}
    topic_put_tps: float = 0.0


class _Groups(msgspec.Struct, frozen=True, rename="camel"):
    group_list: tuple[str, ...] = ()


def all_topics() -> Operation[TopicTable]:
    """GET_ALL_TOPIC_CONFIG 21."""
    return Operation(Request(RequestCode.GET_ALL_TOPIC_CONFIG), in_body(TopicTable))


def topic(name: str) -> Operation[TopicConfig]:
    """GET_TOPIC_CONFIG 351, from 5.0."""
    return Operation(
        Request(RequestCode.GET_TOPIC_CONFIG, header(topic=name)), in_body(TopicConfig)
    )


def save_topic(config: TopicConfig, replaced: TopicConfig | None) -> Operation[None]:
    """UPDATE_AND_CREATE_TOPIC 17."""
    fields = header(
        topic=config.topic_name,
        defaultTopic=DEFAULT_TOPIC,
        readQueueNums=config.read_queue_nums,
        writeQueueNums=config.write_queue_nums,
        perm=config.perm,
        topicFilterType=config.topic_filter_type,
        topicSysFlag=config.topic_sys_flag,
        order=config.order,
        attributes=attribute_changes(config.attributes, replaced.attributes if replaced else {})
        or None,
    )
    return Operation(Request(RequestCode.UPDATE_AND_CREATE_TOPIC, fields), nothing)


def create_topics(configs: Iterable[TopicConfig]) -> Operation[None]:
    """UPDATE_AND_CREATE_TOPIC_LIST 18, from 5.3.0."""
    new = [
        msgspec.structs.replace(
            config, attributes={f"+{key}": value for key, value in config.attributes.items()}
        )
        for config in configs
    ]
    body = msgspec.json.encode({"topicConfigList": new})
    request = Request(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, {}, body)
    return Operation(request, nothing, MANY_TIMEOUT_S)


def attribute_changes(wanted: Mapping[str, str], current: Mapping[str, str]) -> str:
    """`+key=value` to set and `-key` to remove, for what differs alone.

    A broker refuses to set an immutable attribute again, even to the value that it has.
    """
    changed = [f"+{key}={value}" for key, value in wanted.items() if current.get(key) != value]
    return ",".join(changed + [f"-{key}" for key in current if key not in wanted])


def delete_topic(name: str) -> Operation[None]:
    """DELETE_TOPIC_IN_BROKER 215."""
    return Operation(Request(RequestCode.DELETE_TOPIC_IN_BROKER, header(topic=name)), nothing)


def topic_stats(name: str) -> Operation[TopicStats]:
    """GET_TOPIC_STATS_INFO 202."""
    request = Request(RequestCode.GET_TOPIC_STATS_INFO, header(topic=name))
    return Operation(request, in_body(TopicStats))


def max_offset(name: str, queue_id: int) -> Operation[int]:
    """GET_MAX_OFFSET 30."""
    fields = header(topic=name, queueId=queue_id)
    return Operation(Request(RequestCode.GET_MAX_OFFSET, fields), _offset)


def min_offset(name: str, queue_id: int) -> Operation[int]:
    """GET_MIN_OFFSET 31."""
    fields = header(topic=name, queueId=queue_id)
    return Operation(Request(RequestCode.GET_MIN_OFFSET, fields), _offset)


def offset_at(name: str, queue_id: int, timestamp_ms: int) -> Operation[int]:
    """SEARCH_OFFSET_BY_TIMESTAMP 29."""
    fields = header(topic=name, queueId=queue_id, timestamp=timestamp_ms)
    return Operation(Request(RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, fields), _offset)


def system_topics() -> Operation[tuple[str, ...]]:
    """GET_SYSTEM_TOPIC_LIST_FROM_BROKER 305."""
    return Operation(Request(RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER), topic_names)


def groups_of_topic(name: str) -> Operation[tuple[str, ...]]:
    """QUERY_TOPIC_CONSUME_BY_WHO 300."""
    read = in_body(_Groups)
    request = Request(RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, header(topic=name))
    return Operation(request, lambda response: read(response).group_list)


def _offset(response: Response) -> int:
    return field_number(response, "offset")
