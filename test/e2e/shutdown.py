"""Whether a broker was stopped as it should be: what its own files on the node say."""

from __future__ import annotations

import re
from pathlib import Path

_HOOK_OVER = re.compile(r"Shutdown hook over, consuming total time\(ms\)")
_LAST_SHUTDOWN = re.compile(r"last shutdown (\w+)")


class BrokerFiles:
    """Log and store of one broker, in a directory with `logs/<name>` and `store/<name>`."""

    def __init__(self, volume: Path, name: str) -> None:
        self.store = volume / "store" / name
        self._logs = volume / "logs" / name / "rocketmqlogs"

    @property
    def log(self) -> Path:
        """The log of the broker itself."""
        return self._logs / "broker.log"

    def hooks_finished(self) -> int:
        """How many times the shutdown hook came to its end."""
        return len(_HOOK_OVER.findall(self.log.read_text(encoding="utf-8", errors="replace")))

    def last_shutdowns(self) -> list[str]:
        """How the broker found its store at each start: `normally` or `abnormally` left.

        `normally` means that there was no file `abort`.
        """
        text = (self._logs / "store.log").read_text(encoding="utf-8", errors="replace")
        return _LAST_SHUTDOWN.findall(text)

    def left_cleanly(self) -> bool:
        """Whether the store holds messages and no file `abort` (of a stopped broker)."""
        return (self.store / "commitlog").is_dir() and not (self.store / "abort").exists()
