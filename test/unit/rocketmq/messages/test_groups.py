from __future__ import annotations

import msgspec
import pytest

from fakes.rocketmq_caller import answer
from rocketmq.errors import ServerFaultError
from rocketmq.fastjson import MessageQueue
from rocketmq.messages import groups
from rocketmq.messages.groups import (
    CustomizedRetry,
    ExponentialRetry,
    GroupRetryPolicy,
    QueueProgress,
    SubscriptionGroup,
)


def _sent(group: SubscriptionGroup, replaced: SubscriptionGroup | None = None) -> dict[str, object]:
    body = groups.save_group(group, replaced).request.body
    return msgspec.json.decode(body, type=dict[str, object])


def test_a_group_is_sent_whole_but_for_what_only_5_knows() -> None:
    assert _sent(SubscriptionGroup("g1", retry_max_times=3)) == {
        "groupName": "g1",
        "consumeEnable": True,
        "consumeFromMinEnable": True,
        "consumeBroadcastEnable": True,
        "retryQueueNums": 1,
        "retryMaxTimes": 3,
        "brokerId": 0,
        "whichBrokerWhenConsumeSlowly": 1,
        "notifyConsumerIdsChangedEnable": True,
    }


def test_retry_policies_are_sent_as_the_broker_names_them() -> None:
    exponential = GroupRetryPolicy("EXPONENTIAL", ExponentialRetry(1, 2, 3))
    assert _sent(SubscriptionGroup("g1", group_retry_policy=exponential))["groupRetryPolicy"] == {
        "type": "EXPONENTIAL",
        "exponentialRetryPolicy": {"initial": 1, "max": 2, "multiplier": 3},
    }
    customized = GroupRetryPolicy(customized_retry_policy=CustomizedRetry((1000, 5000)))
    sent = _sent(SubscriptionGroup("g1", group_retry_policy=customized))
    assert sent["groupRetryPolicy"] == {"customizedRetryPolicy": {"next": [1000, 5000]}}


def test_of_attributes_only_the_differences_are_sent() -> None:
    before = SubscriptionGroup("g1", attributes={"a": "1", "b": "2"})
    after = SubscriptionGroup("g1", attributes={"a": "1", "c": "3"})
    assert _sent(after, before)["attributes"] == {"+c": "3", "-b": ""}
    assert "attributes" not in _sent(before, before)


def test_what_was_read_can_be_written_back_without_loss() -> None:
    body = (
        b'{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":1},"forbiddenTable":{},'
        b'"subscriptionGroupTable":{"g1":{"attributes":{},"brokerId":0,'
        b'"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,'
        b'"consumeMessageOrderly":true,"consumeTimeoutMinute":20,"groupName":"g1",'
        b'"groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,'
        b'"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,'
        b'"subscriptionDataSet":[{"expression":"*","expressionType":"TAG","topic":"t1",'
        b'"version":7}],"whichBrokerWhenConsumeSlowly":1}}}'
    )
    (group,) = groups.all_groups().answer(answer(body)).subscription_group_table.values()
    sent = _sent(group, group)
    assert sent["consumeTimeoutMinute"] == 20
    assert sent["consumeMessageOrderly"] is True
    assert sent["subscriptionDataSet"] == [
        {"expression": "*", "expressionType": "TAG", "topic": "t1", "version": 7}
    ]


def test_both_spellings_of_the_offset_flag_are_sent() -> None:
    fields = groups.delete_group("g1", with_offsets=True).request.ext_fields
    assert fields == {"groupName": "g1", "removeOffset": "true", "cleanOffset": "true"}


def test_progress_is_read_queue_by_queue() -> None:
    body = (
        b'{"consumeTps":1.5,"offsetTable":{{"brokerName":"broker-a","queueId":1,"topic":"t1"}:'
        b'{"brokerOffset":3,"consumerOffset":2,"lastTimestamp":9,"pullOffset":3},'
        b'{"brokerName":"broker-a","queueId":2,"topic":"t1"}:'
        b'{"brokerOffset":7,"consumerOffset":0,"lastTimestamp":0}}}'
    )
    stats = groups.consume_stats("g1", None).answer(answer(body))
    assert stats.lag == 8
    assert stats.offset_table[MessageQueue("t1", "broker-a", 1)] == QueueProgress(3, 2, 9, 3)


def test_the_progress_of_all_groups_is_found_by_group() -> None:
    body = (
        b'{"brokerAddr":"b:1","consumeStatsList":[{"g1":[{"consumeTps":0.0,"offsetTable":{}}]},'
        b'{"g2":[]}],"totalDiff":12}'
    )
    stats = groups.broker_consume_stats(ordered=False).answer(answer(body))
    assert set(stats.by_group) == {"g1", "g2"}
    assert (stats.total_diff, stats.total_inflight_diff) == (12, None)


def test_nobody_online_is_an_answer_and_another_fault_an_error() -> None:
    ids = groups.consumer_ids("g1")
    assert ids.answer(answer(code=1, remark="no consumer for this group, g1")) == ()
    assert ids.answer(answer(b'{"consumerIdList":["10.0.0.9@1"]}')) == ("10.0.0.9@1",)
    with pytest.raises(ServerFaultError, match="broken"):
        ids.answer(answer(code=1, remark="broken"))
    assert groups.consumer_connection("g1").answer(answer(code=206)) is None
    producers = groups.producer_connections("p1")
    assert producers.answer(answer(code=1, remark="the producer group[p1] not exist")) == ()


def test_new_groups_are_sent_together_each_as_it_is_sent_alone() -> None:
    typed = SubscriptionGroup("g1", attributes={"a": "1"})
    request = groups.create_groups([typed, SubscriptionGroup("g2")]).request
    assert request.code == 225
    sent = msgspec.json.decode(request.body)["groupConfigList"]
    assert sent == [_sent(typed), _sent(SubscriptionGroup("g2"))]
