"""What to ask the API server next to keep a cache current: the list/watch state machine. Pure.

`start()` gives the first step; `advance(state, outcome, ...)` takes how a step ended and gives the
next one. The contract is client-go's reflector (tools/cache/reflector.go), with these invariants:

- a request that follows a failure always waits first (0.8 s to 30 s, or what the server asked for),
  so no answer of a server can make a busy loop;
- the resource version goes forward only, except when a list replaces everything;
- a watch that ends, is refused, or goes silent is continued at the last version: only a version
  that the server no longer has (410), an answer that makes no sense, or a kind that is not served
  or not granted leads to a new list.

Left out: streaming lists (`sendInitialEvents`), which save memory on the server's side above all
and need Kubernetes 1.34; a list from the watch cache works everywhere.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from controller.errors import (
    ApiError,
    ForbiddenError,
    GoneError,
    InvalidError,
    MalformedError,
    NotFoundError,
    SilentError,
    error_for,
)

FIRST_WAIT_S = 0.8
LONGEST_WAIT_S = 30.0
QUIET_S = 120.0
"""After so long without a failure the next one counts as the first."""

SHORT_WATCH_S = 1.0
"""A watch that ends sooner and brought nothing counts as failed (client-go: very short watch)."""

LONGEST_RETRY_AFTER_S = 300.0
"""A server may ask for more, but nobody should be deaf for longer because of one header."""


class Failure(Enum):
    """Why a request has to be made again; the value names the relist in metrics."""

    EXPIRED = "expired"
    """The resource version is too old (410), or newer than all the server knows."""
    UNAVAILABLE = "unavailable"
    """No answer, cut, 401, 429 or 5xx: nothing is known to be wrong with our version."""
    SILENT = "silent"
    """No byte for too long."""
    NOT_SERVED = "not_served"
    """403, 404 or another refusal that only somebody's action changes: no grant, no such CRD."""
    MALFORMED = "malformed"
    """An answer that makes no sense."""


class ListRequest(msgspec.Struct, frozen=True):
    """List everything: from the watch cache ("0"), at least as new as a version, or quorum ("")."""

    resource_version: str
    cause: Failure | None = None


class WatchRequest(msgspec.Struct, frozen=True):
    """Watch for what happens after a version; the server ends it at `timeout_s`."""

    resource_version: str
    timeout_s: int


class Step(msgspec.Struct, frozen=True):
    """What to do next: wait, then ask."""

    request: ListRequest | WatchRequest
    wait_s: float = 0.0


class Listed(msgspec.Struct, frozen=True):
    """The list is complete and swapped in."""

    resource_version: str


class Ended(msgspec.Struct, frozen=True):
    """The server ended the watch in an orderly way."""

    lasted_s: float


class Failed(msgspec.Struct, frozen=True):
    """The list or the watch did not work, or the watch broke after a while."""

    failure: Failure
    lasted_s: float = 0.0
    retry_after_s: float = 0.0


Outcome = Listed | Ended | Failed


class State(msgspec.Struct, frozen=True):
    """Everything that decides the next request."""

    resource_version: str = ""
    """The last one seen; empty before the first list."""
    listing: bool = True
    """Whether the current request is a list."""
    unusable: bool = False
    """The server does not know our version: the next list is a quorum read."""
    cause: Failure | None = None
    """Why we list (again)."""
    progressed: bool = False
    """Whether the current watch has brought anything."""
    failures: int = 0
    quiet_since: float = 0.0
    """When the request after the last failure was made."""


def start() -> tuple[State, Step]:
    """The beginning: list from the watch cache."""
    state = State()
    return state, Step(_list_request(state))


def observed(state: State, resource_version: str) -> State:
    """The watch brought an event or a bookmark of this version."""
    if state.progressed and resource_version == state.resource_version:
        return state
    return msgspec.structs.replace(
        state,
        resource_version=_later(state.resource_version, resource_version),
        progressed=True,
    )


def advance(state: State, outcome: Outcome, *, now: float, random: float) -> tuple[State, Step]:
    """The step after `outcome`; `now` in seconds of any monotonic clock, `random` in [0, 1)."""
    if isinstance(outcome, Listed):
        state = msgspec.structs.replace(
            state,
            resource_version=outcome.resource_version,
            listing=False,
            unusable=False,
            cause=None,
        )
        return _next(state, wait_s=0.0, random=random)
    if isinstance(outcome, Ended) and (state.progressed or outcome.lasted_s >= SHORT_WATCH_S):
        return _next(state, wait_s=0.0, random=random)
    if isinstance(outcome, Ended):
        outcome = Failed(Failure.UNAVAILABLE, outcome.lasted_s)
    return _after_failure(state, outcome, now=now, random=random)


def _after_failure(
    state: State, outcome: Failed, *, now: float, random: float
) -> tuple[State, Step]:
    failure = outcome.failure
    relist = state.listing or failure not in (Failure.UNAVAILABLE, Failure.SILENT)
    # What took longer than the longest wait is slow enough without one. So a watch that is cut
    # once a minute by a load balancer is not also deaf for half a minute each time.
    fresh = now - state.quiet_since > QUIET_S or outcome.lasted_s > LONGEST_WAIT_S
    failures = 1 if fresh else state.failures + 1
    wait_s = max(_backoff_s(failures, random), min(outcome.retry_after_s, LONGEST_RETRY_AFTER_S))
    state = msgspec.structs.replace(
        state,
        listing=relist,
        # From a watch, 410 only says that changes since then are gone: a list "not older than"
        # our version works. From a list it says that the version itself is of no use.
        unusable=state.unusable or (state.listing and failure is Failure.EXPIRED),
        cause=failure if relist and not state.listing else state.cause,
        failures=failures,
        quiet_since=now + wait_s,
    )
    return _next(state, wait_s=wait_s, random=random)


def _next(state: State, *, wait_s: float, random: float) -> tuple[State, Step]:
    if state.listing:
        return state, Step(_list_request(state), wait_s)
    state = msgspec.structs.replace(state, progressed=False)
    # Five to ten minutes, spread so that the watches of a restarted API server do not all end
    # at the same time.
    return state, Step(WatchRequest(state.resource_version, 300 + int(random * 300)), wait_s)


def _list_request(state: State) -> ListRequest:
    resource_version = "" if state.unusable else state.resource_version or "0"
    return ListRequest(resource_version, state.cause)


def _backoff_s(failures: int, random: float) -> float:
    # Doubling stops at half of the longest wait, for jitter adds up to as much again.
    doubled: float = FIRST_WAIT_S * 2 ** min(failures - 1, 16)
    return min(doubled, LONGEST_WAIT_S / 2) * (1 + random)


def _later(known: str, seen: str) -> str:
    # Versions are comparable as integers where they are integers (KEP-5504); else the latest wins.
    if known.isdecimal() and seen.isdecimal() and int(seen) < int(known):
        return known
    return seen or known


def failed(error: ApiError, *, lasted_s: float) -> Failed:
    """What an error of a list or a watch means for the next request."""
    return Failed(_failure(error), lasted_s, error.retry_after_s or 0.0)


def _failure(error: ApiError) -> Failure:
    # A version of the future (after etcd was restored from a backup) is answered with 504 and
    # this text, see IsTooLargeResourceVersion in client-go's reflector.
    if isinstance(error, GoneError) or "Too large resource version" in error.message:
        return Failure.EXPIRED
    if isinstance(error, SilentError):
        return Failure.SILENT
    if isinstance(error, MalformedError):
        return Failure.MALFORMED
    if isinstance(error, (NotFoundError, ForbiddenError, InvalidError)):
        return Failure.NOT_SERVED
    return Failure.UNAVAILABLE


class WatchEvent(msgspec.Struct, frozen=True):
    """One line of a watch; the object is not decoded yet."""

    type: str
    object: msgspec.Raw


class _VersionOnly(msgspec.Struct, rename="camel"):
    resource_version: str


class _Bookmark(msgspec.Struct):
    metadata: _VersionOnly


class _RetryDetails(msgspec.Struct, rename="camel"):
    retry_after_seconds: int = 0


class _Status(msgspec.Struct):
    code: int = 500
    details: _RetryDetails | None = None


_EVENT = msgspec.json.Decoder(WatchEvent)
_BOOKMARK = msgspec.json.Decoder(_Bookmark)
_STATUS = msgspec.json.Decoder(_Status)


def watch_event(line: bytes) -> WatchEvent:
    """The event of one line; an ERROR event is raised as the ApiError that it stands for."""
    try:
        event = _EVENT.decode(line)
        if event.type != "ERROR":
            return event
        status = _STATUS.decode(event.object)
    except msgspec.DecodeError as error:
        raise MalformedError(f"a watch event cannot be read: {error}") from None
    delay_s = status.details.retry_after_seconds if status.details else 0
    raise error_for(status.code, bytes(event.object), retry_after_s=delay_s or None)


def bookmark_version(event: WatchEvent) -> str:
    """The resource version that a BOOKMARK carries; raises MalformedError if there is none."""
    try:
        return _BOOKMARK.decode(event.object).metadata.resource_version
    except msgspec.DecodeError as error:
        raise MalformedError(f"a bookmark cannot be read: {error}") from None
