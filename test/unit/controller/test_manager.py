import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from controller.manager import (
    HANDOVER_S,
    Component,
    Group,
    Manager,
    in_order,
    measure_loop_lag,
)


class Recorder:
    """Components that write down what happens to them, in one list."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def component(
        self,
        name: str,
        *,
        ready_after_s: float | None = None,
        ends_after_s: float | None = None,
        error: BaseException | None = None,
        finishes_in_s: float | None = None,
        cleans_up_s: float = 0.0,
    ) -> Component:
        """`finishes_in_s`: has a `stop`, and takes so long to obey; otherwise it is cancelled."""
        asked = asyncio.Event()

        async def run() -> None:
            self.seen.append(f"{name} starts")
            try:
                if ends_after_s is not None:
                    await asyncio.sleep(ends_after_s)
                    if error is not None:
                        raise error
                    return
                await asked.wait()
                await asyncio.sleep(finishes_in_s or 0.0)
                self.seen.append(f"{name} finished")
            except asyncio.CancelledError:
                await asyncio.sleep(cleans_up_s)
                self.seen.append(f"{name} cancelled")
                raise

        async def wait_ready() -> None:
            await asyncio.sleep(ready_after_s or 0.0)
            self.seen.append(f"{name} ready")

        return Component(
            name,
            run,
            stop=asked.set if finishes_in_s is not None else None,
            wait_ready=wait_ready if ready_after_s is not None else None,
        )


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def groups(*components: Component) -> tuple[Group, ...]:
    """One group a component."""
    return tuple(Group(component.name, (component,)) for component in components)


async def stopped_after(manager: Manager, seconds: float) -> int:
    asyncio.get_running_loop().call_later(seconds, manager.stop)
    return await manager.run()


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.looptime
async def test_groups_start_in_order_and_stop_in_reverse(recorder: Recorder) -> None:
    made = in_order(
        servers=[recorder.component("health")],
        informers=[
            recorder.component("pods", ready_after_s=3.0),
            recorder.component("services", ready_after_s=5.0),
        ],
        controllers=[recorder.component("broker", finishes_in_s=2.0)],
    )
    assert await stopped_after(Manager(made), 60.0) == 0
    assert recorder.seen == [
        "health starts",
        "pods starts",
        "services starts",
        "pods ready",
        "services ready",
        "broker starts",
        "broker finished",
        "pods cancelled",
        "services cancelled",
        "health cancelled",
    ]
    assert now() == pytest.approx(62.0)


@pytest.mark.looptime
async def test_what_is_not_ready_is_named_until_it_is(recorder: Recorder) -> None:
    manager = Manager(
        groups(
            recorder.component("pods", ready_after_s=3.0),
            recorder.component("services", ready_after_s=3.0),
        )
    )
    seen: list[tuple[str, ...]] = [tuple(manager.unready())]
    for at in (4.0, 7.0):
        asyncio.get_running_loop().call_later(at, lambda: seen.append(tuple(manager.unready())))
    await stopped_after(manager, 10.0)
    assert seen == [("pods", "services"), ("services",), ()]


@pytest.mark.looptime
async def test_a_stop_during_the_sync_starts_nothing_further(recorder: Recorder) -> None:
    manager = Manager(
        groups(
            recorder.component("pods", ready_after_s=1e6),
            recorder.component("broker", finishes_in_s=0.0),
        )
    )
    assert await stopped_after(manager, 100.0) == 0
    assert recorder.seen == ["pods starts", "pods cancelled"]
    assert now() == pytest.approx(100.0)


@pytest.mark.looptime
@pytest.mark.parametrize(
    "error",
    [None, ValueError("a defect"), ExceptionGroup("many", [OSError()]), asyncio.CancelledError()],
)
async def test_a_component_that_dies_stops_the_rest_in_order_with_a_code(
    recorder: Recorder, error: BaseException | None
) -> None:
    manager = Manager(
        groups(
            recorder.component("health"),
            recorder.component("pods", ends_after_s=10.0, error=error),
            recorder.component("broker", finishes_in_s=2.0),
        )
    )
    async with asyncio.timeout(100):
        assert await manager.run() == 1
    assert manager.dead() == ("pods",)
    assert [line for line in recorder.seen if not line.startswith("pods")] == [
        "health starts",
        "broker starts",
        "broker finished",
        "health cancelled",
    ]


@pytest.mark.looptime
async def test_a_failure_to_become_ready_ends_the_process() -> None:
    async def fail() -> None:
        raise RuntimeError("never")

    manager = Manager(groups(Component("pods", asyncio.Event().wait, wait_ready=fail)))
    async with asyncio.timeout(100):
        assert await manager.run() == 1
    assert manager.dead() == ("pods",)


@pytest.mark.looptime
async def test_the_grace_period_is_one_for_all_groups(recorder: Recorder) -> None:
    manager = Manager(
        groups(
            recorder.component("early", finishes_in_s=20.0),
            recorder.component("late", finishes_in_s=20.0),
        ),
        grace_s=30.0,
    )
    assert await stopped_after(manager, 1.0) == 0
    assert recorder.seen[2:] == ["late finished", "early cancelled"]
    assert now() == pytest.approx(31.0)


@pytest.mark.looptime
async def test_a_long_clean_up_is_cut_when_the_grace_period_is_over(recorder: Recorder) -> None:
    manager = Manager(groups(recorder.component("slow", cleans_up_s=40.0)), grace_s=10.0)
    await stopped_after(manager, 1.0)
    assert recorder.seen == ["slow starts"]
    assert now() == pytest.approx(11.0)


@pytest.mark.looptime
async def test_a_component_that_ignores_its_cancellation_does_not_hold_up_the_others(
    recorder: Recorder,
) -> None:
    async def cling() -> None:
        while now() < 100.0:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(100.0 - now())
        recorder.seen.append("stuck ended")

    manager = Manager(groups(recorder.component("health"), Component("stuck", cling)), grace_s=10.0)
    await stopped_after(manager, 1.0)
    assert recorder.seen == ["health starts", "health cancelled", "stuck ended"]


def elected(recorder: Recorder, *, after_s: float, controller: Component) -> Manager:
    return Manager(
        in_order(
            servers=[recorder.component("health")],
            informers=[recorder.component("pods", ready_after_s=1.0)],
            lease=[recorder.component("elector", ready_after_s=after_s, finishes_in_s=0.0)],
            controllers=[controller],
        )
    )


@pytest.mark.looptime
async def test_a_standby_has_warm_caches_and_is_ready_but_starts_no_controller(
    recorder: Recorder,
) -> None:
    manager = elected(recorder, after_s=1e6, controller=recorder.component("broker"))
    assert tuple(manager.unready()) == ("pods",)
    unready: list[object] = []
    asyncio.get_running_loop().call_later(500, lambda: unready.extend(manager.unready()))
    assert await stopped_after(manager, 1000.0) == 0
    assert unready == []
    assert recorder.seen[:4] == ["health starts", "pods starts", "pods ready", "elector starts"]
    assert recorder.seen[4:] == ["elector finished", "pods cancelled", "health cancelled"]


@pytest.mark.looptime
async def test_a_leader_gives_the_lease_back_at_once_when_its_controllers_have_ended(
    recorder: Recorder,
) -> None:
    busy = recorder.component("broker", finishes_in_s=20.0)
    assert await stopped_after(elected(recorder, after_s=5.0, controller=busy), 100.0) == 0
    assert recorder.seen[5:8] == ["broker starts", "broker cancelled", "elector finished"]
    assert now() == pytest.approx(100.0 + HANDOVER_S)


@pytest.mark.looptime
async def test_the_lease_is_not_given_back_while_a_controller_does_not_end(
    recorder: Recorder,
) -> None:
    async def cling() -> None:
        while now() < 200.0:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(200.0 - now())

    manager = elected(recorder, after_s=5.0, controller=Component("broker", cling))
    assert await stopped_after(manager, 100.0) == 0
    assert recorder.seen[5:] == ["elector cancelled", "pods cancelled", "health cancelled"]


@pytest.mark.looptime
async def test_a_cancelled_manager_still_stops_in_order(recorder: Recorder) -> None:
    manager = Manager(
        groups(recorder.component("health"), recorder.component("broker", finishes_in_s=2.0))
    )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(manager.run(), 5.0)
    assert recorder.seen[2:] == ["broker finished", "health cancelled"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_asks_for_an_orderly_stop(
    recorder: Recorder, number: signal.Signals
) -> None:
    """On the real loop: virtual time and signals do not know each other."""
    manager = Manager(groups(recorder.component("broker", finishes_in_s=0.0)))
    asyncio.get_running_loop().call_soon(lambda: signal.raise_signal(number))
    async with asyncio.timeout(10):
        assert await manager.run() == 0
    assert recorder.seen == ["broker starts", "broker finished"]


async def run_for(seconds: float, run: Callable[[], Awaitable[None]]) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run(), seconds)


@pytest.mark.looptime
async def test_an_idle_loop_has_no_lag() -> None:
    lags: list[float] = []
    await run_for(2.25, lambda: measure_loop_lag(lags.append))
    assert lags == pytest.approx([0.0] * 4)


@pytest.mark.looptime
async def test_a_blocked_loop_shows_its_lag() -> None:
    lags: list[float] = []
    loop = asyncio.get_running_loop()
    moved = loop.time

    def block() -> None:
        """Time goes on while nobody else runs."""
        loop.time = lambda: moved() + 3.0  # type: ignore[method-assign]

    loop.call_later(0.25, block)
    await run_for(4.0, lambda: measure_loop_lag(lags.append))
    assert max(lags) == pytest.approx(2.75)
