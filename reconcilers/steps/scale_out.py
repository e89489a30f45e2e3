"""What masters that are closed since their start get before clients may use them. Pure.

A new group knows no topic and no group of consumers; a client that met it would be told so. So it
starts closed (scripts/closed.sh), gets what an open master has, and is opened when the next look at
both finds nothing missing. That it is closed is all the memory there is: an operator may die at any
call. Once open it is never given anything again.

Where no master is open there is nobody to copy, and it has to be known that nobody holds topics: a
cluster that is being made opens at once, one whose masters are away waits for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from reconcilers.api.broker import Broker
from reconcilers.facts import BrokerAnswer, BrokerFacts, Metadata
from reconcilers.steps.decision import DISRUPTIVE, CopyMetadata, Decision, Open, Opening
from reconcilers.steps.members import MemberState, member_states
from reconcilers.steps.writes import WRITE, is_closed, own_permission, permission_of
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig

T = TypeVar("T", TopicConfig, SubscriptionGroup)

Change = tuple[T, T | None]
"""What is to be written, and what is there."""

PROVED_S = 0.5
"""How soon to look again when a closed master was given something: only that is the proof."""

WAITING_S = 2.0
"""How soon while one waits: an answer sends no event."""

AT_A_TIME = 3
"""Masters whose tables are read at a time: tens of thousands of records each."""

_TOLD = 3
"""Masters of which the step tells."""

_FROM_FIVE = (
    "consume_message_orderly",
    "group_retry_policy",
    "group_sys_flag",
    "consume_timeout_minute",
    "subscription_data_set",
    "attributes",
)
"""Fields of a group that 4.x does not have."""


class _Found(msgspec.Struct, frozen=True):
    """Whom a closed master copies; or why nobody yet, and whether somebody has to act."""

    source: MemberState | None = None
    waits: str = ""
    held: bool = False


def metadata_pods(cr: Broker, facts: BrokerFacts) -> tuple[str, ...]:
    """The masters whose topics and groups have to be known: none while nobody is closed."""
    pairs = [
        (found.source.name, state.name)
        for state, found in _each(cr, facts, member_states(cr, facts))
        if found.source is not None
    ]
    return tuple(dict.fromkeys(name for pair in pairs[:AT_A_TIME] for name in pair))


def _each(
    cr: Broker, facts: BrokerFacts, states: Sequence[MemberState]
) -> Iterator[tuple[MemberState, _Found]]:
    """Each closed master that is wanted, by group, and whom it copies."""
    closed = [one for one in states if is_closed(one) and not one.surplus and _is_there(one)]
    masters = _masters(cr, facts, states) if closed else None
    for state in closed:
        assert masters is not None  # noqa: S101 - for the type checker
        yield state, _found(state, cr.spec.scale_pod_name, masters)


def openings(
    cr: Broker, facts: BrokerFacts, states: Sequence[MemberState]
) -> Iterator[tuple[Opening, CopyMetadata | Open | None]]:
    """Each closed master that is wanted, by group, with its next step."""
    turns = 0
    for state, found in _each(cr, facts, states):
        turns += found.source is not None
        if found.source is not None and turns > AT_A_TIME:
            yield _waiting(state, "its turn comes after that of other groups", found.source)
        elif found.waits:
            yield _waiting(state, found.waits, found.source, held=found.held)
        elif found.source is None:
            why = "there are no topics elsewhere that it could have"
            yield _opened(state, _row(state, ""), why, cr, facts)
        else:
            yield _copied(state, found.source, cr, facts)


def with_openings(
    decision: Decision, found: Sequence[tuple[Opening, CopyMetadata | Open | None]]
) -> Decision:
    """The decision and what closed masters get: it disrupts nothing and waits for no turn.

    One is written to at a time, for that takes a while; those that have all are opened at once.
    """
    if not found:
        return decision
    disturbed = {step.pod for step in decision.steps if isinstance(step, DISRUPTIVE)}
    steps = [step for _, step in found if step is not None and step.pod not in disturbed]
    opens = [step for step in steps if isinstance(step, Open)]
    copies = [step for step in steps if isinstance(step, CopyMetadata)][:1]
    phase = decision.phase
    if opens or copies:
        phase = "rolling"
    elif phase == "current":
        phase = "held" if any(row.held for row, _ in found) else "waiting"
    more = len(found) - _TOLD
    words = [
        *(row.message for row, _ in found[:_TOLD]),
        f"{more} more groups are closed" if more > 0 else "",
        decision.message,
    ]
    return msgspec.structs.replace(
        decision,
        phase=phase,
        message="; ".join(dict.fromkeys(filter(None, words))),
        steps=(*decision.steps, *opens, *copies),
        opening=tuple(row for row, _ in found),
        waiting={**decision.waiting, **{row.pod: row.message for row, step in found if not step}},
        again_after_s=min(
            PROVED_S if opens or copies else WAITING_S, decision.again_after_s or WAITING_S
        ),
    )


def _is_there(state: MemberState) -> bool:
    return state.pod is not None and not state.pod.terminating


def _row(state: MemberState, message: str) -> Opening:
    return Opening(pod=state.name, group=state.member.broker_name, message=message)


def _waiting(
    state: MemberState, waits: str, source: MemberState | None, *, held: bool = False
) -> tuple[Opening, None]:
    row = _row(state, f"waits: {state.name} is closed to clients: {waits}")
    name = source.name if source is not None else ""
    return msgspec.structs.replace(row, source=name, held=held), None


class _Masters(msgspec.Struct, frozen=True):
    """All masters, those that can be copied, the healthiest first, and one that may have topics."""

    by_name: Mapping[str, MemberState]
    candidates: Sequence[MemberState]
    unknown: MemberState | None


def _masters(cr: Broker, facts: BrokerFacts, states: Sequence[MemberState]) -> _Masters:
    masters = [one for one in states if one.member.is_master]
    candidates = sorted((one for one in masters if _is_open(one)), key=_place)
    unknown = next((one for one in masters if not _holds_nothing(one, cr, facts)), None)
    return _Masters({one.name: one for one in masters}, candidates, unknown)


def _found(state: MemberState, named: str, masters: _Masters) -> _Found:
    if not masters.candidates:
        unknown = masters.unknown
        if unknown is None:
            return _Found()
        why = unknown.down or f"{unknown.name} is not open"
        return _Found(waits=f"the topics that {unknown.name} may have are not known: {why}")
    # The one that is named itself has to copy somebody else.
    if not named or named == state.name:
        return _Found(masters.candidates[0])
    source = masters.by_name.get(named)
    if source is None:
        why = f"spec.scalePodName {named} is no master of this Broker: correct it, or leave it out"
        return _Found(waits=why, held=True)
    if _is_open(source):
        return _Found(source)
    why = source.down or f"{named} is closed itself"
    return _Found(waits=f"spec.scalePodName names {named}: {why}")


def _is_open(master: MemberState) -> bool:
    return not master.down and not is_closed(master)


def _place(master: MemberState) -> tuple[bool, bool, bool, int]:
    """The healthiest comes first: wanted, not on its turn of a restart, writable, lowest group."""
    assert isinstance(master.answer, BrokerAnswer)  # noqa: S101 - it is not down
    writable = bool(permission_of(master.answer) & WRITE)
    return master.surplus, master.note is not None, not writable, master.member.group


def _holds_nothing(master: MemberState, cr: Broker, facts: BrokerFacts) -> bool:
    """Whether it is certain that this master has no topics that a client was ever given."""
    pod = master.pod
    if isinstance(master.answer, BrokerAnswer):
        return is_closed(master)
    if pod is not None and (pod.terminating or (pod.spec.node_name and not master.never_ran)):
        return False
    if cr.spec.storage_mode == "EmptyDir":
        return True
    # Another operator's claim is looked for only where there is a pod.
    claim = facts.claims.get(master.name)
    return pod is not None and claim is not None and claim.status.phase == "Pending"


def _copied(
    state: MemberState, source: MemberState, cr: Broker, facts: BrokerFacts
) -> tuple[Opening, CopyMetadata | Open | None]:
    theirs, ours = (facts.metadata.get(one.name) for one in (source, state))
    for one, known in ((source, theirs), (state, ours)):
        if not isinstance(known, Metadata):
            why = known.reason if known is not None else "they were not asked for"
            return _waiting(state, f"the topics of {one.name} are not known: {why}", source)
    assert isinstance(theirs, Metadata)  # noqa: S101 - for the type checker
    assert isinstance(ours, Metadata)  # noqa: S101 - the same
    assert isinstance(state.answer, BrokerAnswer)  # noqa: S101 - it is closed
    old = state.answer.version.startswith("V4_")
    topics, groups = missing_topics(theirs, ours, old=old), missing_groups(theirs, ours, old=old)
    row = msgspec.structs.replace(
        _row(state, f"{state.name} gets the topics and groups of {source.name}"),
        source=source.name,
        topics=len(theirs.topics),
        groups=len(theirs.groups),
        topics_missing=len(topics),
        groups_missing=len(groups),
    )
    if not topics and not groups:
        return _opened(state, row, _has(row, theirs), cr, facts)
    step = CopyMetadata(
        pod=state.name,
        uid=_uid(state),
        address=state.address,
        source=source.name,
        topics=topics,
        groups=groups,
    )
    return row, step


def _has(row: Opening, theirs: Metadata) -> str:
    words = f"it has the {row.topics} topics and {row.groups} groups of {row.source}"
    if theirs.static:
        few = ", ".join(theirs.static[:3])
        words += f", but none of its {len(theirs.static)} static topics ({few})"
    return words


def _opened(
    state: MemberState, row: Opening, why: str, cr: Broker, facts: BrokerFacts
) -> tuple[Opening, Open]:
    step = Open(
        pod=state.name,
        uid=_uid(state),
        address=state.address,
        permission=own_permission(cr, facts.common_config),
        why=why,
    )
    return msgspec.structs.replace(row, message=f"{state.name} is opened to clients"), step


def _uid(state: MemberState) -> str:
    assert state.pod is not None  # noqa: S101 - for the type checker: it answers
    return state.pod.metadata.uid


def missing_topics(
    theirs: Metadata, ours: Metadata, *, old: bool
) -> tuple[Change[TopicConfig], ...]:
    """The topics that are absent or differ; an `old` (4.x) broker cannot keep all of a record."""
    found = ((topic, ours.topics.get(name)) for name, topic in theirs.topics.items())
    return tuple(one for one in found if not _same_topic(*one, old=old))


def _same_topic(topic: TopicConfig, there: TopicConfig | None, *, old: bool) -> bool:
    if there is None or not old:
        return topic == there
    return msgspec.structs.replace(topic, order=there.order, attributes=there.attributes) == there


def missing_groups(
    theirs: Metadata, ours: Metadata, *, old: bool
) -> tuple[Change[SubscriptionGroup], ...]:
    """The groups that are absent or differ; an `old` (4.x) broker cannot keep all of a record."""
    found = ((group, ours.groups.get(name)) for name, group in theirs.groups.items())
    return tuple(one for one in found if not _same_group(*one, old=old))


def _same_group(group: SubscriptionGroup, there: SubscriptionGroup | None, *, old: bool) -> bool:
    if there is None:
        return False
    unlike = {
        field
        for field in group.__struct_fields__
        # Nothing and none are the same to a broker.
        if (getattr(group, field) or None) != (getattr(there, field) or None)
    }
    # What the source's version does not have, the new broker chooses by itself.
    unsaid = {field for field in _FROM_FIVE if old or getattr(group, field) is None}
    return unlike <= unsaid
