"""What the gate decided: the next steps, and for every pod that waits the reason in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from rocketmq.backlog import Backlog
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig


class WritesMoved(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Note on a master's pod that producers were sent to other groups; it ends with the pod.

    A broker that starts reads its own permission anew, so neither outlives the other.
    """

    since: datetime
    permission: str
    """The broker's permission before: what is given back."""
    log_end: int
    """End of the commit log when it was looked at last."""
    still_since: datetime
    """Since when the log has had this end."""


class Leaving(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Note on a master's StatefulSet that its group leaves; it outlives the pods.

    A master that starts meanwhile takes no writes (start-broker.sh reads it in group.conf).
    """

    began: datetime
    """When its writes were taken away first: what a deadline counts from."""
    permission: str
    """The broker's permission before: what is given back."""
    since: datetime
    """Since when it takes no writes, as far as we know."""
    empty_since: datetime | None = None
    """When it was found to hold nothing for anybody."""
    empty_log_end: int = 0
    """The end of its log then."""
    returned: datetime | None = None
    """When the group was wanted again, and its writes were given back."""


class PushSettings(msgspec.Struct, frozen=True):
    """Tell a running broker settings that it takes without a restart."""

    pod: str
    address: str
    changes: Mapping[str, str]


class MoveWrites(msgspec.Struct, frozen=True):
    """Note it on the pod, then take the permission to write from the broker."""

    pod: str
    uid: str
    address: str
    note: WritesMoved
    permission: str
    """The permission while writes are moved."""


class NoteWrites(msgspec.Struct, frozen=True):
    """Note on the pod how far the log has come."""

    pod: str
    uid: str
    note: WritesMoved


class RestoreWrites(msgspec.Struct, frozen=True):
    """Give the broker its permission back, then remove the note."""

    pod: str
    uid: str
    address: str
    permission: str


class Restart(msgspec.Struct, frozen=True):
    """Stop one pod, so that its StatefulSet makes it anew."""

    pod: str
    uid: str
    why: str
    evict: bool
    """By an eviction, which heeds the PodDisruptionBudget; a pod that serves nobody is deleted."""


class RemoveReplica(msgspec.Struct, frozen=True):
    """Remove the StatefulSet of a replica that the spec does not ask for any more."""

    stateful_set: str
    uid: str
    pod: str


class StopWrites(msgspec.Struct, frozen=True):
    """Note it on the StatefulSet, then take the permission to write from the broker."""

    pod: str
    address: str
    stateful_set: str
    uid: str
    note: Leaving
    permission: str
    """The permission from now on; empty: it has none to take away."""


class ReturnWrites(msgspec.Struct, frozen=True):
    """Give the broker its permission back, then note it on the StatefulSet."""

    pod: str
    address: str
    stateful_set: str
    uid: str
    note: Leaving


class NoteLeaving(msgspec.Struct, frozen=True):
    """Note on the StatefulSet how far the group is; None: that it does not leave any more."""

    pod: str
    stateful_set: str
    uid: str
    note: Leaving | None


class NoteDrained(msgspec.Struct, frozen=True):
    """Note on the StatefulSet that the group was found to hold nothing."""

    pod: str
    stateful_set: str
    uid: str
    note: Leaving


class RemoveBroker(msgspec.Struct, frozen=True):
    """Remove the StatefulSet of a broker whose group leaves."""

    pod: str
    stateful_set: str
    uid: str
    given_up: str
    """What is lost by that, in words; empty: nothing."""


class CopyMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Give a closed master topics and groups of another one, as many as a while allows.

    Each with the record that it replaces; None: it is not there.
    """

    pod: str
    uid: str
    address: str
    source: str
    """The pod that has them."""
    topics: tuple[tuple[TopicConfig, TopicConfig | None], ...]
    groups: tuple[tuple[SubscriptionGroup, SubscriptionGroup | None], ...]


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """Let clients use a master that was closed since its start."""

    pod: str
    uid: str
    address: str
    permission: str
    why: str
    """What it has."""


class GrowClaim(msgspec.Struct, frozen=True):
    """Have a claim ask for a larger volume."""

    pod: str
    claim: str
    uid: str
    size: str
    """A quantity."""


class LabelClaim(msgspec.Struct, frozen=True):
    """Put our labels on a claim that another operator made: unlabelled ones are not watched."""

    pod: str
    claim: str
    uid: str
    labels: Mapping[str, str]


Step = (
    PushSettings
    | MoveWrites
    | NoteWrites
    | RestoreWrites
    | Restart
    | RemoveReplica
    | StopWrites
    | ReturnWrites
    | NoteLeaving
    | NoteDrained
    | RemoveBroker
    | CopyMetadata
    | Open
    | GrowClaim
    | LabelClaim
)

OF_LEAVING = (StopWrites, ReturnWrites, NoteLeaving, NoteDrained, RemoveBroker)
"""Steps of a scale-in."""

DISRUPTIVE = (
    MoveWrites,
    NoteWrites,
    RestoreWrites,
    Restart,
    RemoveReplica,
    CopyMetadata,
    Open,
    *OF_LEAVING,
)
"""Steps that are decided once more on what the API server says now, before they are done.

All that concern notes are among them: an old note put over a newer one would end its wait early.
And those for closed masters: a pod that has come since, at the same address, may have no topics.
"""

LeavingPhase = Literal["Waiting", "StoppingWrites", "Draining", "Verifying", "Removing", "Held"]
"""How far a group that leaves is. `Waiting`: for its turn, or for something that comes by itself;
`Held`: for somebody to act."""


class LeavingGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group that leaves: how far it is, in a word and in a sentence, and what it still holds."""

    name: str
    phase: LeavingPhase
    message: str
    backlog: Backlog | None = None


Phase = Literal["current", "rolling", "waiting", "held", "paused"]


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """A closed master on its way to serve."""

    pod: str
    group: str
    message: str
    """What is done with it, or what it waits for."""
    source: str = ""
    """The pod whose topics and groups it gets; empty: nobody's, or nobody is known."""
    topics: int = 0
    groups: int = 0
    topics_missing: int = 0
    groups_missing: int = 0
    """How many the source has, and how many of them are missing or differ here."""
    held: bool = False
    """Somebody has to act."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The next steps and the reasons why nothing more is done."""

    phase: Phase
    """`rolling`: steps follow each other; `waiting`: for something that comes by itself;
    `held`: for somebody to act; `paused`: by the annotation."""
    message: str = ""
    """The current step, or what is waited for."""
    steps: tuple[Step, ...] = ()
    outdated: Mapping[str, str] = {}
    """Pods that wait for a restart, and what it would apply."""
    known: bool = True
    """Whether it is known of every pod if it is outdated."""
    waiting: Mapping[str, str] = {}
    """For each pod that waits for something: for what."""
    opening: tuple[Opening, ...] = ()
    """The masters that are closed."""
    lags: Mapping[str, int] = {}
    """Bytes by which a replica is behind its master."""
    leaving: tuple[LeavingGroup, ...] = ()
    """The groups that leave, by their number."""
    again_after_s: float | None = None
    """When to look again, if no event comes."""


GONE = "it is not there any more as it was seen"
"""The failure of a step whose object was replaced or removed meanwhile: no trouble of anybody's."""


class Done(msgspec.Struct, frozen=True):
    """A step that was tried; `failure` is empty when it was done."""

    step: Step
    failure: str = ""


class Progress(msgspec.Struct, frozen=True):
    """What was decided, and what came of it."""

    decision: Decision
    done: tuple[Done, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """What went wrong with the steps."""
        return tuple(one.failure for one in self.done if one.failure)
