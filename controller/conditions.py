"""Conditions of a status: set one, keep the transition time unless the status value moves. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One aspect of an object's state, in the form of `metav1.Condition`."""

    type: Annotated[str, Meta(description="What is spoken of.", min_length=1)]
    status: Annotated[ConditionStatus, Meta(description="True, False or Unknown.")]
    reason: Annotated[str, Meta(description="The reason as one UpperCamel word.", min_length=1)]
    message: Annotated[str, Meta(description="A sentence for people.")] = ""
    last_transition_time: Annotated[str, Meta(description="When the status value last moved.")] = ""
    observed_generation: Annotated[int, Meta(description="Generation that was judged.")] = 0


def rfc3339(now: datetime) -> str:
    """`now` (UTC) as the API server writes times, in whole seconds."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def merge_conditions(
    before: Iterable[Condition], after: Iterable[Condition], now: datetime
) -> tuple[Condition, ...]:
    """`after`, each with the old transition time where its status value did not move."""
    known = {condition.type: condition for condition in before}
    return tuple(_stamped(condition, known.get(condition.type), now) for condition in after)


def _stamped(new: Condition, old: Condition | None, now: datetime) -> Condition:
    moved = old is None or old.status != new.status or not old.last_transition_time
    since = rfc3339(now) if moved or old is None else old.last_transition_time
    return msgspec.structs.replace(new, last_transition_time=since)
