"""The contract between the machinery and a reconciler, and what each ending means. Pure.

A request names an object and nothing about the event (habit: the event is only a hint), so a
reconciler is level-based by construction.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from controller.errors import ApiError
from controller.objects import Key

Request = Key


class Result(msgspec.Struct, frozen=True):
    """A reconcile that ended well; `requeue_after_s` asks to be called again without an event."""

    requeue_after_s: float | None = None


class Terminal(Exception):  # noqa: N818 - an ending, not a fault of ours (design: Errors)
    """Cannot succeed until the object changes: counted, logged, never retried."""


class Reconciler(Protocol):
    """Brings one object of a kind to its desired state."""

    async def reconcile(self, request: Request) -> Result:
        """Do what is needed now; raise `Terminal` if only a change of the object can help."""
        ...


class Forget(msgspec.Struct, frozen=True):
    """Success: forget earlier failures and wait for the next event."""


class RetryAt(msgspec.Struct, frozen=True):
    """Success so far: forget failures and come back after this many seconds."""

    delay_s: float


class Retry(msgspec.Struct, frozen=True):
    """Failure: come back after the key's backoff, or after what the server asked if later."""

    at_least_s: float = 0.0


class Stop(msgspec.Struct, frozen=True):
    """Terminal failure: wait for a change of the object."""


NextStep = Forget | RetryAt | Retry | Stop


def next_step(ending: Result | BaseException) -> NextStep:
    """What the queue does after a reconcile: the only place that knows the policy."""
    if isinstance(ending, Result):
        return Forget() if ending.requeue_after_s is None else RetryAt(ending.requeue_after_s)
    if isinstance(ending, Terminal):
        return Stop()
    if isinstance(ending, ApiError):
        return Retry(ending.retry_after_s or 0.0)
    return Retry()
