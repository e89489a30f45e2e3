import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import msgspec
import pytest
import structlog
from structlog.testing import LogCapture

from controller.errors import ThrottledError, UnreachableError
from controller.metrics import Metrics
from controller.objects import Key
from controller.reconcile import Request, Result, Terminal
from controller.runner import Controller, ControllerSettings, is_panic
from controller.workqueue import Priority, WorkQueue

A, B, C = Key("ns", "a"), Key("ns", "b"), Key("ns", "c")


class Scripted:
    """A reconciler that does what the script says: return, raise, or work for some seconds."""

    def __init__(self, script: dict[Key, list[Result | BaseException | float]]) -> None:
        self.script = script
        self.started: list[tuple[float, Key]] = []
        self.finished: list[Key] = []
        self.running: set[Key] = set()

    async def reconcile(self, request: Request) -> Result:
        assert request not in self.running
        self.started.append((asyncio.get_running_loop().time(), request))
        self.running.add(request)
        try:
            steps = self.script.get(request, [])
            ending = steps.pop(0) if steps else Result()
            if isinstance(ending, BaseException):
                raise ending
            if isinstance(ending, Result):
                return ending
            await asyncio.sleep(ending)
            self.finished.append(request)
            return Result()
        finally:
            self.running.remove(request)

    def times(self, key: Key) -> list[float]:
        return [round(at, 3) for at, started in self.started if started == key]


class Bench:
    """One controller with its queue and metrics."""

    def __init__(self, reconciler: Scripted, *, workers: int = 1, timeout_s: float = 60.0) -> None:
        self.metrics = Metrics()
        self.queue = WorkQueue[Key](self.metrics.queue("broker", controller="broker"))
        ids = iter(f"id-{number}" for number in range(1000))
        self.controller = Controller(
            "broker",
            reconciler,
            self.queue,
            ControllerSettings(workers=workers, timeout_s=timeout_s),
            metrics=self.metrics.controller("broker", workers=workers),
            new_id=lambda: next(ids),
        )

    def count(self, name: str, **labels: str) -> float | None:
        name = f"controller_runtime_{name}"
        return self.metrics.registry.get_sample_value(name, {"controller": "broker"} | labels)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.controller.run())
            yield
            self.controller.stop()


@pytest.fixture
def log() -> Iterable[LogCapture]:
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    yield capture
    structlog.configure(**before)


@pytest.mark.looptime
async def test_success_waits_for_the_next_event(log: LogCapture) -> None:
    reconciler = Scripted({})
    bench = Bench(reconciler)
    async with bench.running():
        bench.queue.add(A)
        await asyncio.sleep(100)
    assert reconciler.times(A) == [0.0]
    assert bench.count("reconcile_total", result="success") == 1
    assert log.entries == []


@pytest.mark.looptime
async def test_a_requeue_comes_back_after_its_time_and_forgets_failures() -> None:
    reconciler = Scripted({A: [UnreachableError("cut"), Result(requeue_after_s=30.0)]})
    bench = Bench(reconciler)
    async with bench.running():
        bench.queue.add(A)
        await asyncio.sleep(100)
    assert reconciler.times(A) == [0.0, 0.005, 30.005]
    assert bench.queue.num_failures(A) == 0
    assert bench.count("reconcile_total", result="requeue_after") == 1


@pytest.mark.looptime
async def test_a_terminal_failure_waits_for_a_change(log: LogCapture) -> None:
    reconciler = Scripted({A: [UnreachableError("cut"), Terminal("the spec is wrong")]})
    bench = Bench(reconciler)
    async with bench.running():
        bench.queue.add(A)
        await asyncio.sleep(2000)
        assert len(reconciler.times(A)) == 2
        assert bench.queue.num_failures(A) == 0
        bench.queue.add(A)
        await asyncio.sleep(1)
    assert len(reconciler.times(A)) == 3
    assert bench.count("terminal_reconcile_errors_total") == 1
    assert bench.count("reconcile_errors_total") == 2
    assert log.entries[-1]["event"] == "reconcile failed until the object changes"
    assert log.entries[-1]["error"] == "the spec is wrong"


@pytest.mark.looptime
async def test_failures_back_off_and_keep_the_longer_wait_of_the_server() -> None:
    reconciler = Scripted(
        {A: [UnreachableError("cut"), ThrottledError("slow", retry_after_s=7.0), OSError("x")]}
    )
    bench = Bench(reconciler)
    async with bench.running():
        bench.queue.add(A)
        await asyncio.sleep(20)
    assert reconciler.times(A) == [0.0, 0.005, 7.005, 7.025]
    assert bench.count("reconcile_total", result="error") == 3
    assert bench.count("reconcile_panics_total") == 0


@pytest.mark.looptime
async def test_a_panic_is_counted_logged_with_its_traceback_and_retried(log: LogCapture) -> None:
    reconciler = Scripted({A: [KeyError("oops")]})
    bench = Bench(reconciler)
    async with bench.running():
        bench.queue.add(A)
        await asyncio.sleep(1)
        bench.queue.add(B)
        await asyncio.sleep(1)
    assert reconciler.times(A) == [0.0, 0.005]
    assert reconciler.times(B) == [1.0]
    assert bench.count("reconcile_panics_total") == 1
    assert bench.count("reconcile_total", result="error") == 1
    (entry,) = log.entries
    assert isinstance(entry["exc_info"], KeyError)
    assert entry["exc_info"].__traceback__ is not None
    facts = {name: entry[name] for name in ("controller", "object", "reconcile_id", "failures")}
    assert facts == {
        "controller": "broker",
        "object": "ns/a",
        "reconcile_id": "id-0",
        "failures": 1,
    }


@pytest.mark.looptime
async def test_a_hanging_reconcile_is_cut_counted_and_retried() -> None:
    reconciler = Scripted({A: [1e9]})
    bench = Bench(reconciler, timeout_s=60.0)
    async with bench.running():
        bench.queue.add(A)
        await asyncio.sleep(100)
    assert reconciler.times(A) == [0.0, 60.005]
    assert bench.count("reconcile_timeouts_total") == 1
    assert bench.count("reconcile_errors_total") == 1
    assert bench.count("reconcile_panics_total") == 0


@pytest.mark.looptime
async def test_a_cancellation_from_within_does_not_end_the_worker() -> None:
    reconciler = Scripted({A: [asyncio.CancelledError()]})
    bench = Bench(reconciler)
    async with bench.running():
        bench.queue.add(A)
        await asyncio.sleep(1)
    assert reconciler.times(A) == [0.0, 0.005]
    assert bench.count("reconcile_panics_total") == 1


@pytest.mark.looptime
async def test_a_cancelled_run_cancels_its_reconciles_and_gives_the_keys_back() -> None:
    reconciler = Scripted({A: [1e9]})
    bench = Bench(reconciler)
    bench.queue.add(A)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bench.controller.run(), 5)
    assert reconciler.running == set()
    assert bench.queue.statistics().processing == 0
    assert bench.count("active_workers") == 0


@pytest.mark.looptime
async def test_stop_lets_running_reconciles_end_and_starts_no_other() -> None:
    reconciler = Scripted({A: [10.0]})
    bench = Bench(reconciler)
    async with bench.running():
        bench.queue.add(A)
        bench.queue.add(B)
        bench.queue.add_after(C, 500.0)
        await asyncio.sleep(1)
    assert reconciler.finished == [A]
    assert reconciler.times(B) == []
    assert asyncio.get_running_loop().time() == pytest.approx(10.0)


@pytest.mark.looptime
async def test_workers_share_the_keys_but_never_one_key() -> None:
    reconciler = Scripted({A: [10.0, 10.0], B: [10.0]})
    bench = Bench(reconciler, workers=2)
    async with bench.running():
        bench.queue.add(A)
        bench.queue.add(B)
        await asyncio.sleep(5)
        assert reconciler.running == {A, B}
        assert bench.count("active_workers") == 2
        bench.queue.add(A)
        await asyncio.sleep(20)
    assert reconciler.times(A) == [0.0, 10.0]


class Happened(msgspec.Struct, frozen=True):
    """A change as far as a listener looks at it."""

    keys: tuple[Key, ...]
    initial: bool = False


class Changes:
    """A source whose events the test makes."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[Happened], None]] = []

    def add_listener(self, listener: Callable[[Happened], None]) -> None:
        self.listeners.append(listener)

    def emit(self, event: Happened) -> None:
        for listener in self.listeners:
            listener(event)


@pytest.mark.looptime
async def test_a_users_edit_is_reconciled_before_the_rest_of_the_initial_list() -> None:
    reconciler = Scripted({A: [1.0], B: [1.0], C: [1.0]})
    bench = Bench(reconciler)
    changes = Changes()
    bench.controller.watch(changes, lambda event: event.keys)
    changes.emit(Happened((A, B), initial=True))
    async with bench.running():
        await asyncio.sleep(0.5)
        changes.emit(Happened((C,)))
        await asyncio.sleep(9)
    assert [key for _, key in reconciler.started] == [A, C, B]


@pytest.mark.looptime
@pytest.mark.parametrize("ending", [UnreachableError("cut"), Result(requeue_after_s=0.2)])
async def test_a_key_that_comes_back_keeps_its_priority(ending: Result | Exception) -> None:
    reconciler = Scripted({A: [ending], B: [1.0], C: [1.0]})
    bench = Bench(reconciler)
    bench.queue.add(A, Priority.LOW)
    async with bench.running():
        await asyncio.sleep(0.001)
        bench.queue.add(B, Priority.NORMAL)
        await asyncio.sleep(0.5)
        bench.queue.add(C, Priority.NORMAL)
        await asyncio.sleep(9)
    assert [key for _, key in reconciler.started] == [A, B, C, A]


@pytest.mark.parametrize(
    ("error", "panic"),
    [
        (UnreachableError("cut"), False),
        (Terminal("no"), False),
        (TimeoutError(), False),
        (ConnectionResetError(), False),
        (ValueError("bad"), True),
        (ExceptionGroup("all", [UnreachableError("cut"), OSError()]), False),
        (ExceptionGroup("all", [UnreachableError("cut"), ValueError()]), True),
    ],
)
def test_a_panic_is_what_nobody_foresaw(error: Exception, panic: bool) -> None:
    assert is_panic(error) == panic
