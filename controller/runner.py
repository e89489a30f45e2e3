"""The workers of one controller: key -> reconcile -> what `next_step` says.

- A worker outlives everything that a reconcile may raise; only its own cancellation ends it.
- Each hand-out ends in exactly one queue call and one result in the metrics, in one `match`.
- Whatever a reconcile logs carries `controller`, `object` and `reconcile_id`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar, runtime_checkable

import msgspec
import structlog

from controller.metrics import ControllerMetrics
from controller.objects import Key
from controller.reconcile import (
    Forget,
    Reconciler,
    Result,
    Retry,
    RetryAt,
    Stop,
    Terminal,
    next_step,
)
from controller.workqueue import Item, Priority, WorkQueue

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class _Event(Protocol):
    """What a listener must know of a change; the rest is for the trigger."""

    @property
    def initial(self) -> bool:
        """Whether it comes from the first list, so that nobody waits for it."""
        ...


E = TypeVar("E", bound=_Event)
E_co = TypeVar("E_co", bound=_Event, covariant=True)


class Source(Protocol[E_co]):
    """Where changes come from: an informer."""

    def add_listener(self, listener: Callable[[E_co], None], /) -> None:
        """Call `listener` for each change, and for each object that is known already."""
        ...


@runtime_checkable
class _Expected(Protocol):
    """An error of one of our trees: it says itself whether another try may help."""

    retriable: bool


class ControllerSettings(msgspec.Struct, frozen=True):
    """How many keys are worked on at once, and when a reconcile is cut."""

    workers: int = 4
    timeout_s: float = 120.0


class Controller:
    """Feeds one reconciler from one queue."""

    def __init__(
        self,
        name: str,
        reconciler: Reconciler,
        queue: WorkQueue[Key],
        settings: ControllerSettings,
        *,
        metrics: ControllerMetrics,
        new_id: Callable[[], str],
    ) -> None:
        self.name = name
        self._reconciler = reconciler
        self._queue = queue
        self._settings = settings
        self._metrics = metrics
        self._new_id = new_id

    def __repr__(self) -> str:
        return f"<Controller {self.name} {self._queue!r}>"

    def watch(self, source: Source[E], trigger: Callable[[E], Iterable[Key]]) -> None:
        """Queue the keys that `trigger` finds in each change of `source`.

        A trigger is pure; what it raises is a defect and ends the informer, for an event that is
        silently dropped would be work that nobody does.
        """

        def enqueue(event: E) -> None:
            priority = Priority.LOW if event.initial else Priority.NORMAL
            for key in trigger(event):
                self._queue.add(key, priority)

        source.add_listener(enqueue)

    async def run(self) -> None:
        """Work until `stop`; cancelled, the reconciles in progress are cancelled with it."""
        async with asyncio.TaskGroup() as workers:
            for number in range(self._settings.workers):
                workers.create_task(self._work(), name=f"{self.name}-{number}")

    def stop(self) -> None:
        """Start no further reconcile; `run` ends when those in progress have ended."""
        self._queue.shutdown(drain=False)

    async def _work(self) -> None:
        while (item := await self._queue.get()) is not None:
            try:
                await self._handle(item)
            finally:
                self._queue.done(item.key)

    async def _handle(self, item: Item[Key]) -> None:
        with structlog.contextvars.bound_contextvars(
            controller=self.name, object=str(item.key), reconcile_id=self._new_id()
        ):
            loop = asyncio.get_running_loop()
            started = loop.time()
            self._metrics.started()
            try:
                ending = await self._ending(item.key)
            finally:
                self._metrics.ended(loop.time() - started)
            self._conclude(item, ending)

    async def _ending(self, key: Key) -> Result | Exception:
        """Reconcile under the time-out; an error is a value here, a cancellation is not."""
        cut = asyncio.timeout(self._settings.timeout_s)
        try:
            async with cut:
                return await self._reconciler.reconcile(key)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not ours: something that the reconcile awaited was cancelled. Let through, it would
            # end this worker without a word, for a TaskGroup takes it for a wish.
            return RuntimeError("the reconcile was cancelled from within")
        except Exception as error:  # noqa: BLE001 - the policy for every error is next_step's
            return error
        finally:
            if cut.expired():
                self._metrics.timed_out()

    def _conclude(self, item: Item[Key], ending: Result | Exception) -> None:
        match next_step(ending):
            case Forget():
                self._queue.forget(item.key)
                self._metrics.succeeded()
            case RetryAt(delay_s):
                self._queue.forget(item.key)
                self._queue.add_after(item.key, delay_s, item.priority)
                self._metrics.requeued_after()
            case Stop():
                # Forgotten: the next try follows a change of the object and owes nothing to this.
                self._queue.forget(item.key)
                self._metrics.failed_terminally()
                _log.warning("reconcile failed until the object changes", error=str(ending))
            case Retry(at_least_s):
                delay_s = self._queue.add_rate_limited(
                    item.key, item.priority, at_least_s=at_least_s
                )
                self._metrics.failed()
                self._report(item.key, ending, delay_s)

    def _report(self, key: Key, ending: Result | Exception, delay_s: float) -> None:
        log = _log.bind(failures=self._queue.num_failures(key), retry_in_s=delay_s)
        if isinstance(ending, Exception) and is_panic(ending):
            self._metrics.panicked()
            log.error("reconcile panicked", exc_info=ending)
        else:
            log.warning("reconcile failed", error=str(ending), error_type=type(ending).__name__)


def is_panic(error: Exception) -> bool:
    """Whether nobody foresaw this error, so that it is most likely a defect of ours.

    Foreseen are the two error trees (they say `retriable`), `Terminal`, and the errors of the
    operating system, TimeoutError among them; a group is as foreseen as its members.
    """
    if isinstance(error, ExceptionGroup):
        return any(is_panic(member) for member in error.exceptions)
    return not isinstance(error, (Terminal, _Expected, OSError))
