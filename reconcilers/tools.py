"""What the reconcilers of every kind are given to work with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import msgspec

from controller.apply import ApplyClient, Line
from controller.events import Event
from controller.objects import ObjectMeta
from reconcilers.act import StepClient
from reconcilers.observe import Caches, Lister
from rocketmq.admin import Admin

RECONCILE = "Reconcile"
"""The action of our Events."""

Record = Callable[[Line], None]


class Stepped(Protocol):
    """Counts steps."""

    def __call__(self, kind: str, of: ObjectMeta, step: str, *, failed: bool) -> None:
        """A step of this name was tried for the resource `of`."""
        ...


class Recorder(Protocol):
    """Takes Events, at once and without failing."""

    def record(self, event: Event) -> None:
        """Have the Event written some time soon."""
        ...


class Client(ApplyClient, StepClient, Lister, Protocol):
    """What a reconciler needs of a KubeClient."""


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What a reconciler works with."""

    client: Client
    admin: Admin
    """Asks and tells RocketMQ's servers."""
    caches: Caches
    events: Recorder
    record: Record
    """Told of every line of an outcome: log and metrics."""
    stepped: Stepped
    """Told of every step of the gate that was tried."""
    wrote_status: Callable[[str], None]
    """Told of the kind whose status was written."""
    now: Callable[[], datetime]
