"""The parts of an answer of the topic world's servers. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from rocketmq.codes import ResponseCode

Fields = Mapping[str, str]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Code, remark, header fields and body; success unless said otherwise."""

    code: int = ResponseCode.SUCCESS
    remark: str = ""
    fields: dict[str, str] = {}
    body: bytes = b""
    told: tuple[str, ...] = ()
    """The topics that the broker tells name servers of afterwards; "" stands for all."""


def ok(**fields: str) -> Answer:
    """Success, with header fields."""
    return Answer(fields=fields)


def with_body(body: Any) -> Answer:
    """Success, with a body in standard JSON."""
    return Answer(body=json.dumps(body, separators=(",", ":")).encode())


def missing(remark: str) -> Answer:
    """There is no such entry."""
    return Answer(code=ResponseCode.QUERY_NOT_FOUND, remark=remark)


def unknown(code: int) -> Answer:
    """The server, in its version, does not know the code."""
    refused = ResponseCode.REQUEST_CODE_NOT_SUPPORTED
    return Answer(code=refused, remark=f" request type {code} not supported")


def queue_key(topic: str, broker_name: str, queue_id: int) -> str:
    """A queue as a key, which fastjson writes as an object."""
    name, of = json.dumps(broker_name), json.dumps(topic)
    return f'{{"brokerName":{name},"queueId":{queue_id},"topic":{of}}}'
