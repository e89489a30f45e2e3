"""Ends the process when a Lease that it holds was not renewed, even if its event loop hangs.

Two lines of defence, because each has a way to fail:
- a thread, which says in the log what happened; code that never lets go of the interpreter's lock
  keeps it from running;
- a timer of faulthandler, which needs no lock and prints what every thread was doing; the thread
  winds it up again and again.
Both fire between the holder's own deadline and the moment from which another may lead.
"""

from __future__ import annotations

import faulthandler
import math
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn, Self

import structlog

from controller.leader_lease import Durations
from controller.leader_term import Leadership

LOOK_EVERY_S = 1.0
_LOG_S = 0.5

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def end_process(why: str) -> NoReturn:
    """End the process with code 1, now: no clean-up, for it could write."""
    try:
        # In a thread of its own: whoever hangs may do so in a log call, with its lock.
        told = threading.Thread(
            target=_log.error, args=("leadership lost",), kwargs={"why": why}, daemon=True
        )
        told.start()
        told.join(_LOG_S)
    finally:
        os._exit(1)


def wind_up(within_s: float | None) -> None:
    """Have faulthandler end the process after `within_s`, unless wound up again; None: never."""
    if within_s is None:
        faulthandler.cancel_dump_traceback_later()
    else:
        faulthandler.dump_traceback_later(within_s, exit=True)


class Watchdog:
    """The thread; it runs within a `with` block."""

    def __init__(
        self,
        leadership: Leadership,
        durations: Durations,
        *,
        end: Callable[[str], None] = end_process,
        timer: Callable[[float | None], None] = wind_up,
    ) -> None:
        self._leadership = leadership
        # The holder itself comes first, for it knows more of the reason.
        self._thread_after_s = (durations.lease_s - durations.renew_s) * 0.2
        self._timer_after_s = (durations.lease_s - durations.renew_s) * 0.4
        self._look_every_s = min(LOOK_EVERY_S, self._thread_after_s)
        self._end = end
        self._timer = timer
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leadership watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._timer(None)

    def look(self) -> float:
        """Look once: end the process if it is time, else wind up the timer; seconds to the next.

        The thread does so by itself; called at the begin of a term, so that no moment of it is
        without the timer.
        """
        left_s = self._leadership.left_s()
        if left_s == math.inf:
            self._timer(None)
            return self._look_every_s
        if left_s + self._thread_after_s <= 0:
            self._end("the process hangs, or was stopped: the Lease was not renewed in time")
        self._timer(max(left_s + self._timer_after_s, 0.001))
        return min(self._look_every_s, max(left_s + self._thread_after_s, 0.001))

    def _run(self) -> None:
        while not self._stopped.wait(self.look()):
            pass
