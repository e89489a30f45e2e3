"""Times of a status: seconds since, in whole seconds, never negative. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def seconds_since(then: str, now: datetime) -> float:
    """How long ago; 0 for what has not been, and for a clock that went back."""
    if not then:
        return 0.0
    began = datetime.strptime(then, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return max(0.0, (now - began).total_seconds())
