"""The queue between events and reconciles: each key waits once and runs once at a time.

`QueueCore` decides and never waits (`now` is an argument); `WorkQueue` is its shell on the event
loop. The invariants, those of client-go's workqueue and controller-runtime's priority queue:

- one slot a key: adding a key that already needs work changes nothing but its priority (the higher
  one wins) and its due time (the earlier one wins);
- a key is never handed out twice at once: added while it runs, it is handed out again after `done`;
- every add is followed by a hand-out at or after its due time, until the shutdown;
- FIFO inside a priority; a key whose delay ends goes to the back of its priority;
- the shutdown ends every `get` in bounded time: a delay that has not ended is dropped, not awaited.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict, deque
from collections.abc import Hashable
from contextlib import suppress
from enum import IntEnum
from typing import Generic, TypeVar

import msgspec

from controller.backoff import Backoff, BackoffSettings
from controller.metrics import QueueMetrics, QueueStatistics

K = TypeVar("K", bound=Hashable)


class Priority(IntEnum):
    """Who goes first. The values are controller-runtime's, which dashboards know."""

    LOW = -100
    """From the initial list: after a restart a user's edit must not wait behind every object."""
    NORMAL = 0


class Item(msgspec.Struct, Generic[K], frozen=True):
    """A key that was handed out, and with which priority: a retry keeps it."""

    key: K
    priority: Priority


class Taken(msgspec.Struct, Generic[K], frozen=True):
    """What `QueueCore.take` hands out: the item, and how long it was ready before."""

    item: Item[K]
    waited_s: float


class _Slot(msgspec.Struct):
    """A key that needs work. `due` is when it may run; `ready` once that time was reached."""

    priority: Priority
    due: float
    ready: bool = False


class QueueCore(Generic[K]):
    """Which key runs next: deduplication, due times, priorities. Pure; `now` never goes back.

    Every key that needs work has a slot. A ready key that is not being processed stands in the line
    of its priority; a ready key that is being processed stands in no line until `done`.
    """

    def __init__(self) -> None:
        self._slots: dict[K, _Slot] = {}
        # OrderedDict, not dict: popping from the front of a dict scans what was popped before.
        self._lines: dict[Priority, OrderedDict[K, None]] = {
            priority: OrderedDict() for priority in sorted(Priority, reverse=True)
        }
        # Entries go stale when a slot gets an earlier time; they are skipped when they come up.
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0
        self._processing: dict[K, float] = {}
        self._shut = False

    def add(self, key: K, now: float, *, priority: Priority, delay_s: float = 0.0) -> bool:
        """Ask for work on `key` after `delay_s`; True when this made the key ready."""
        if self._shut:
            return False
        due = now + max(delay_s, 0.0)
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = _Slot(priority, due)
        else:
            self._raise_priority(key, slot, priority)
            if slot.ready or due >= slot.due:
                return False
            slot.due = due
        if due <= now:
            return self._make_ready(key, slot)
        self._schedule(key, slot)
        return False

    def take(self, now: float) -> Taken[K] | None:
        """Hand out the next ready key, if there is one; it is processed until `done`."""
        self.promote(now)
        for line in self._lines.values():
            if line:
                key, _ = line.popitem(last=False)
                slot = self._slots.pop(key)
                self._processing[key] = now
                return Taken(Item(key, slot.priority), now - slot.due)
        return None

    def done(self, key: K, now: float) -> float:
        """The work on `key` ended: return how long it took. KeyError if it was not handed out."""
        started = self._processing.pop(key)
        slot = self._slots.get(key)
        if slot is not None and slot.ready:
            self._lines[slot.priority][key] = None
        return now - started

    def promote(self, now: float) -> int:
        """Move the keys whose time has come to the back of their lines; return how many."""
        promoted = 0
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            slot = self._slots.get(key)
            if slot is not None and not slot.ready and slot.due == due:
                promoted += self._make_ready(key, slot)
        return promoted

    def next_due(self) -> float | None:
        """When `promote` should be called next, if anything waits for its time."""
        while self._heap:
            due, _, key = self._heap[0]
            slot = self._slots.get(key)
            if slot is not None and not slot.ready and slot.due == due:
                return due
            heapq.heappop(self._heap)
        return None

    def shutdown(self, *, drain: bool) -> None:
        """Take no more adds and drop what waits for a time; without `drain` what is ready, too."""
        self._shut = True
        self._slots = {key: slot for key, slot in self._slots.items() if drain and slot.ready}
        if not drain:
            for line in self._lines.values():
                line.clear()

    @property
    def ready(self) -> bool:
        """Whether `take` would hand out a key without waiting for a time."""
        return any(self._lines.values())

    @property
    def ended(self) -> bool:
        """Whether the queue is shut down and has nothing to hand out now."""
        return self._shut and not self.ready

    @property
    def idle(self) -> bool:
        """Whether nothing is ready and nothing is being processed."""
        return not self._processing and not self.ready

    def statistics(self, now: float) -> QueueStatistics:
        """The figures of this moment."""
        running = [now - started for started in self._processing.values()]
        return QueueStatistics(
            depth={int(priority): len(line) for priority, line in self._lines.items()},
            waiting=sum(not slot.ready for slot in self._slots.values()),
            processing=len(running),
            unfinished_work_s=sum(running),
            longest_running_s=max(running, default=0.0),
        )

    def _schedule(self, key: K, slot: _Slot) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (slot.due, self._sequence, key))
        if len(self._heap) > 2 * len(self._slots) + 64:
            # A key that is often pulled forward leaves one stale entry each time.
            live = {key: slot.due for key, slot in self._slots.items() if not slot.ready}
            self._heap = [entry for entry in self._heap if live.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def _make_ready(self, key: K, slot: _Slot) -> bool:
        if slot.ready:
            return False
        slot.ready = True
        if key not in self._processing:
            self._lines[slot.priority][key] = None
        return True

    def _raise_priority(self, key: K, slot: _Slot, priority: Priority) -> None:
        if priority <= slot.priority:
            return
        if key in self._lines[slot.priority]:
            del self._lines[slot.priority][key]
            self._lines[priority][key] = None
        slot.priority = priority


class WorkQueue(Generic[K]):
    """The queue of one controller on the running event loop; `add` never blocks.

    Every item that `get` returns must be given back by `done`, or its key never runs again.
    """

    def __init__(self, metrics: QueueMetrics, *, backoff: BackoffSettings | None = None) -> None:
        self._core = QueueCore[K]()
        self._backoff = Backoff[K](backoff or BackoffSettings())
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._getters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        metrics.observe(self.statistics)

    def __repr__(self) -> str:
        return f"<WorkQueue {self.statistics()}>"

    def add(self, key: K, priority: Priority = Priority.NORMAL) -> None:
        """Ask for work on `key` now."""
        self.add_after(key, 0.0, priority)

    def add_after(self, key: K, delay_s: float, priority: Priority = Priority.NORMAL) -> None:
        """Ask for work on `key` after `delay_s`; what is asked for earlier stays earlier."""
        if delay_s > 0:
            self._metrics.retried()
        if self._core.add(key, self._loop.time(), priority=priority, delay_s=delay_s):
            self._metrics.added()
        self._wake()

    def add_rate_limited(
        self, key: K, priority: Priority = Priority.NORMAL, *, at_least_s: float = 0.0
    ) -> float:
        """Count a failure and ask again after the backoff, or after `at_least_s` if that is later.

        Returns the delay.
        """
        delay_s = max(self._backoff.next_delay_s(key), at_least_s)
        self.add_after(key, delay_s, priority)
        return delay_s

    def forget(self, key: K) -> None:
        """Let the next failure of `key` start with the shortest delay."""
        self._backoff.forget(key)

    def num_failures(self, key: K) -> int:
        """Failures of `key` in a row."""
        return self._backoff.num_failures(key)

    async def get(self) -> Item[K] | None:
        """The next key to work on; None when the queue is shut down and has nothing left."""
        while True:
            taken = self._core.take(self._loop.time())
            if taken is not None:
                self._metrics.waited(taken.waited_s)
                self._wake()
                return taken.item
            if self._core.ended:
                return None
            await self._wait_for_change()

    def done(self, key: K) -> None:
        """Give back a key that `get` returned."""
        self._metrics.worked(self._core.done(key, self._loop.time()))
        self._wake()

    def shutdown(self, *, drain: bool = True) -> None:
        """Refuse further adds; `get` hands out what is ready (only with `drain`), then None."""
        self._core.shutdown(drain=drain)
        while self._getters:
            _resolve(self._getters.popleft())
        self._wake()

    async def wait_idle(self) -> None:
        """Wait until nothing is ready and nothing is being processed: the end of a drain."""
        while not self._core.idle:
            self._idle.clear()
            await self._idle.wait()

    def statistics(self) -> QueueStatistics:
        """The figures of this moment."""
        return self._core.statistics(self._loop.time())

    def _wake(self) -> None:
        """After any change of the core: wake one getter if a key is ready, and set the timer."""
        now = self._loop.time()
        for _ in range(self._core.promote(now)):
            self._metrics.added()
        if self._core.idle:
            self._idle.set()
        if self._core.ready:
            self._wake_one()
        self._arm(self._core.next_due())

    def _wake_one(self) -> None:
        while self._getters:
            if _resolve(self._getters.popleft()):
                return

    def _arm(self, due: float | None) -> None:
        if self._timer is not None:
            if due == self._timer.when():
                return
            self._timer.cancel()
        self._timer = None if due is None else self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._wake()

    async def _wait_for_change(self) -> None:
        getter: asyncio.Future[None] = self._loop.create_future()
        self._getters.append(getter)
        try:
            await getter
        except asyncio.CancelledError:
            with suppress(ValueError):  # a wake-up between the cancellation and here removed it
                self._getters.remove(getter)
            # Woken and cancelled in one turn: another getter must have the key.
            self._wake()
            raise


def _resolve(getter: asyncio.Future[None]) -> bool:
    if getter.done():
        return False
    getter.set_result(None)
    return True
