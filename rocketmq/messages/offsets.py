"""Consumer offsets on a broker (dossier 2.4). Pure.

An offset is the next message to consume. A broker checks a commit against nothing: it can go
backwards, or past the end.
"""

from __future__ import annotations

import msgspec

from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode, ResponseCode
from rocketmq.fastjson import MessageQueue
from rocketmq.messages.operation import (
    CONSUME_STATS_TIMEOUT_S,
    Operation,
    field_number,
    header,
    in_body,
    nothing,
)


class CommittedOffsets(msgspec.Struct, frozen=True, rename="camel"):
    """Every committed offset of a broker; keys are `topic@group`, then queue ids."""

    offset_table: dict[str, dict[int, int]] = {}

    def of(self, topic: str, group: str) -> dict[int, int]:
        """A group's offsets in a topic by queue id; empty when it never committed."""
        return self.offset_table.get(f"{topic}@{group}", {})

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that have an offset, sorted; a topic's name cannot contain `@`."""
        return tuple(sorted({key.partition("@")[2] for key in self.offset_table}))


class _DelayOffsets(msgspec.Struct, frozen=True, rename="camel"):
    offset_table: dict[int, int] = {}


class _ResetOffsets(msgspec.Struct, frozen=True, rename="camel"):
    offset_table: dict[MessageQueue, int] = {}


def committed_offset(group: str, topic: str, queue_id: int) -> Operation[int | None]:
    """QUERY_CONSUMER_OFFSET 14; a 5.x broker then tells "none" from 0."""
    fields = header(consumerGroup=group, topic=topic, queueId=queue_id, setZeroIfNotFound=False)

    def answer(response: Response) -> int | None:
        missing = response.code == ResponseCode.QUERY_NOT_FOUND
        return None if missing else field_number(response, "offset")

    request = Request(RequestCode.QUERY_CONSUMER_OFFSET, fields)
    return Operation(request, answer, allow=frozenset({ResponseCode.QUERY_NOT_FOUND}))


def commit_offset(group: str, topic: str, queue_id: int, offset: int) -> Operation[None]:
    """UPDATE_CONSUMER_OFFSET 15."""
    fields = header(consumerGroup=group, topic=topic, queueId=queue_id, commitOffset=offset)
    return Operation(Request(RequestCode.UPDATE_CONSUMER_OFFSET, fields), nothing)


def clone_offsets(source_group: str, target_group: str, topic: str) -> Operation[None]:
    """CLONE_GROUP_OFFSET 314; a broker that is given no topic copies nothing and says SUCCESS."""
    fields = header(srcGroup=source_group, destGroup=target_group, topic=topic, offline=True)
    return Operation(Request(RequestCode.CLONE_GROUP_OFFSET, fields), nothing)


def reset_offsets(
    group: str, topic: str, timestamp_ms: int, *, force: bool
) -> Operation[dict[MessageQueue, int]]:
    """INVOKE_BROKER_TO_RESET_OFFSET 222."""
    read = in_body(_ResetOffsets)
    fields = header(topic=topic, group=group, timestamp=timestamp_ms, isForce=force)
    request = Request(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, fields)
    return Operation(request, lambda response: read(response).offset_table, CONSUME_STATS_TIMEOUT_S)


def all_offsets() -> Operation[CommittedOffsets]:
    """GET_ALL_CONSUMER_OFFSET 43."""
    return Operation(Request(RequestCode.GET_ALL_CONSUMER_OFFSET), in_body(CommittedOffsets))


def delay_offsets() -> Operation[dict[int, int]]:
    """GET_ALL_DELAY_OFFSET 45."""
    read = in_body(_DelayOffsets)
    request = Request(RequestCode.GET_ALL_DELAY_OFFSET)
    return Operation(request, lambda response: read(response).offset_table)
