"""Says what the demo is doing, with the time since its start."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    """Lines on standard error, each with the elapsed time."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """One line."""
        seconds = int(time.monotonic() - self._started)
        print(f"[{seconds // 60:2d}:{seconds % 60:02d}] {text}", file=sys.stderr, flush=True)

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        """A line at the start, and one at the end with the time it took."""
        self.say(f"{title} ...")
        begin = time.monotonic()
        yield
        self.say(f"{title}: done in {time.monotonic() - begin:.0f} s")
