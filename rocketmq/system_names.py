"""Topics and groups that the servers make for themselves, told from those of users. Pure.

Sources: TopicValidator and MixAll of 4.9.7 and 5.5.0; dossier 2.3, 2.4 and 7.12. Whoever drains a
broker leaves system topics out, so a doubtful name counts as a user's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

RETRY_PREFIX = "%RETRY%"
DEAD_LETTER_PREFIX = "%DLQ%"

_SYSTEM_TOPICS = frozenset(
    {
        "TBW102",
        "SCHEDULE_TOPIC_XXXX",
        "BenchmarkTest",
        "TRANS_CHECK_MAX_TIME_TOPIC",
        "SELF_TEST_TOPIC",
        "OFFSET_MOVED_EVENT",
    }
)
_SYSTEM_PREFIXES = ("RMQ_SYS_", "rmq_sys_")
_REPLY_SUFFIX = "_REPLY_TOPIC"

_SYSTEM_GROUPS = frozenset(
    {
        "DEFAULT_PRODUCER",
        "DEFAULT_CONSUMER",
        "TOOLS_CONSUMER",
        "SCHEDULE_CONSUMER",
        "FILTERSRV_CONSUMER",
        "__MONITOR_CONSUMER",
        "CLIENT_INNER_PRODUCER",
        "SELF_TEST_P_GROUP",
        "SELF_TEST_C_GROUP",
        "CID_ONS-HTTP-PROXY",
        "CID_ONSAPI_PERMISSION",
        "CID_ONSAPI_OWNER",
        "CID_ONSAPI_PULL",
    }
)
_SYSTEM_GROUP_PREFIX = "CID_RMQ_SYS_"


def is_system_topic(
    topic: str, *, clusters: Collection[str] = (), listed: Collection[str] = ()
) -> bool:
    """Whether servers made this topic; a retry or dead-letter topic is not one of those.

    `listed` is what the servers themselves call system topics (operations 304 and 305): the names
    of clusters and brokers among them, and those that only a newer version has.
    """
    return (
        topic in _SYSTEM_TOPICS
        or topic.startswith(_SYSTEM_PREFIXES)
        or topic in listed
        or topic in clusters
        or topic in {f"{name}{_REPLY_SUFFIX}" for name in clusters}
    )


def is_system_group(group: str) -> bool:
    """Whether every broker has this group by itself."""
    return group in _SYSTEM_GROUPS or group.startswith(_SYSTEM_GROUP_PREFIX)


def retry_topic(group: str) -> str:
    """Where a group's messages wait to be consumed again."""
    return RETRY_PREFIX + group


def dead_letter_topic(group: str) -> str:
    """Where a group's messages go that nobody could consume."""
    return DEAD_LETTER_PREFIX + group


def is_group_topic(topic: str) -> bool:
    """Whether the topic belongs to a group: its retries or its dead letters."""
    return topic.startswith((RETRY_PREFIX, DEAD_LETTER_PREFIX))


def user_topics(
    topics: Iterable[str], *, clusters: Collection[str] = (), listed: Collection[str] = ()
) -> tuple[str, ...]:
    """The topics that people made, sorted: neither the servers' own nor those of a group."""
    return tuple(
        sorted(
            topic
            for topic in set(topics)
            if not is_group_topic(topic)
            and not is_system_topic(topic, clusters=clusters, listed=listed)
        )
    )


def user_groups(groups: Iterable[str]) -> tuple[str, ...]:
    """The groups that people made, sorted."""
    return tuple(sorted(group for group in set(groups) if not is_system_group(group)))
