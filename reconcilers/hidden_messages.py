"""Asks a broker for messages that it holds back: delayed, timed, popped, of open transactions.

It decides nothing. What has been delivered is asked for before the ends of queues: a message that
moves in between is still counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from reconcilers.transfer.facts import Hidden
from rocketmq.admin import Admin
from rocketmq.backlog import DELAY_TOPIC, HALF_TOPIC, TRANSACTION_GROUP, lag
from rocketmq.errors import ProtocolError, RocketmqError
from rocketmq.messages.brokers import RuntimeInfo
from rocketmq.messages.topics import QueueOffsets

T = TypeVar("T")

AT_ONCE = 16
"""Calls to one broker at a time: it serves clients with the same threads."""

_LEVELS = 18
_OF_TIMERS = ("timerOffsetBehind", "timerCongestNum")
_UNSEEN = ("popConsumerKVServiceEnable", "timerRocksDBEnable")
"""Settings of 5.4 and later that keep messages where no operation shows them."""


async def ask_hidden(admin: Admin, address: str, settings: Mapping[str, str]) -> Hidden:
    """What it holds back. Raises RocketmqError."""
    for key in _UNSEEN:
        if settings.get(key) == "true":
            raise ProtocolError(f"{key} is true: nobody can ask for all messages", address=address)
    delivered = await admin.offsets.delayed(address)
    ends = await ask_all(
        (str(level) for level in range(1, _LEVELS + 1)),
        lambda level: admin.topics.max_offset(address, DELAY_TOPIC, int(level) - 1),
    )
    half = await _half(admin, address)
    info = await admin.brokers.runtime_info(address)
    return Hidden(
        delays={
            int(level): (delivered.get(int(level), 0), end) for level, end in ends.items() if end
        },
        timed=_timed(info),
        half=half,
        half_given_up_s=_given_up_s(settings),
        undispatched=max(0, info.dispatch_behind_bytes),
    )


async def _half(admin: Admin, address: str) -> int:
    """Transactions that the broker has not seen ended; their topic has one queue."""
    passed = (await admin.offsets.all(address)).of(HALF_TOPIC, TRANSACTION_GROUP)
    end = await admin.topics.max_offset(address, HALF_TOPIC, 0)
    first = await admin.topics.min_offset(address, HALF_TOPIC, 0)
    return lag(QueueOffsets(max(0, first), end), passed.get(0))


def _given_up_s(settings: Mapping[str, str]) -> float:
    """How long the broker asks producers what became of a transaction."""

    def number(key: str, default: float) -> float:
        text = settings.get(key, "")
        return float(text) if text.isdecimal() else default

    interval_s = number("transactionCheckInterval", 60_000) / 1000
    first_s = number("transactionTimeOut", 6_000) / 1000
    return first_s + (number("transactionCheckMax", 15) + 1) * interval_s


def _timed(info: RuntimeInfo) -> int:
    if info.version.startswith("V4_"):
        return 0
    found = [info.table.get(key, "") for key in _OF_TIMERS]
    if not all(text.removeprefix("-").isdecimal() for text in found):
        raise ProtocolError(f"{' and '.join(_OF_TIMERS)} are no whole numbers: {found}")
    return sum(max(0, int(text)) for text in found)


async def ask_all(names: Iterable[str], call: Callable[[str], Awaitable[T]]) -> dict[str, T]:
    """What `call` gives for each, a few at a time. Raises the first error."""
    slots = asyncio.Semaphore(AT_ONCE)
    errors: list[RocketmqError] = []
    found: dict[str, T] = {}

    async def ask(name: str) -> None:
        async with slots:
            if errors:
                return
            try:
                found[name] = await call(name)
            except RocketmqError as error:
                errors.append(error)

    async with asyncio.TaskGroup() as group:
        for name in dict.fromkeys(names):
            group.create_task(ask(name))
    if errors:
        raise errors[0]
    return found
