"""Start and stop of the whole process, as an ordered list of groups.

- Groups start in order, each when the one before is ready; they stop in reverse, within one grace
  period for all of them.
- Every component is essential: one that ends without being asked to ends the process with code 1,
  for a process that half works is worse than one that the kubelet starts again.
- SIGTERM and SIGINT ask for an orderly stop (code 0).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
import structlog

GRACE_S = 30.0
"""controller-runtime's default, and the kubelet's: a manifest that changes one changes both."""

HANDOVER_S = 0.5
"""How long controllers may finish what they do when another process waits to go on with it."""

_CANCEL_S = 5.0
"""How long a cancelled component may clean up before the next group is stopped."""

_STILL_WAITING_S = 30.0

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Component(msgspec.Struct, frozen=True):
    """Something that runs as long as the process.

    `run` ends only after `stop` was called, or, without `stop`, by cancellation. `wait_ready`
    returns when the next group may build on it.
    """

    name: str
    run: Callable[[], Awaitable[object]]
    stop: Callable[[], None] | None = None
    wait_ready: Callable[[], Awaitable[object]] | None = None


class Group(msgspec.Struct, frozen=True):
    """Components that start and stop together."""

    name: str
    components: tuple[Component, ...]
    is_turn: bool = False
    """Here a process waits for its turn, maybe for ever: it is ready all the same."""
    stops_within_s: float | None = None
    """Time of its own to stop, within the one for all; what has not ended then is cancelled."""


def in_order(
    *,
    servers: Sequence[Component],
    informers: Sequence[Component],
    lease: Sequence[Component] = (),
    controllers: Sequence[Component],
) -> tuple[Group, ...]:
    """The groups of an operator. Each boundary stands where it does for a reason."""
    return (
        Group("servers", tuple(servers)),
        # Servers before informers: a sync takes long when the API server is slow, and a process
        # that does not answer /healthz meanwhile is killed before it gets there. In reverse:
        # whoever asks during the stop gets an answer until the end.
        Group("informers", tuple(informers)),
        # Informers before controllers: a reconcile over a cache that is half full takes what is
        # not listed yet for deleted. In reverse: a reconcile that is being finished must not
        # decide on a cache that stands still.
        Group("lease", tuple(lease), is_turn=True),
        # The Lease behind the caches: a successor takes over warm. Before the controllers: nobody
        # writes without it. In reverse: it is released only when the last reconcile has ended, and
        # that soon, for nobody acts meanwhile.
        Group("controllers", tuple(controllers), stops_within_s=HANDOVER_S if lease else None),
    )


class Manager:
    """Runs groups of components until it is asked to stop or one of them dies."""

    def __init__(self, groups: Sequence[Group], *, grace_s: float = GRACE_S) -> None:
        self._groups = tuple(groups)
        self._grace_s = grace_s
        self._stopping = asyncio.Event()
        self._dead: list[str] = []
        self._unready = [
            component.name
            for group in groups
            for component in group.components
            if component.wait_ready is not None and not group.is_turn
        ]

    def __repr__(self) -> str:
        return f"<Manager dead={self._dead} unready={self._unready}>"

    def dead(self) -> Sequence[str]:
        """The components that ended without being asked to."""
        return tuple(self._dead)

    def unready(self) -> Sequence[str]:
        """The components that others still wait for."""
        return tuple(self._unready)

    def stop(self) -> None:
        """Ask for an orderly stop; asking again changes nothing."""
        self._stopping.set()

    async def run(self) -> int:
        """Start, wait, stop; the exit code of the process."""
        with self._signals():
            async with asyncio.TaskGroup() as tasks:
                started: list[_Running] = []
                try:
                    await self._start(tasks, started)
                    await self._stopping.wait()
                finally:
                    self._stopping.set()
                    await self._stop(started)
        return 1 if self._dead else 0

    async def _start(self, tasks: asyncio.TaskGroup, started: list[_Running]) -> None:
        for group in self._groups:
            if self._stopping.is_set():
                return
            _log.info("group starts", group=group.name)
            running = _Running(group, [])
            started.append(running)
            for component in group.components:
                task = tasks.create_task(self._guard(component), name=component.name)
                running.tasks.append(task)
            await self._wait_ready(tasks, group)

    async def _wait_ready(self, tasks: asyncio.TaskGroup, group: Group) -> None:
        """Until all of the group are ready, or the stop was asked for."""
        waits = {tasks.create_task(self._ready(c)) for c in group.components if c.wait_ready}
        stopping = tasks.create_task(self._stopping.wait())
        try:
            while waits and not stopping.done():
                done, _ = await asyncio.wait(
                    {*waits, stopping},
                    timeout=_STILL_WAITING_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                waits -= done
                if not done and not group.is_turn:
                    _log.warning("group not ready", group=group.name, waiting_for=self._unready)
        finally:
            for task in (*waits, stopping):
                task.cancel()

    async def _ready(self, component: Component) -> None:
        try:
            if component.wait_ready is not None:
                await component.wait_ready()
        except Exception:  # noqa: BLE001 - whatever it is, it ends the process in order
            _log.exception("component failed to become ready", component=component.name)
            self._died(component)
        else:
            if component.name in self._unready:
                self._unready.remove(component.name)

    async def _guard(self, component: Component) -> None:
        """Run a component; its end is a finding unless the stop was asked for."""
        try:
            await component.run()
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                # Not by us: a TaskGroup takes it for a wish and would go on without this one.
                _log.error("component was cancelled from within", component=component.name)
                self._died(component)
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it ends the process in order
            _log.exception("component failed", component=component.name)
            self._died(component)
        else:
            if not self._stopping.is_set():
                _log.error("component ended by itself", component=component.name)
                self._died(component)

    def _died(self, component: Component) -> None:
        self._dead.append(component.name)
        self._stopping.set()

    async def _stop(self, started: Sequence[_Running]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace_s
        in_order = True
        for running in reversed(started):
            _log.info("group stops", group=running.group.name)
            # Behind one that does not end nobody is asked to stop but all are cancelled: a Lease
            # must not be released over something that may still write.
            in_order &= await running.stop(deadline - loop.time(), ask=in_order)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


class _Running(msgspec.Struct):
    """A group that was started, and its tasks in the order of its components."""

    group: Group
    tasks: list[asyncio.Task[None]]

    async def stop(self, within_s: float, *, ask: bool) -> bool:
        """Ask each component to end (or cancel it), and cancel what has not ended in time.

        False if one ignores its cancellation. The groups before it must not wait for it; the
        kubelet kills the process in the end.
        """
        for component, task in zip(self.group.components, self.tasks, strict=True):
            if component.stop is None or not ask:
                task.cancel()
            else:
                component.stop()
        if self.group.stops_within_s is not None:
            within_s = min(within_s, self.group.stops_within_s)
        late = await _ended(self.tasks, within_s)
        for task in late:
            _log.warning("component did not end in time", component=task.get_name())
            task.cancel()
        clinging = await _ended(late, _CANCEL_S)
        for task in clinging:
            _log.error("component does not end", component=task.get_name())
        return not clinging


async def _ended(
    tasks: Sequence[asyncio.Task[None]], within_s: float
) -> Sequence[asyncio.Task[None]]:
    """Wait for the tasks to end; those that did not."""
    if not tasks:
        return ()
    _, late = await asyncio.wait(tasks, timeout=max(within_s, 0.0))
    return tuple(late)


async def measure_loop_lag(observe: Callable[[float], None], *, every_s: float = 0.5) -> None:
    """Tell `observe` again and again by how much the event loop was late, until cancelled.

    A loop that is late is one that some reconcile blocks: every lease, watch and probe waits, too.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every_s
        await asyncio.sleep(every_s)
        observe(max(loop.time() - due, 0.0))
