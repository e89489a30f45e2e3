import asyncio
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from controller.backoff import BackoffSettings
from controller.metrics import Metrics
from controller.workqueue import Item, Priority, QueueCore, WorkQueue

LOW, NORMAL = Priority.LOW, Priority.NORMAL


def taken(core: QueueCore[str], now: float = 0.0) -> list[str]:
    keys = []
    while (one := core.take(now)) is not None:
        keys.append(one.item.key)
    return keys


def test_a_key_added_twice_is_handed_out_once() -> None:
    core = QueueCore[str]()
    assert core.add("a", 0.0, priority=NORMAL)
    assert not core.add("a", 0.0, priority=NORMAL)
    assert taken(core) == ["a"]


def test_a_key_added_while_running_runs_once_more_after_done() -> None:
    core = QueueCore[str]()
    core.add("a", 0.0, priority=NORMAL)
    core.take(0.0)
    core.add("a", 0.0, priority=NORMAL)
    core.add("a", 0.0, priority=NORMAL)
    assert core.take(0.0) is None
    core.done("a", 0.0)
    assert taken(core) == ["a"]


def test_a_delay_that_ends_while_the_key_runs_waits_for_done() -> None:
    core = QueueCore[str]()
    core.add("a", 0.0, priority=NORMAL)
    core.take(0.0)
    core.add("a", 0.0, priority=NORMAL, delay_s=1.0)
    assert taken(core, 5.0) == []
    core.done("a", 5.0)
    assert taken(core, 5.0) == ["a"]


@pytest.mark.parametrize("delays", [(5.0, 2.0), (2.0, 5.0), (2.0, 2.0)])
def test_the_earlier_of_two_due_times_wins(delays: tuple[float, float]) -> None:
    core = QueueCore[str]()
    for delay_s in delays:
        core.add("a", 0.0, priority=NORMAL, delay_s=delay_s)
    assert core.next_due() == 2.0
    assert taken(core, 1.9) == []
    assert taken(core, 2.0) == ["a"]
    core.done("a", 2.0)
    assert taken(core, 9.0) == []


def test_an_event_pulls_a_key_out_of_its_backoff() -> None:
    core = QueueCore[str]()
    core.add("a", 0.0, priority=NORMAL, delay_s=1000.0)
    assert core.add("a", 1.0, priority=NORMAL)
    assert taken(core, 1.0) == ["a"]
    assert core.next_due() is None


def test_a_delay_of_zero_or_less_is_no_delay() -> None:
    core = QueueCore[str]()
    core.add("a", 0.0, priority=NORMAL, delay_s=-3.0)
    assert taken(core) == ["a"]


def test_a_users_edit_goes_before_the_initial_list() -> None:
    core = QueueCore[str]()
    for key in ("old-1", "old-2", "old-3"):
        core.add(key, 0.0, priority=LOW)
    core.add("edit", 0.0, priority=NORMAL)
    assert taken(core) == ["edit", "old-1", "old-2", "old-3"]


def test_deduplication_keeps_the_higher_priority() -> None:
    core = QueueCore[str]()
    core.add("a", 0.0, priority=LOW)
    core.add("b", 0.0, priority=LOW)
    core.add("b", 0.0, priority=NORMAL)
    core.add("b", 0.0, priority=LOW)
    first = core.take(0.0)
    assert first is not None
    assert first.item == Item("b", NORMAL)


def test_a_key_whose_delay_ended_goes_to_the_back_of_its_priority() -> None:
    core = QueueCore[str]()
    core.add("late", 0.0, priority=NORMAL, delay_s=1.0)
    core.add("first", 0.0, priority=NORMAL)
    core.add("low", 0.0, priority=LOW)
    assert taken(core, 2.0) == ["first", "late", "low"]


def test_statistics_show_depth_and_the_age_of_running_work() -> None:
    core = QueueCore[str]()
    core.add("a", 0.0, priority=NORMAL)
    core.take(0.0)
    core.add("b", 1.0, priority=NORMAL)
    core.take(1.0)
    core.add("c", 1.0, priority=LOW)
    core.add("d", 1.0, priority=NORMAL, delay_s=9.0)
    now = core.statistics(4.0)
    assert now.depth == {0: 0, -100: 1}
    assert (now.waiting, now.processing) == (1, 2)
    assert (now.unfinished_work_s, now.longest_running_s) == (7.0, 4.0)


def test_keys_that_are_pulled_forward_for_ever_cost_no_memory() -> None:
    core = QueueCore[str]()
    for turn in range(10_000):
        core.add("a", float(turn), priority=NORMAL, delay_s=1e6)
        core.add("a", float(turn), priority=NORMAL)
        assert taken(core, float(turn)) == ["a"]
        core.done("a", float(turn))
    assert len(core._heap) < 100


class Expected(msgspec.Struct):
    """The slot of one key in the model of the queue."""

    due: float
    priority: Priority


KEYS = st.sampled_from("abcde")


class QueueMachine(RuleBasedStateMachine):
    """The core against a dictionary and a set: what may be handed out, and what must be."""

    @initialize()
    def start(self) -> None:
        self.core = QueueCore[str]()
        self.now = 0.0
        self.slots: dict[str, Expected] = {}
        self.running: set[str] = set()
        self.shut = False

    @rule(key=KEYS, delay_s=st.sampled_from([-1.0, 0.0, 1.0, 2.5, 10.0]), low=st.booleans())
    def add(self, key: str, delay_s: float, low: bool) -> None:
        priority = LOW if low else NORMAL
        self.core.add(key, self.now, priority=priority, delay_s=delay_s)
        if self.shut:
            return
        due = self.now + max(delay_s, 0.0)
        slot = self.slots.setdefault(key, Expected(due, priority))
        slot.due = min(slot.due, due)
        slot.priority = max(slot.priority, priority)

    @rule(step_s=st.sampled_from([0.0, 0.5, 1.0, 10.0]))
    def time_passes(self, step_s: float) -> None:
        self.now += step_s

    @rule()
    def take(self) -> None:
        taken = self.core.take(self.now)
        may = {
            key: slot
            for key, slot in self.slots.items()
            if slot.due <= self.now and key not in self.running
        }
        if taken is None:
            assert not may
            return
        key = taken.item.key
        assert key in may
        assert taken.item.priority == may[key].priority == max(s.priority for s in may.values())
        assert taken.waited_s == self.now - may[key].due
        del self.slots[key]
        self.running.add(key)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.core.done(key, self.now)
        self.running.remove(key)

    @rule(drain=st.booleans())
    @precondition(lambda self: len(self.slots) > 2)
    def shutdown(self, drain: bool) -> None:
        self.core.promote(self.now)
        self.core.shutdown(drain=drain)
        self.shut = True
        self.slots = {
            key: slot for key, slot in self.slots.items() if drain and slot.due <= self.now
        }

    @rule()
    def look(self) -> None:
        """A rule, not an invariant: the other rules must also meet times that nobody promoted."""
        self.core.promote(self.now)
        waiting = [slot.due for slot in self.slots.values() if slot.due > self.now]
        assert self.core.next_due() == min(waiting, default=None)
        ready = {key for key, slot in self.slots.items() if slot.due <= self.now} - self.running
        assert self.core.ready == bool(ready)
        assert self.core.ended == (self.shut and not ready)
        assert self.core.idle == (not ready and not self.running)

    def teardown(self) -> None:
        """Whatever happened: with enough time and `done`, all that was asked for comes out."""
        for key in sorted(self.running):
            self.core.done(key, self.now)
        rest = taken(self.core, self.now + 100.0)
        assert sorted(rest) == sorted(self.slots)


TestQueueCore = QueueMachine.TestCase
TestQueueCore.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


NewQueue = Callable[[], WorkQueue[str]]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def new_queue(metrics: Metrics) -> NewQueue:
    return lambda: WorkQueue[str](
        metrics.queue("q", controller="c"), backoff=BackoffSettings(base_s=1.0, cap_s=4.0)
    )


@pytest.mark.looptime
async def test_get_waits_for_the_due_time(new_queue: NewQueue) -> None:
    queue = new_queue()
    queue.add_after("a", 30.0)
    assert await queue.get() == Item("a", NORMAL)
    assert asyncio.get_running_loop().time() == pytest.approx(30.0)


@pytest.mark.looptime
async def test_a_waiting_get_is_woken_by_an_earlier_due_time(new_queue: NewQueue) -> None:
    queue = new_queue()
    queue.add_after("a", 30.0)
    loop = asyncio.get_running_loop()
    loop.call_at(1.0, lambda: queue.add_after("a", 5.0))
    assert await queue.get() == Item("a", NORMAL)
    assert loop.time() == pytest.approx(6.0)


@pytest.mark.looptime
async def test_every_worker_gets_a_key_when_many_come_due_at_once(new_queue: NewQueue) -> None:
    queue = new_queue()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        gets = [tasks.create_task(queue.get()) for _ in range(3)]
        await asyncio.sleep(1)
        for key in "abc":
            queue.add_after(key, 4.0)
    assert {item.key for get in gets if (item := get.result())} == {"a", "b", "c"}
    assert asyncio.get_running_loop().time() == pytest.approx(5.0)


@pytest.mark.looptime
async def test_a_key_is_not_lost_with_a_getter_cancelled_as_it_wakes(new_queue: NewQueue) -> None:
    queue = new_queue()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        doomed = tasks.create_task(queue.get())
        other = tasks.create_task(queue.get())
        await asyncio.sleep(1)
        queue.add("a")
        doomed.cancel()
    assert other.result() == Item("a", NORMAL)


@pytest.mark.looptime
async def test_a_cancelled_getter_takes_nothing(new_queue: NewQueue) -> None:
    queue = new_queue()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        doomed = tasks.create_task(queue.get())
        other = tasks.create_task(queue.get())
        await asyncio.sleep(1)
        doomed.cancel()
        queue.add("a")
    assert other.result() == Item("a", NORMAL)


@pytest.mark.looptime
async def test_failures_back_off_and_forget_ends_it(new_queue: NewQueue) -> None:
    queue = new_queue()
    assert queue.add_rate_limited("a") == 1.0
    assert queue.add_rate_limited("a") == 2.0
    assert queue.num_failures("a") == 2
    queue.forget("a")
    assert queue.add_rate_limited("a") == 1.0


@pytest.mark.looptime
async def test_the_server_may_ask_for_more_than_the_backoff(new_queue: NewQueue) -> None:
    queue = new_queue()
    assert queue.add_rate_limited("a", at_least_s=17.0) == 17.0
    assert await queue.get() == Item("a", NORMAL)
    assert asyncio.get_running_loop().time() == pytest.approx(17.0)


@pytest.mark.looptime
async def test_the_shutdown_drains_ready_keys_and_drops_delays(new_queue: NewQueue) -> None:
    queue = new_queue()
    queue.add("running")
    assert await queue.get() is not None
    queue.add("ready")
    queue.add_after("delayed", 500.0)
    queue.shutdown()
    queue.add("too late")
    assert await queue.get() == Item("ready", NORMAL)
    assert await queue.get() is None
    queue.done("running")
    queue.done("ready")
    await queue.wait_idle()
    assert asyncio.get_running_loop().time() == pytest.approx(0.0)


@pytest.mark.looptime
async def test_the_shutdown_ends_every_waiting_get(new_queue: NewQueue) -> None:
    queue = new_queue()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        gets = [tasks.create_task(queue.get()) for _ in range(3)]
        await asyncio.sleep(1)
        queue.add_after("delayed", 500.0)
        queue.shutdown()
    assert [get.result() for get in gets] == [None, None, None]


@pytest.mark.looptime
async def test_a_shutdown_without_drain_drops_what_is_ready(new_queue: NewQueue) -> None:
    queue = new_queue()
    queue.add("ready")
    queue.shutdown(drain=False)
    assert await queue.get() is None


@pytest.mark.looptime
async def test_a_drain_waits_for_the_key_that_was_added_while_running(new_queue: NewQueue) -> None:
    queue = new_queue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.shutdown()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        idle = tasks.create_task(queue.wait_idle())
        await asyncio.sleep(1)
        queue.done("a")
        await asyncio.sleep(1)
        assert not idle.done()
        assert await queue.get() == Item("a", NORMAL)
        queue.done("a")


@pytest.mark.looptime
async def test_the_metrics_tell_of_adds_retries_and_durations(
    metrics: Metrics, new_queue: NewQueue
) -> None:
    queue = new_queue()
    queue.add("a")
    queue.add("a")
    queue.add_after("b", 2.0)
    await asyncio.sleep(5)
    first = await queue.get()
    assert first == Item("a", NORMAL)
    await asyncio.sleep(3)
    labels = {"name": "q", "controller": "c"}

    def value(name: str, **more: str) -> float | None:
        return metrics.registry.get_sample_value(f"workqueue_{name}", labels | more)

    assert value("adds_total") == 2
    assert value("retries_total") == 1
    assert value("depth", priority="0") == 1
    assert value("unfinished_work_seconds") == pytest.approx(3)
    queue.done("a")
    assert value("queue_duration_seconds_sum") == pytest.approx(5)
    assert value("work_duration_seconds_sum") == pytest.approx(3)
