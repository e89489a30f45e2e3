"""What a CRD says about a kind beyond the fields of its Struct, as data. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from controller.objects import Resource


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A CEL rule that the API server judges at each write.

    `message` says what to change. Rules cannot be evaluated here: each has a twin in `validation`,
    or is a transition (reads `oldSelf`), and is proved against a real API server. Strings and lists
    that a rule walks through need an upper limit, or its estimated cost is refused with the CRD.
    """

    rule: str
    message: str


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of `kubectl get`; priority 1 shows it only with `-o wide`."""

    name: str
    type: Literal["string", "integer", "boolean", "date"]
    json_path: str
    description: str
    priority: int = 0


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """The paths behind `kubectl scale` and autoscalers."""

    spec_path: str
    status_path: str
    selector_path: str


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """One kind: its Struct (with the fields metadata, spec and status) and how it is shown.

    `spec_rules` are not judged again while a write leaves the spec as it was (Kubernetes 1.30 and
    later); `object_rules`, which may read the name as well, are judged at each write, even of the
    status. So a rule belongs to the spec if it can: of a stored object that breaks an object rule
    the status cannot be written.
    """

    resource: Resource
    struct: type[msgspec.Struct]
    description: str
    max_name_length: int
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    object_rules: tuple[Rule, ...] = ()
    spec_rules: tuple[Rule, ...] = ()
    scale: Scale | None = None


# Not `all`: `kubectl delete all --all` would delete clusters together with their pods.
CATEGORIES = ("rocketmq",)

READY = Column(
    name="Ready",
    type="string",
    json_path='.status.conditions[?(@.type=="Ready")].status',
    description="Whether it serves as the spec says.",
)
REASON = Column(
    name="Reason",
    type="string",
    json_path='.status.conditions[?(@.type=="Ready")].reason',
    description="Why it is or is not ready.",
    priority=1,
)
AGE = Column(
    name="Age",
    type="date",
    json_path=".metadata.creationTimestamp",
    description="Time since it was created.",
)
