"""Whether a broker has a topic or group as it should be, as far as its version can. Pure."""

from __future__ import annotations

from reconcilers.transfer.facts import Look
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig


def same_topic(there: TopicConfig, wanted: TopicConfig, look: Look) -> bool:
    """Whether a broker keeps a topic as wanted, as far as its version can."""
    five = not look.keeps_offsets
    return (
        (there.read_queue_nums, there.write_queue_nums, there.perm)
        == (wanted.read_queue_nums, wanted.write_queue_nums, wanted.perm)
        and there.topic_filter_type == wanted.topic_filter_type
        and there.topic_sys_flag == wanted.topic_sys_flag
        and (not five or there.order == wanted.order)
        and (not five or there.attributes == wanted.attributes)
    )


_FOUR_FIELDS = (
    "consume_enable",
    "consume_from_min_enable",
    "consume_broadcast_enable",
    "retry_queue_nums",
    "retry_max_times",
    "broker_id",
    "which_broker_when_consume_slowly",
    "notify_consumer_ids_changed_enable",
)
_FIVE_FIELDS = (
    "consume_message_orderly",
    "group_retry_policy",
    "group_sys_flag",
    "consume_timeout_minute",
)


def same_group(there: SubscriptionGroup, wanted: SubscriptionGroup) -> bool:
    """Whether a broker keeps a group as wanted, as far as its version can."""
    if any(getattr(there, field) != getattr(wanted, field) for field in _FOUR_FIELDS):
        return False
    return all(
        None in (getattr(there, field), getattr(wanted, field))
        or getattr(there, field) == getattr(wanted, field)
        for field in _FIVE_FIELDS
    )
