"""Asks many servers the same, never stopping at the first error: one result for each address.

At most `at_once` calls run at a time. Errors of the protocol's tree are results; any other error
is a fault of ours and ends everything. Cancelling cancels all calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Generic, TypeVar

import msgspec

from rocketmq.errors import RocketmqError

T = TypeVar("T")

AT_ONCE = 64
"""Calls that run at a time: a thousand servers without a thousand connections being opened."""


class Results(msgspec.Struct, Generic[T], frozen=True):
    """What each address answered, in the order of asking: it is in `values` or in `errors`."""

    values: dict[str, T]
    errors: dict[str, RocketmqError]

    @property
    def complete(self) -> bool:
        """Whether every server answered."""
        return not self.errors

    def joined(self, other: Results[T]) -> Results[T]:
        """Both; an address in both has failed if it failed once."""
        errors = self.errors | other.errors
        values = {
            address: value
            for address, value in (self.values | other.values).items()
            if address not in errors
        }
        return Results(values, errors)


async def each(
    addresses: Iterable[str], call: Callable[[str], Awaitable[T]], *, at_once: int = AT_ONCE
) -> Results[T]:
    """Call each address once, however often it is given, and wait for all."""
    asked = tuple(dict.fromkeys(addresses))
    values: dict[str, T] = {}
    errors: dict[str, RocketmqError] = {}
    waiting = iter(asked)
    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_once, len(asked))):
            group.create_task(_work(waiting, call, values, errors))
    return Results(
        {address: values[address] for address in asked if address in values},
        {address: errors[address] for address in asked if address in errors},
    )


async def _work(
    waiting: Iterator[str],
    call: Callable[[str], Awaitable[T]],
    values: dict[str, T],
    errors: dict[str, RocketmqError],
) -> None:
    for address in waiting:
        try:
            values[address] = await call(address)
        except RocketmqError as error:
            errors[address] = error
