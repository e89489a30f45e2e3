"""How long a failing key waits before its next try: exponential per key, no global bucket. Pure.

The limits are client-go's (`default_rate_limiters.go`). Its second limiter, a bucket over all keys,
is left out as in controller-runtime: with it one storm of failures delays every healthy key.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

import msgspec

K = TypeVar("K", bound=Hashable)

_LARGEST_EXPONENT = 64
"""Any base doubled so often is over any cap; it keeps the power of two a small number."""


class BackoffSettings(msgspec.Struct, frozen=True):
    """The first delay and the longest one, in seconds."""

    base_s: float = 0.005
    cap_s: float = 1000.0


class Backoff(Generic[K]):
    """Counts the failures of each key in a row; a key that was forgotten costs no memory."""

    def __init__(self, settings: BackoffSettings) -> None:
        self._settings = settings
        self._failures: dict[K, int] = {}

    def next_delay_s(self, key: K) -> float:
        """Count one failure of `key` and return how long to wait: base · 2^(failures before)."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay_s = self._settings.base_s * 2.0 ** min(failures, _LARGEST_EXPONENT)
        return min(delay_s, self._settings.cap_s)

    def num_failures(self, key: K) -> int:
        """Failures since `key` was last forgotten."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """Start `key` from the first delay again; an unknown key is fine."""
        self._failures.pop(key, None)
