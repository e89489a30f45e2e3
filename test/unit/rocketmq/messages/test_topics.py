from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.rocketmq_caller import answer
from rocketmq.fastjson import MessageQueue
from rocketmq.messages import topics
from rocketmq.messages.topics import QueueOffsets, TopicConfig, attribute_changes

_NAMES = st.sampled_from(["queue.type", "message.type", "cleanup.policy", "reserve.time"])
_ATTRIBUTES = st.dictionaries(_NAMES, st.sampled_from(["a", "b"]))


def test_a_topic_is_sent_with_every_field_that_a_broker_wants() -> None:
    config = TopicConfig("t1", read_queue_nums=4, write_queue_nums=3, perm=4, order=True)
    assert topics.save_topic(config, None).request.ext_fields == {
        "topic": "t1",
        "defaultTopic": "TBW102",
        "readQueueNums": "4",
        "writeQueueNums": "3",
        "perm": "4",
        "topicFilterType": "SINGLE_TAG",
        "topicSysFlag": "0",
        "order": "true",
    }


@given(wanted=_ATTRIBUTES, current=_ATTRIBUTES)
def test_applied_changes_make_the_attributes_wanted_and_nothing_is_set_twice(
    wanted: dict[str, str], current: dict[str, str]
) -> None:
    made = dict(current)
    for change in filter(None, attribute_changes(wanted, current).split(",")):
        name, _, value = change[1:].partition("=")
        if change[0] == "-":
            del made[name]
        else:
            assert made.get(name) != value
            made[name] = value
    assert made == wanted


def test_no_change_of_attributes_is_not_sent() -> None:
    config = TopicConfig("t1", attributes={"queue.type": "SimpleCQ"})
    assert "attributes" not in topics.save_topic(config, config).request.ext_fields
    fields = topics.save_topic(config, None).request.ext_fields
    assert fields["attributes"] == "+queue.type=SimpleCQ"


def test_stats_have_queues_for_keys() -> None:
    body = (
        b'{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"t1"}:'
        b'{"lastUpdateTimestamp":1795367560703,"maxOffset":3,"minOffset":0}}}'
    )
    stats = topics.topic_stats("t1").answer(answer(body))
    assert stats.offset_table == {
        MessageQueue("t1", "broker-a", 0): QueueOffsets(0, 3, 1795367560703)
    }


@pytest.mark.parametrize("extra", [b"", b',"attributes":{"message.type":"FIFO"},"new":[1]'])
def test_a_table_of_either_generation_is_read(extra: bytes) -> None:
    record = (
        b'{"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG",'
        b'"topicName":"t1","topicSysFlag":0,"writeQueueNums":4' + extra + b"}"
    )
    body = b'{"dataVersion":{"counter":2,"timestamp":5},"topicConfigTable":{"t1":' + record + b"}}"
    table = topics.all_topics().answer(answer(body))
    assert table.data_version.counter == 2
    assert table.topic_config_table["t1"].write_queue_nums == 4
    assert table.topic_config_table["t1"].attributes == ({"message.type": "FIFO"} if extra else {})


def test_new_topics_are_sent_together_with_attributes_to_be_set() -> None:
    typed = TopicConfig("t1", perm=4, attributes={"message.type": "FIFO"})
    request = topics.create_topics([typed, TopicConfig("t2")]).request
    first, second = msgspec.json.decode(request.body)["topicConfigList"]
    assert (request.code, request.ext_fields) == (18, {})
    assert (first["topicName"], first["perm"]) == ("t1", 4)
    assert first["attributes"] == {"+message.type": "FIFO"}
    assert (second["topicName"], second["attributes"]) == ("t2", {})


def test_static_topics_are_told_by_their_queues() -> None:
    body = b'{"topicConfigTable":{},"topicQueueMappingDetailMap":{"t":{"hostedQueues":{0:[]}}}}'
    table = topics.all_topics().answer(answer(body))
    assert set(table.topic_queue_mapping_detail_map or ()) == {"t"}
    none = topics.all_topics().answer(answer(b'{"topicQueueMappingDetailMap":null}'))
    assert none.topic_queue_mapping_detail_map is None
