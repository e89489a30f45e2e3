"""Carries one operation to one server and reads the answer."""

from __future__ import annotations

from typing import TypeVar

from rocketmq.calls import Caller
from rocketmq.errors import ProtocolError, ResponseError, for_code
from rocketmq.messages.operation import Operation

T = TypeVar("T")


async def perform(caller: Caller, address: str, operation: Operation[T]) -> T:
    """The answer's value. Raises RocketmqError, always with the address."""
    response = await caller.call(
        address, operation.request, timeout_s=operation.timeout_s, allow=operation.allow
    )
    try:
        return operation.answer(response)
    except ResponseError as error:
        raise for_code(error.code, error.remark, address) from error
    except ProtocolError as error:
        raise ProtocolError(str(error), address=address) from error
