"""What the status of a TopicTransfer holds: how everything was, and how far it is. Pure.

Lists are atomic: what the API server notes of who owns which field stays small.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from reconcilers.api.meta import Opaque


class TopicRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A topic on one broker, as it was before the transfer."""

    broker: Annotated[str, Meta(description="brokerName.")]
    config: Annotated[Opaque, Meta(description="The topic; empty when the broker had none.")] = {}


class OffsetRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An offset that a group had committed before the transfer."""

    queue: Annotated[int, Meta(description="Queue.")]
    offset: Annotated[int, Meta(description="Next message to be consumed.")]


class GroupPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A group on one broker, as it was before the transfer."""

    broker: Annotated[str, Meta(description="brokerName.")]
    config: Annotated[Opaque, Meta(description="The group; empty when the broker had none.")] = {}
    retry_topic: Annotated[
        Opaque, Meta(description="Its retry topic; empty when the broker had none.")
    ] = {}
    offsets: Annotated[
        tuple[OffsetRow, ...], Meta(description="Its offsets in the topic (target only).")
    ] = ()


class GroupRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A consumer group of the topic, as it was before the transfer."""

    name: Annotated[str, Meta(description="Group.")]
    source: Annotated[tuple[GroupPart, ...], Meta(description="On each source broker.")] = ()
    target: Annotated[tuple[GroupPart, ...], Meta(description="On each target broker.")] = ()


class TransferRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything that the transfer changes, as it was before."""

    source: Annotated[tuple[TopicRow, ...], Meta(description="The topic on the source.")] = ()
    target: Annotated[tuple[TopicRow, ...], Meta(description="The topic on the target.")] = ()
    groups: Annotated[tuple[GroupRecord, ...], Meta(description="Its consumer groups.")] = ()
    source_order: Annotated[
        str, Meta(description="Its order configuration at the source's name servers.")
    ] = ""
    target_order: Annotated[
        str, Meta(description="Its order configuration at the target's name servers.")
    ] = ""


class QueueRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a group has left in one queue."""

    broker: Annotated[str, Meta(description="brokerName.")]
    topic: Annotated[str, Meta(description="The topic, or a retry topic of the group.")]
    queue: Annotated[int, Meta(description="Queue.")]
    lag: Annotated[int, Meta(description="Messages left, as the power of two below.")]


class GroupRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a consumer group has left."""

    name: Annotated[str, Meta(description="Group.")]
    online: Annotated[bool, Meta(description="Whether a consumer is connected.")] = False
    shared: Annotated[
        bool, Meta(description="Whether it consumes other topics of the source as well.")
    ] = False
    ignored: Annotated[bool, Meta(description="Whether spec.ignoreGroups names it.")] = False
    lag: Annotated[int, Meta(description="Messages left, as the power of two below.")] = 0
    queues: Annotated[
        tuple[QueueRow, ...], Meta(description="The queues with the most messages left.")
    ] = ()
    more: Annotated[int, Meta(description="Further queues with messages left.")] = 0


class StoredRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How much was ever stored on one broker."""

    broker: Annotated[str, Meta(description="brokerName.")]
    messages: Annotated[int, Meta(description="In the topic.")] = 0
    retries: Annotated[int, Meta(description="In the retry topics of its groups.")] = 0


class MarkRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Delayed messages of one broker that have to be delivered first."""

    broker: Annotated[str, Meta(description="brokerName.")]
    level: Annotated[int, Meta(description="Delay level.")]
    end: Annotated[int, Meta(description="Offset that delivery has to reach.")]


class TransferProgress(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the next step rests on."""

    since: Annotated[str, Meta(description="When the present stage began.")] = ""
    stored: Annotated[
        tuple[StoredRow, ...], Meta(description="What was ever stored, where it has to be still.")
    ] = ()
    still_since: Annotated[str, Meta(description="Since when no more was stored in the topic.")] = (
        ""
    )
    empty_since: Annotated[
        str, Meta(description="When nothing was found to be left, for the first time.")
    ] = ""
    marked_at: Annotated[str, Meta(description="When it was asked what brokers hold back.")] = ""
    marks: Annotated[
        tuple[MarkRow, ...], Meta(description="Delayed messages that were pending then.")
    ] = ()
    half_seen: Annotated[
        bool, Meta(description="Whether a look has found no open transaction since.")
    ] = False
    opened: Annotated[bool, Meta(description="Whether producers have been sent to the target.")] = (
        False
    )
    attempted_at: Annotated[
        str, Meta(description="When groups were deleted that may come back.")
    ] = ""
    forgotten_at: Annotated[
        str, Meta(description="When what connected consumers may bring back went.")
    ] = ""
    reclaimed_at: Annotated[
        str, Meta(description="When a topic that came back was closed to everybody.")
    ] = ""
    failures: Annotated[int, Meta(description="Refusals of the present step.")] = 0
    failure: Annotated[str, Meta(description="The last of them.")] = ""
