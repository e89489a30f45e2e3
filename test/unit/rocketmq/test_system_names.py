from __future__ import annotations

import pytest

from rocketmq.system_names import (
    dead_letter_topic,
    is_system_group,
    is_system_topic,
    retry_topic,
    user_groups,
    user_topics,
)

# What a 5.3.3 broker `broker-a` of cluster C1 has of itself.
_OWN_TOPICS = (
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
    "TBW102",
    "BenchmarkTest",
    "rmq_sys_REVIVE_LOG_C1",
    "rmq_sys_SYNC_BROKER_MEMBER_broker-a",
    "C1_REPLY_TOPIC",
    "C1",
)


@pytest.mark.parametrize("topic", _OWN_TOPICS)
def test_a_broker_s_own_topic_is_a_system_topic(topic: str) -> None:
    assert is_system_topic(topic, clusters=["C1"])


@pytest.mark.parametrize(
    "topic", ["orders", "C1-orders", "orders_REPLY_TOPIC", "RMQ-SYS", retry_topic("g")]
)
def test_a_name_in_doubt_is_a_user_s(topic: str) -> None:
    assert not is_system_topic(topic, clusters=["C1"], listed=["broker-a"])


def test_users_topics_are_what_neither_servers_nor_groups_made() -> None:
    names = [*_OWN_TOPICS, "broker-a", "b", "a", "a", retry_topic("g"), dead_letter_topic("g")]
    assert user_topics(names, clusters=["C1"], listed=["broker-a"]) == ("a", "b")


def test_users_groups_are_what_no_broker_has_by_itself() -> None:
    names = ["TOOLS_CONSUMER", "CID_RMQ_SYS_TRANS", "__MONITOR_CONSUMER", "g2", "g1", "CID_orders"]
    assert user_groups(names) == ("CID_orders", "g1", "g2")
    assert is_system_group("CID_ONSAPI_PULL")
