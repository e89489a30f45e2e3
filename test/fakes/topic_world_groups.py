"""What brokers of the topic world answer about groups, their clients and their offsets. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from fakes.topic_world_model import SCHEDULE, Broker, Client, Refusal
from fakes.topic_world_replies import Answer, missing, ok, queue_key, with_body
from rocketmq.calls import Request
from rocketmq.codes import RequestCode, ResponseCode
from rocketmq.messages.groups import SubscriptionGroup

_FIVE_FIELDS = (
    "consumeMessageOrderly",
    "groupRetryPolicy",
    "groupSysFlag",
    "consumeTimeoutMinute",
    "subscriptionDataSet",
    "attributes",
)
_FIVE_DEFAULTS = {
    "consumeMessageOrderly": False,
    "groupSysFlag": 0,
    "consumeTimeoutMinute": 15,
    "attributes": {},
}
_BUILT_IN = ("TOOLS_CONSUMER", "SELF_TEST_C_GROUP", "CID_RMQ_SYS_TRANS")


def _save(broker: Broker, request: Request) -> Answer:
    sent = msgspec.json.decode(request.body)
    changes = sent.pop("attributes", None) or {}
    known = broker.groups.get(sent["groupName"])
    if broker.five:
        before = (known.attributes if known else None) or {}
        gone = {key[1:] for key in changes if key.startswith("-")}
        now = {key[1:]: value for key, value in changes.items() if key.startswith("+")}
        sent["attributes"] = {k: v for k, v in before.items() if k not in gone} | now
        sent = _FIVE_DEFAULTS | sent
    else:
        sent = {key: value for key, value in sent.items() if key not in _FIVE_FIELDS}
    broker.save_group(msgspec.convert(sent, SubscriptionGroup))
    return ok()


def _all(broker: Broker, _: Request) -> Answer:
    own = {name: SubscriptionGroup(name) for name in _BUILT_IN}
    table = {name: _record(broker, one) for name, one in (own | broker.groups).items()}
    five = {"forbiddenTable": {}} if broker.five else {}
    version = {"counter": 1, "timestamp": 0}
    return with_body({"dataVersion": version, "subscriptionGroupTable": table, **five})


def _record(broker: Broker, group: SubscriptionGroup) -> dict[str, Any]:
    record = {key: value for key, value in msgspec.to_builtins(group).items() if value is not None}
    return _FIVE_DEFAULTS | record if broker.five else record


def _delete(broker: Broker, request: Request) -> Answer:
    flag = "cleanOffset" if broker.five else "removeOffset"
    with_offsets = request.ext_fields.get(flag) == "true"
    broker.delete_group(request.ext_fields["groupName"], with_offsets=with_offsets)
    return ok()


def _groups_of(broker: Broker, request: Request) -> Answer:
    return with_body({"groupList": list(broker.groups_of(request.ext_fields["topic"]))})


def _ids(broker: Broker, request: Request) -> Answer:
    group = request.ext_fields["consumerGroup"]
    online = broker.online(group)
    if not online:
        remark = f"no consumer for this group, {group}"
        return Answer(code=ResponseCode.SYSTEM_ERROR, remark=remark)
    return with_body({"consumerIdList": sorted(online)})


def _connection(broker: Broker, request: Request) -> Answer:
    group = request.ext_fields["consumerGroup"]
    online = broker.online(group)
    if not online:
        remark = f"the consumer group[{group}] not online"
        return Answer(code=ResponseCode.CONSUMER_NOT_ONLINE, remark=remark)
    first = next(iter(online.values()))
    return with_body(
        {
            "connectionSet": [_client(client_id) for client_id in sorted(online)],
            "consumeFromWhere": first.from_where,
            "consumeType": "CONSUME_PASSIVELY",
            "messageModel": "BROADCASTING" if first.broadcasting else "CLUSTERING",
            "subscriptionTable": _subscriptions(online),
        }
    )


def _client(client_id: str) -> dict[str, Any]:
    return {
        "clientAddr": "127.0.0.1:4000",
        "clientId": client_id,
        "language": "JAVA",
        "version": 407,
    }


def _subscriptions(online: Mapping[str, Client]) -> dict[str, Any]:
    return {
        topic: {"topic": topic, "subString": "*", "expressionType": "TAG", "subVersion": 1}
        for client in online.values()
        for topic in client.topics
    }


def _producers(broker: Broker, request: Request) -> Answer:
    group = request.ext_fields["producerGroup"]
    if group not in broker.producers:
        remark = f"the producer group[{group}] not exist"
        return Answer(code=ResponseCode.SYSTEM_ERROR, remark=remark)
    return with_body({"connectionSet": [_client(one) for one in sorted(broker.producers[group])]})


def _all_producers(broker: Broker, _: Request) -> Answer:
    return with_body(
        {
            "data": {
                group: [_client(one) for one in ones] for group, ones in broker.producers.items()
            }
        }
    )


def _stats(broker: Broker, request: Request) -> Answer:
    group, topic = request.ext_fields["consumerGroup"], request.ext_fields.get("topic")
    return Answer(body=_progress(broker, group, [topic] if topic else _topics(broker, group)))


def _topics(broker: Broker, group: str) -> list[str]:
    keys = (key.partition("@") for key in broker.offsets)
    return sorted(topic for topic, _, of in keys if of == group)


def _progress(broker: Broker, group: str, topics: list[str]) -> bytes:
    rows = []
    online = broker.online(group)
    subscribed = {topic for client in online.values() for topic in client.topics}
    for topic in topics:
        config = broker.topics.get(topic)
        if config is None or (online and topic not in subscribed):
            continue
        for queue_id in range(config.read_queue_nums):
            consumed = broker.committed(group, topic, queue_id) or 0
            pulled = f',"pullOffset":{consumed}' if broker.five else ""
            rows.append(
                f"{queue_key(topic, broker.name, queue_id)}:"
                f'{{"brokerOffset":{broker.end(topic, queue_id)},"consumerOffset":{consumed},'
                f'"lastTimestamp":0{pulled}}}'
            )
    return f'{{"consumeTps":0.0,"offsetTable":{{{",".join(rows)}}}}}'.encode()


def _all_stats(broker: Broker, _: Request) -> Answer:
    parts = []
    for group in sorted(broker.groups):
        one = _progress(broker, group, _topics(broker, group)).decode()
        parts.append(f"{{{json.dumps(group)}:[{one}]}}")
    name = json.dumps(broker.address)
    body = f'{{"brokerAddr":{name},"consumeStatsList":[{",".join(parts)}],"totalDiff":0}}'
    return Answer(body=body.encode())


def _committed(broker: Broker, request: Request) -> Answer:
    fields = request.ext_fields
    place = (fields["consumerGroup"], fields["topic"], int(fields["queueId"]))
    exact = broker.five and fields.get("setZeroIfNotFound") == "false"
    found = broker.committed(*place) if exact else broker.first_offset(*place)
    if found is None:
        return missing("Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first")
    return ok(offset=str(found))


def _commit(broker: Broker, request: Request) -> Answer:
    fields = request.ext_fields
    queue_id, offset = int(fields["queueId"]), int(fields["commitOffset"])
    broker.commit(fields["consumerGroup"], fields["topic"], queue_id, offset)
    return ok()


def _all_offsets(broker: Broker, _: Request) -> Answer:
    rows = [
        f"{json.dumps(key)}:{{{','.join(f'{queue}:{at}' for queue, at in queues.items())}}}"
        for key, queues in broker.offsets.items()
    ]
    return Answer(body=f'{{"offsetTable":{{{",".join(rows)}}}}}'.encode())


def _delayed(broker: Broker, _: Request) -> Answer:
    levels = {
        queue_id + 1: broker.delay_offsets.get(queue_id + 1, 0)
        for topic, queue_id in broker.queues
        if topic == SCHEDULE
    }
    rows = ",".join(f"{level}:{offset}" for level, offset in sorted(levels.items()))
    return Answer(body=f'{{"offsetTable":{{{rows}}}}}'.encode())


def _clone(broker: Broker, request: Request) -> Answer:
    fields = request.ext_fields
    topic = fields.get("topic", "")
    known = broker.offsets.get(f"{topic}@{fields['srcGroup']}")
    if known:
        broker.offsets[f"{topic}@{fields['destGroup']}"] = dict(known)
    return ok()


def _reset(broker: Broker, request: Request) -> Answer:
    fields = request.ext_fields
    group, topic, moment = fields["group"], fields["topic"], int(fields["timestamp"])
    if not broker.five:
        remark = "Consumer not online, so can not reset offset"
        raise Refusal(ResponseCode.CONSUMER_NOT_ONLINE, remark)
    config = broker.topics.get(topic)
    if config is None:
        raise Refusal(ResponseCode.TOPIC_NOT_EXIST, f"Topic {topic} does not exist")
    rows = []
    for queue_id in range(config.read_queue_nums):
        queue = broker.queue(topic, queue_id)
        earlier = sum(one.at * 1000 < moment for one in queue.messages)
        offset = queue.end if moment < 0 else earlier
        broker.offsets.setdefault(f"{topic}@{group}", {})[queue_id] = offset
        rows.append(f"{queue_key(topic, broker.name, queue_id)}:{offset}")
    return Answer(body=f'{{"offsetTable":{{{",".join(rows)}}}}}'.encode())


GROUP_ANSWERS: Mapping[int, Callable[[Broker, Request], Answer]] = MappingProxyType(
    {
        RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP: _save,
        RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG: _all,
        RequestCode.DELETE_SUBSCRIPTIONGROUP: _delete,
        RequestCode.QUERY_TOPIC_CONSUME_BY_WHO: _groups_of,
        RequestCode.GET_CONSUMER_LIST_BY_GROUP: _ids,
        RequestCode.GET_CONSUMER_CONNECTION_LIST: _connection,
        RequestCode.GET_PRODUCER_CONNECTION_LIST: _producers,
        RequestCode.GET_ALL_PRODUCER_INFO: _all_producers,
        RequestCode.GET_CONSUME_STATS: _stats,
        RequestCode.GET_BROKER_CONSUME_STATS: _all_stats,
        RequestCode.QUERY_CONSUMER_OFFSET: _committed,
        RequestCode.UPDATE_CONSUMER_OFFSET: _commit,
        RequestCode.GET_ALL_CONSUMER_OFFSET: _all_offsets,
        RequestCode.GET_ALL_DELAY_OFFSET: _delayed,
        RequestCode.CLONE_GROUP_OFFSET: _clone,
        RequestCode.INVOKE_BROKER_TO_RESET_OFFSET: _reset,
    }
)
"""By request code: what a broker answers."""
