"""The topics and groups of a simulated broker, and what it answers about them. Pure.

Tables live where the broker's log does; with a new one a master starts closed, as `closed.sh` has
it. Facts: the remoting dossier, 2.3 and 2.4; 4.x keeps no order and no attributes of a topic.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from rocketmq.codes import MQVersion, RequestCode, ResponseCode
from rocketmq.frames import Frame
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig
from rocketmq.routes import READ

CLOSED = "1"
"""The permission of a master whose store is new (`closed.sh`)."""

Answer = tuple[int, str, dict[str, str], bytes]
"""Code, remark, header fields and body."""

SYSTEM_TOPICS = ("SCHEDULE_TOPIC_XXXX", "TBW102", "SELF_TEST_TOPIC")
SYSTEM_GROUPS = ("TOOLS_CONSUMER", "CID_RMQ_SYS_TRANS")


class Tables(msgspec.Struct):
    """What a broker keeps beside its log; `marker` as `closed.sh` has it."""

    topics: dict[str, TopicConfig] = {}
    groups: dict[str, SubscriptionGroup] = {}
    marker: Literal["", "new", "left"] = ""
    writes: int = 0
    """Records that were written by requests."""

    def start_permission(self, own: str, *, leaving: bool) -> str:
        """What a master is started with, whose user gives it `own`."""
        if leaving and self.marker != "new":
            self.marker = "left"
            return str(int(own) & READ)
        return CLOSED if self.marker else own

    def note(self, permission: str, *, leaving: bool) -> None:
        """The marker follows the permission that a master has."""
        if permission != CLOSED:
            self.marker = "left" if leaving else ""


def answer(
    tables: Tables, names: tuple[str, ...], version: MQVersion, request: Frame
) -> Answer | None:
    """The response, after the request has had its effect; None: it is about something else.

    `names` are the topics that are called as the broker and its cluster.
    """
    match request.code:
        case RequestCode.GET_ALL_TOPIC_CONFIG:
            own = {name: TopicConfig(name) for name in (*SYSTEM_TOPICS, *names)}
            return _json({"topicConfigTable": own | tables.topics})
        case RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER:
            return _json({"topicList": [*SYSTEM_TOPICS, *names]})
        case RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG:
            own_groups = {name: SubscriptionGroup(name) for name in SYSTEM_GROUPS}
            return _json({"subscriptionGroupTable": own_groups | tables.groups})
        case _:
            done = _saved(tables, version, request)
            return (ResponseCode.SUCCESS, "", {}, b"") if done else None


def _saved(tables: Tables, version: MQVersion, request: Frame) -> bool:
    """Whether it was a request that writes, which has had its effect now."""
    match request.code:
        case RequestCode.UPDATE_AND_CREATE_TOPIC:
            _save_topic(tables, _topic(request), version)
        case RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP:
            _save_group(tables, msgspec.json.decode(request.body, type=SubscriptionGroup))
        case RequestCode.UPDATE_AND_CREATE_TOPIC_LIST if version >= MQVersion.V5_3_0:
            _save_topics(tables, request.body, version)
        case RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST if version >= MQVersion.V5_3_1:
            for one in msgspec.json.decode(request.body)["groupConfigList"]:
                _save_group(tables, msgspec.convert(one, SubscriptionGroup))
        case _:
            return False
    return True


def _save_topics(tables: Tables, body: bytes, version: MQVersion) -> None:
    for one in msgspec.json.decode(body)["topicConfigList"]:
        topic = msgspec.convert(one, TopicConfig)
        attributes = {key.removeprefix("+"): value for key, value in topic.attributes.items()}
        topic = msgspec.structs.replace(topic, attributes=attributes)
        if tables.topics.get(topic.topic_name) == topic:
            return  # and the rest is left out, without a word
        _save_topic(tables, topic, version)


def _save_topic(tables: Tables, topic: TopicConfig, version: MQVersion) -> None:
    if version < MQVersion.V5_0_0:
        topic = msgspec.structs.replace(topic, order=False, attributes={})
    tables.topics[topic.topic_name] = topic
    tables.writes += 1


def _save_group(tables: Tables, group: SubscriptionGroup) -> None:
    tables.groups[group.group_name] = group
    tables.writes += 1


def _topic(request: Frame) -> TopicConfig:
    fields = request.ext_fields
    changes = filter(None, fields.get("attributes", "").split(","))
    pairs = (change.removeprefix("+").partition("=") for change in changes)
    return TopicConfig(
        fields["topic"],
        read_queue_nums=int(fields["readQueueNums"]),
        write_queue_nums=int(fields["writeQueueNums"]),
        perm=int(fields["perm"]),
        order=fields["order"] == "true",
        attributes={key: value for key, _, value in pairs},
    )


def _json(body: dict[str, Any]) -> Answer:
    return ResponseCode.SUCCESS, "", {}, msgspec.json.encode(body)
