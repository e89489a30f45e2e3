"""What was asked of the API server, by whom: read from its own audit log.

The log is written before the answer is sent (mode `blocking`), so a request whose answer somebody
has seen can be read here. A last line that is still being written is left for the next reading.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from fakes.waiting import pause

CONTROLLERS = "system:serviceaccount:kube-system:"
WRITING = frozenset({"create", "update", "patch", "delete", "deletecollection"})
LONGEST_LINE_BYTES = 1 << 20
SETTLED_WITHIN_S = 30.0
HOUSEKEEPING = frozenset({"leases", "events"})
"""Written all the time, about nothing that a cluster consists of."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request that was answered, or a watch that was begun."""

    user: str
    agent: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    uri: str
    forbidden: bool
    """RBAC does not allow it (admission answers 403 as well, e.g. in a namespace that goes)."""

    @property
    def is_write(self) -> bool:
        """Whether it changes objects (Leases and Events apart)."""
        return self.verb in WRITING and self.resource not in HOUSEKEEPING

    @property
    def what(self) -> str:
        """`resource` or `resource/subresource`, as RBAC rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def __str__(self) -> str:
        return f"{self.verb} {self.what} {self.namespace}/{self.name}: {self.code}"


class _User(msgspec.Struct, frozen=True):
    username: str = ""


class _Object(msgspec.Struct, frozen=True, rename="camel"):
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    api_group: str = ""


class _Answer(msgspec.Struct, frozen=True):
    code: int = 0


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    stage: str
    verb: str
    request_uri: str = msgspec.field(name="requestURI")
    user: _User = _User()
    user_agent: str = ""
    object_ref: _Object = _Object()
    response_status: _Answer = _Answer()
    annotations: dict[str, str] = {}


def call(line: bytes) -> Call | None:
    """The call that a line of the log speaks of; None for a second line about the same one."""
    entry = msgspec.json.decode(line, type=_Entry)
    began = entry.stage == "ResponseStarted" and entry.verb == "watch"
    ended = entry.stage == "ResponseComplete" and entry.verb != "watch"
    if not (began or ended):
        return None
    target = entry.object_ref
    return Call(
        user=entry.user.username,
        agent=entry.user_agent,
        verb=entry.verb,
        group=target.api_group,
        resource=target.resource,
        subresource=target.subresource,
        namespace=target.namespace,
        name=target.name,
        code=entry.response_status.code,
        uri=entry.request_uri,
        forbidden=entry.annotations.get("authorization.k8s.io/decision") == "forbid",
    )


class AuditLog:
    """The log of one API server."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> int:
        """This moment, as a place in the log to read from later: always the start of a line."""
        if not self._path.exists():
            return 0
        with self._path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            start = stream.seek(max(0, size - LONGEST_LINE_BYTES))
            return start + stream.read().rfind(b"\n") + 1

    def calls(self, since: int = 0, *, user: str = "", namespace: str = "") -> list[Call]:
        """Everything asked since then: by this user (all), in this namespace (all)."""
        found = (call(line) for line in self._lines(since))
        return [
            one
            for one in found
            if one is not None and user in ("", one.user) and namespace in ("", one.namespace)
        ]

    def writes(self, since: int = 0, *, user: str = "", namespace: str = "") -> list[Call]:
        """The calls that change objects, Leases and Events apart; refused ones too."""
        return [one for one in self.calls(since, user=user, namespace=namespace) if one.is_write]

    def settled(self, *, quiet_s: float = 0.5, user: str = "", namespace: str = "") -> int:
        """Wait until nothing was written for `quiet_s`; returns the mark of that moment.

        By this user (anybody), in this namespace (anywhere).
        """
        deadline = time.monotonic() + SETTLED_WITHIN_S
        mark, quiet_since = self.mark(), time.monotonic()
        while time.monotonic() - quiet_since < quiet_s:
            assert time.monotonic() < deadline, f"never quiet: {_shown(self.writes(mark))}"
            pause(0.05)
            here = self.mark()
            if self.writes(mark, user=user, namespace=namespace):
                quiet_since = time.monotonic()
            mark = here
        return mark

    def _lines(self, since: int) -> Iterable[bytes]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as stream:
            stream.seek(since)
            whole, _, _ = stream.read().rpartition(b"\n")
        return whole.splitlines()


def _shown(calls: list[Call]) -> str:
    return "; ".join(str(one) for one in calls[-5:])
