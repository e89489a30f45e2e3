"""A producer and consumers of one topic against real servers, which follow routes as clients do.

Routes are looked up every `REFRESH_S`, from the first name server that answers; one that is gone
is kept. A message that was not acknowledged is sent again to the next queue, with its number: it
may be stored twice. Consumers send heartbeats, commit what they had, and send back what they fail.
What was acknowledged and received is written down, and is the `Report`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count

from fakes.rocketmq_load_clients import IDLE_S, Consumer, GroupPlan, LoadPlan, Producer
from fakes.rocketmq_load_report import Acknowledged, Received, Report
from rocketmq.errors import RocketmqError
from rocketmq.pool import ClientSettings, Pool

__all__ = ["GroupPlan", "Load", "LoadPlan", "running_load", "running_loads"]


class Load:
    """A running load, as tests use it: from another thread than the one that serves."""

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        self.acknowledged: list[Acknowledged] = []
        self.received: list[Received] = []
        self.failures: list[str] = []
        self._sending = threading.Event()
        self._sending.set()
        self._offline: set[str] = set()
        self._held = {one.name for one in plan.groups if one.held}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._waiting = False

    def stop_sending(self) -> None:
        """No new messages; one that waits for its acknowledgement is still sent."""
        self._sending.clear()

    @property
    def quiet(self) -> bool:
        """Whether nothing is being sent any more."""
        return not self._sending.is_set() and not self._waiting

    def take_offline(self, *groups: str) -> None:
        """Consumers of these groups commit and leave."""
        self._offline.update(groups)

    def bring_online(self, *groups: str) -> None:
        """They come back."""
        self._offline.difference_update(groups)

    def release(self, *groups: str) -> None:
        """Groups that were online alone begin to consume."""
        self._held.difference_update(groups)

    def report(self) -> Report:
        """What happened so far."""
        groups = tuple(one.name for one in self.plan.groups)
        return Report(groups, tuple(self.acknowledged), tuple(self.received), tuple(self.failures))

    async def serve(self, started: threading.Event) -> None:
        """Run until `stop`; the loop and its thread are the caller's (`running_load`)."""
        self._loop = asyncio.get_running_loop()
        started.set()
        async with Pool(ClientSettings(calls_per_address=64)) as pool, asyncio.TaskGroup() as tasks:
            made = [tasks.create_task(self._produce(pool))]
            made += [tasks.create_task(self._group(one)) for one in self.plan.groups]
            await self._stopping.wait()
            for task in made:
                task.cancel()

    def stop(self) -> None:
        """Let `serve` return."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def _produce(self, pool: Pool) -> None:
        producer = Producer(self.plan, pool)
        started = asyncio.get_running_loop().time()
        for number in count():
            while not self._sending.is_set():  # noqa: ASYNC110 - set from another thread
                await asyncio.sleep(IDLE_S)
            self._waiting = True
            self.acknowledged.append(await producer.send(number, self.failures))
            self._waiting = False
            due = started + number / self.plan.per_second
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))

    async def _group(self, group: GroupPlan) -> None:
        while True:
            while group.name in self._offline:  # noqa: ASYNC110 - set from another thread
                await asyncio.sleep(IDLE_S)
            # A line of its own: the brokers know a consumer by the line of its heartbeats.
            async with Pool(ClientSettings()) as pool:
                consumer = Consumer(self.plan, group, pool, self.received)
                try:
                    await consumer.run(
                        lambda: group.name not in self._offline, lambda: group.name in self._held
                    )
                finally:
                    with suppress(RocketmqError):
                        await consumer.leave()


@contextmanager
def running_load(plan: LoadPlan) -> Iterator[Load]:
    """A load on a thread of its own."""
    load, started = Load(plan), threading.Event()
    errors: list[BaseException] = []

    def serve() -> None:
        try:
            asyncio.run(load.serve(started))
        except BaseException as error:  # noqa: BLE001 - for the test that uses it
            errors.append(error)

    thread = threading.Thread(target=serve, name="load", daemon=True)
    thread.start()
    try:
        assert started.wait(10), "the load did not start"
        yield load
    finally:
        load.stop()
        thread.join(10)
    assert not errors, errors


@contextmanager
def running_loads(plans: Sequence[LoadPlan]) -> Iterator[tuple[Load, ...]]:
    """Several of them."""
    if not plans:
        yield ()
        return
    with running_load(plans[0]) as first, running_loads(plans[1:]) as others:
        yield (first, *others)
