"""What brokers of the topic world answer about topics, their queues and themselves. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from fakes.topic_world_model import DELAYS_S, SCHEDULE, TIMER, Broker, Refusal
from fakes.topic_world_replies import Answer, Fields, ok, queue_key, unknown, with_body
from rocketmq import properties
from rocketmq.calls import Request
from rocketmq.codes import MQVersion, RequestCode, ResponseCode
from rocketmq.messages.topics import TopicConfig


def _save(broker: Broker, request: Request) -> Answer:
    told = broker.save_topic(_config(broker, request.ext_fields))
    topics = (request.ext_fields["topic"],) if told else ()
    return Answer(remark="not set any response code", told=topics)


def _delete(broker: Broker, request: Request) -> Answer:
    broker.delete_topic(request.ext_fields["topic"])
    return ok()


def _one(broker: Broker, request: Request) -> Answer:
    if not broker.five:
        return unknown(request.code)
    return with_body(_record(broker, _existing(broker, request.ext_fields["topic"])))


def _end(broker: Broker, request: Request) -> Answer:
    fields = request.ext_fields
    return ok(offset=str(broker.end(fields["topic"], int(fields["queueId"]))))


def _start(broker: Broker, request: Request) -> Answer:
    fields = request.ext_fields
    return ok(offset=str(broker.start(fields["topic"], int(fields["queueId"]))))


def _system_topics(broker: Broker, _: Request) -> Answer:
    return with_body({"topicList": list(broker.system_topics)})


def _config(broker: Broker, fields: Fields) -> TopicConfig:
    known = broker.topics.get(fields["topic"])
    attributes = dict(known.attributes) if known else {}
    for change in filter(None, fields.get("attributes", "").split(",")):
        key, _, value = change[1:].partition("=")
        if change[0] == "+":
            attributes[key] = value
        else:
            attributes.pop(key, None)
    return TopicConfig(
        topic_name=fields["topic"],
        read_queue_nums=int(fields["readQueueNums"]),
        write_queue_nums=int(fields["writeQueueNums"]),
        perm=int(fields["perm"]),
        topic_filter_type=fields["topicFilterType"],
        topic_sys_flag=int(fields.get("topicSysFlag", "0")),
        order=fields.get("order") == "true",
        attributes=attributes,
    )


def _existing(broker: Broker, topic: str) -> TopicConfig:
    if topic not in broker.topics:
        remark = f"No topic in this broker. topic: {topic}"
        raise Refusal(ResponseCode.TOPIC_NOT_EXIST, remark)
    return broker.topics[topic]


def _record(broker: Broker, config: TopicConfig) -> dict[str, Any]:
    record: dict[str, Any] = msgspec.to_builtins(config)
    if not broker.five:
        del record["attributes"]
    return record


def _topics(broker: Broker, _: Request) -> Answer:
    own = [TopicConfig(topic) for topic in broker.system_topics]
    table = {one.topic_name: _record(broker, one) for one in (*own, *broker.topics.values())}
    version = {"counter": broker.topics_version, "timestamp": 0}
    return with_body({"dataVersion": version, "topicConfigTable": table})


def _stats(broker: Broker, request: Request) -> Answer:
    topic = request.ext_fields["topic"]
    config = _existing(broker, topic)
    count = config.write_queue_nums
    if broker.version >= MQVersion.V5_3_0:
        count = max(count, config.read_queue_nums)
    rows = [
        f"{queue_key(topic, broker.name, queue_id)}:"
        f'{{"lastUpdateTimestamp":{_last_ms(broker, topic, queue_id)},'
        f'"maxOffset":{broker.end(topic, queue_id)},"minOffset":{broker.start(topic, queue_id)}}}'
        for queue_id in range(count)
    ]
    return Answer(body=f'{{"offsetTable":{{{",".join(rows)}}}}}'.encode())


def _last_ms(broker: Broker, topic: str, queue_id: int) -> int:
    found = broker.queues.get((topic, queue_id))
    return int(found.messages[-1].at * 1000) if found and found.messages else 0


def _offset_at(broker: Broker, request: Request) -> Answer:
    fields = request.ext_fields
    found = broker.queues.get((fields["topic"], int(fields["queueId"])))
    ats = [one.at * 1000 for one in found.messages] if found else []
    return ok(offset=str(sum(at < int(fields["timestamp"]) for at in ats)))


def _runtime_info(broker: Broker, _: Request) -> Answer:
    table = {
        "bootTimestamp": "0",
        "brokerVersion": str(int(broker.version)),
        "brokerVersionDesc": broker.version.name,
        "commitLogMaxOffset": str(broker.stored_bytes),
        "commitLogMinOffset": "0",
        "commitLogDiskRatio": "0.1",
        "dispatchBehindBytes": "0",
        "putTps": "0.0 0.0 0.0",
    }
    for level in range(1, len(DELAYS_S) + 1):
        if broker.end(SCHEDULE, level - 1):
            done = broker.delay_offsets.get(level, 0)
            table[f"scheduleMessageOffset_{level}"] = f"{done},{broker.end(SCHEDULE, level - 1)}"
    if broker.five:
        table |= {
            "brokerActive": "true" if broker.master else "false",
            "timerCongestNum": str(len(broker.timers)),
            "timerDequeueTps": "0.0",
            "timerEnqueueTps": "0.0",
            "timerOffsetBehind": "0",
            "timerReadBehind": "0",
            "timerTopicOffset": str(broker.end(TIMER, 0)),
        }
    return with_body({"table": table})


def _settings(broker: Broker, _: Request) -> Answer:
    own = {
        "brokerClusterName": broker.cluster,
        "brokerName": broker.name,
        "brokerId": str(broker.id),
        "brokerPermission": "6",
        "autoCreateTopicEnable": str(broker.auto_topics).lower(),
        "autoCreateSubscriptionGroup": str(broker.auto_groups).lower(),
    }
    since_five = {"timerWheelEnable": "true"} if broker.five else {}
    settings = own | since_five | broker.settings
    text = "".join(f"{key}={value}\n" for key, value in settings.items())
    return Answer(body=text.encode(), fields={"version": '{"counter":1}'})


def _update(broker: Broker, request: Request) -> Answer:
    changes = properties.parsed(request.body.decode())
    broker.settings |= changes
    if "brokerPermission" not in changes:
        return ok()
    broker.topics_version += 1
    return Answer(told=("",))


TOPIC_ANSWERS: Mapping[int, Callable[[Broker, Request], Answer]] = MappingProxyType(
    {
        RequestCode.UPDATE_AND_CREATE_TOPIC: _save,
        RequestCode.DELETE_TOPIC_IN_BROKER: _delete,
        RequestCode.GET_ALL_TOPIC_CONFIG: _topics,
        RequestCode.GET_TOPIC_CONFIG: _one,
        RequestCode.GET_TOPIC_STATS_INFO: _stats,
        RequestCode.GET_MAX_OFFSET: _end,
        RequestCode.GET_MIN_OFFSET: _start,
        RequestCode.SEARCH_OFFSET_BY_TIMESTAMP: _offset_at,
        RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER: _system_topics,
        RequestCode.GET_BROKER_RUNTIME_INFO: _runtime_info,
        RequestCode.GET_BROKER_CONFIG: _settings,
        RequestCode.UPDATE_BROKER_CONFIG: _update,
    }
)
"""By request code: what a broker answers."""
