"""The admin client as tests hold it: it remembers which operations it was asked for."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from rocketmq.admin import Admin
from rocketmq.calls import Caller
from rocketmq.errors import RocketmqError, UnsupportedError
from rocketmq.messages.clients import ConsumerData, Heartbeat, Outgoing, ProducerData, Sent
from rocketmq.messages.groups import Subscription

T = TypeVar("T")

_NUMBERS = itertools.count(1)


def fresh(what: str) -> str:
    """A name that no other test has."""
    return f"{what}-{next(_NUMBERS)}"


class Record:
    """The operations, as `area.operation`, that succeeded and those that a server did not know."""

    def __init__(self) -> None:
        self.succeeded: set[str] = set()
        self.unsupported: set[str] = set()

    def omissions(self, missing: frozenset[str]) -> list[str]:
        """What was left untried, or was not as expected, of a version that lacks `missing`."""
        existing = operations() - missing
        found = (
            (existing - self.succeeded, "has not succeeded"),
            (missing - self.unsupported, "should have been refused and was not asked for"),
            (existing & self.unsupported, "exists and was refused"),
            (missing & self.succeeded, "should not exist and succeeded"),
        )
        return sorted(f"{name} {what}" for names, what in found for name in names)


def recorded(caller: Caller, record: Record) -> Admin:
    """A facade that notes how each call of an operation ended."""
    admin = Admin(caller)
    for name, area in vars(admin).items():
        setattr(admin, name, _Recorder(name, area, record))
    return admin


def operations() -> frozenset[str]:
    """Every operation of the facade, as `area.operation`."""

    class Nobody:
        """Enough to make the facade."""

    areas = vars(Admin(Nobody()))  # type: ignore[arg-type] # it is never called
    return frozenset(
        f"{name}.{method}"
        for name, area in areas.items()
        for method, _ in inspect.getmembers(type(area), inspect.iscoroutinefunction)
        if not method.startswith("_")
    )


class _Recorder:
    def __init__(self, name: str, area: object, record: Record) -> None:
        self._name = name
        self._area = area
        self._record = record

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._area, name)
        operation = f"{self._name}.{name}"

        async def call(*args: Any, **kwargs: Any) -> Any:
            try:
                answer = await method(*args, **kwargs)
            except UnsupportedError:
                self._record.unsupported.add(operation)
                raise
            self._record.succeeded.add(operation)
            return answer

        return call


async def soon(check: Callable[[], Awaitable[T]], *, within_s: float = 30.0) -> T:
    """What `check` returns once nothing of it fails; at the deadline its last error is raised."""
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        try:
            return await check()
        except (AssertionError, LookupError, RocketmqError):
            if asyncio.get_running_loop().time() >= deadline:
                raise
        await asyncio.sleep(0.1)


def outgoing(topic: str, body: bytes, **properties: str) -> Outgoing:
    """A message for queue 0."""
    return Outgoing(
        topic=topic,
        body=body,
        producer_group="producers",
        born_timestamp=1_700_000_000_000,
        queue_id=0,
        properties=properties,
    )


async def sent(admin: Admin, address: str, topic: str, *bodies: bytes) -> tuple[Sent, ...]:
    """Messages in queue 0, in this order."""
    return tuple([await admin.clients.send(address, outgoing(topic, body)) for body in bodies])


def heartbeat(client_id: str, group: str, topic: str) -> Heartbeat:
    """A client that consumes the topic and produces too."""
    consumer = ConsumerData(group, (Subscription(topic, sub_version=1),))
    return Heartbeat(client_id, (ProducerData(f"{group}-producers"),), (consumer,))
