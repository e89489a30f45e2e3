"""Waiting for a cluster: states are polled often, under a generous deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.05
DEADLINE_S = 60.0
"""The garbage collector looks for new kinds every 30 s: until then it does not know our owners."""


def eventually(check: Callable[[], T], *, within_s: float = DEADLINE_S) -> T:
    """What `check` returns, as soon as no assertion of it fails and nothing it reads is missing.

    At the deadline its last error is raised: it says what was still wrong.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            return check()
        except (AssertionError, LookupError, ValueError):
            if time.monotonic() >= deadline:
                raise
        pause(POLL_S)


def holds(check: Callable[[], object], *, for_s: float) -> None:
    """Call `check` (which asserts) again and again: it must not fail during this time."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        check()
        pause(POLL_S)


def pause(seconds: float) -> None:
    """Let other processes work; tests of the whole operator have no virtual time."""
    threading.Event().wait(seconds)
