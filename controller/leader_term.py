"""Whether this process may write at this moment: one answer for every thread that asks.

- The right to write ends by itself, `renew_s` after the start of the last request that renewed the
  Lease, whoever is able to notice: nobody needs to be told.
- After that the process ends; it never leads again. A successor of it may.
- The clock goes on while the process or the whole machine is stopped.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

from controller.errors import ApiError

if sys.platform == "linux":

    def clock() -> float:
        """Seconds that never go back; those count in which the machine slept or was frozen."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:
    clock = time.monotonic


class NotLeadingError(ApiError):
    """This process may not write, or not any more: nothing was sent."""


def unguarded() -> None:
    """The guard of a process that leads without an election: it may always write."""


class Leadership:
    """The term of this process; `end` is called when it is over, and should not return."""

    def __init__(
        self, renew_s: float, *, end: Callable[[str], None], now: Callable[[], float] = clock
    ) -> None:
        self.now = now
        self._renew_s = renew_s
        self._end = end
        self._since: float | None = None

    def __repr__(self) -> str:
        return f"<Leadership leading={self.leading} left_s={self.left_s():.1f}>"

    @property
    def leading(self) -> bool:
        """Whether the term has begun and was not given up; it may be over nevertheless."""
        return self._since is not None

    def left_s(self) -> float:
        """Seconds until the term is over, negative afterwards; without a term infinite."""
        since = self._since
        return math.inf if since is None else since + self._renew_s - self.now()

    def hold(self, since: float) -> bool:
        """Begin or prolong the term: the Lease was written by a request that began at `since`.

        False, and nothing begins, when that is so long ago that it would be over.
        """
        if self._since is None and since + self._renew_s <= self.now():
            return False
        self._since = since
        return True

    def give_up(self) -> None:
        """End the term in good order, before the Lease is released."""
        self._since = None

    def require(self) -> None:
        """Return if this process may write now; to be called right before each write.

        Raises NotLeadingError before and after the term, and ends the process when the term ran
        out: then another one may lead already.
        """
        if self._since is None:
            raise NotLeadingError("this process does not hold the Lease")
        if self.left_s() <= 0:
            self.lose("the Lease was not renewed in time")

    def lose(self, why: str) -> None:
        """End the process: nothing may be written any more. Raises only if `end` returns."""
        self._end(why)
        raise NotLeadingError(why)
