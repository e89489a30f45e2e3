"""Tells the user on standard error what goes on, and for how long, at least every 15 seconds."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEARTBEAT_SECONDS = 15.0

_START = time.monotonic()
_PAUSE = threading.Event()


def clock(seconds: float) -> str:
    """Return `seconds` as minutes and seconds: 192 is ` 3:12`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:2d}:{rest:02d}"


def say(line: str) -> None:
    """Print one line with the time since the start of the command."""
    print(f"[{clock(time.monotonic() - _START)}] {line}", file=sys.stderr, flush=True)


@contextmanager
def phase(subject: str, doing: str, done: str) -> Iterator[None]:
    """Announce a piece of work, repeat it while it lasts, and say how long it took."""
    say(f"{subject}: {doing}")
    start = time.monotonic()
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            say(f"{subject}: still {doing} after {time.monotonic() - start:.0f} s")

    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    outcome = "failed"
    try:
        yield
        outcome = done
    finally:
        over.set()
        heart.join()
        say(f"{subject}: {outcome} in {time.monotonic() - start:.1f} s")


def wait_for(condition: Callable[[], bool], seconds: float, interval: float = 0.05) -> bool:
    """Wait until `condition` holds; False when `seconds` have passed without it."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        _PAUSE.wait(interval)
    return True
