"""What stands against a transfer that has changed nothing yet, as seen at the servers. Pure.

None of it is for ever: a cluster may come, a topic be deleted. So it is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconcilers.api.topic_transfer import TopicTransfer
from reconcilers.api.transfer_record import TransferRecord
from reconcilers.transfer.draining import silence_words
from reconcilers.transfer.facts import Look, SideFacts, TransferFacts
from reconcilers.transfer.outcome import Wait
from reconcilers.transfer.record import (
    LIMIT_BYTES,
    size_bytes,
    taken,
    topic_of,
    wanted_topic,
)
from reconcilers.transfer.same import same_topic
from rocketmq.codes import MQVersion, version_name
from rocketmq.system_names import is_system_topic

ANOTHER_TRANSFER = "AnotherTransfer"
UNKNOWN_CLUSTER = "UnknownCluster"
UNKNOWN_TOPIC = "UnknownTopic"
SYSTEM_TOPIC = "SystemTopic"
STATIC_TOPIC = "StaticTopic"
TOPIC_EXISTS = "TopicExists"
SAME_CLUSTER = "SameCluster"
TOO_LARGE = "TooLarge"
UNSUPPORTED_VERSION = "UnsupportedVersion"

_AGAIN_S = 60.0
_SOON_S = 15.0
"""A name server that started knows its brokers half a minute later."""


def problem(cr: TopicTransfer, facts: TransferFacts) -> Wait | None:
    """The first thing that somebody has to change, or that has to come; None: it may begin."""
    if facts.rival:
        words = f"{facts.rival} moves the topic, and was there first; this one waits for its end"
        return Wait(words=words, again_after_s=_AGAIN_S, problem=ANOTHER_TRANSFER)
    if facts.silences:
        return Wait(words=silence_words(facts.silences))
    return next(_problems(cr, facts), None)


def _problems(cr: TopicTransfer, facts: TransferFacts) -> Iterator[Wait]:
    for side in (facts.source, facts.target):
        yield from _of_servers(side)
    if facts.source.brokers.keys() == facts.target.brokers.keys() and _same_addresses(facts):
        yield _no(SAME_CLUSTER, "source and target are the same cluster; name another one")
    yield from _of_topic(cr, facts)
    yield from _of_target(cr, facts)
    size = size_bytes(taken(cr.spec.topic, facts))
    if size > LIMIT_BYTES:
        yield _no(
            TOO_LARGE,
            f"what would have to be recorded has {size} bytes, and an object may not be that large "
            f"(limit {LIMIT_BYTES}): too many groups on too many brokers",
        )


def _of_servers(side: SideFacts) -> Iterator[Wait]:
    if not side.known:
        words = (
            f"no name server knows a cluster {side.cluster}; `mqadmin clusterList` shows those "
            "that there are"
        )
        yield Wait(words=words, again_after_s=_SOON_S, problem=UNKNOWN_CLUSTER)
    for address, server in side.server_looks.items():
        if server.version < MQVersion.V4_9_4:
            yield _no(
                UNSUPPORTED_VERSION,
                f"name server {address} is {version_name(server.version)}, and before 4.9.4 none "
                "can forget a topic of one cluster alone",
            )


def _same_addresses(facts: TransferFacts) -> bool:
    return {one.address for one in facts.source.looks.values()} == {
        one.address for one in facts.target.looks.values()
    }


def _of_topic(cr: TopicTransfer, facts: TransferFacts) -> Iterator[Wait]:
    topic = cr.spec.topic
    clusters = [name for side in (facts.source, facts.target) for name in _clusters(side)]
    if is_system_topic(topic, clusters=clusters, listed=facts.system_topics):
        yield _no(SYSTEM_TOPIC, f"{topic} is a topic that the servers made for themselves")
    holders = facts.source.holders()
    if not holders:
        words = f"no broker of {cr.spec.source_cluster} has a topic {topic}"
        yield Wait(words=words, again_after_s=_SOON_S, problem=UNKNOWN_TOPIC)
    if any(look.mapped for side in (facts.source, facts.target) for look in side.looks.values()):
        yield _no(
            STATIC_TOPIC,
            f"{topic} is a static topic: its queues are mapped to brokers, which `mqadmin "
            "remappingStaticTopic` changes",
        )


def _clusters(side: SideFacts) -> list[str]:
    return [name for server in side.server_looks.values() for name in server.clusters]


def _of_target(cr: TopicTransfer, facts: TransferFacts) -> Iterator[Wait]:
    wanted = wanted_topic(taken(cr.spec.topic, facts))
    for name, look in sorted(facts.target.holders().items()):
        if wanted is None or look.topic is None:
            continue
        if not same_topic(look.topic, wanted, look):
            yield _no(
                TOPIC_EXISTS,
                f"{name} of {cr.spec.target_cluster} has a topic {cr.spec.topic} with other "
                "settings; delete it there, or make it equal to the source's",
            )
        elif _holds_messages(cr.spec.topic, look):
            yield _no(
                TOPIC_EXISTS,
                f"{name} of {cr.spec.target_cluster} has a topic {cr.spec.topic} with messages; "
                "delete it there",
            )


def _holds_messages(topic: str, look: Look) -> bool:
    queues = look.queues.get(topic, {}).values()
    return any(queue.max_offset > queue.min_offset for queue in queues)


def _no(reason: str, words: str) -> Wait:
    return Wait(words=words, again_after_s=_AGAIN_S, problem=reason)


def is_ordered(cr: TopicTransfer, record: TransferRecord) -> bool:
    """Whether producers wait until the source is consumed.

    An order configuration is a list of brokers that producers obey whatever permissions are: it
    can only be taken away and given back.
    """
    if record.source_order:
        return True
    if cr.spec.ordered is not None:
        return cr.spec.ordered
    return any(config.order for config in map(topic_of, record.source) if config is not None)
