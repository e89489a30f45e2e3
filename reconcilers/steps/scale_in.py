"""How groups leave that the spec does not ask for any more, so that no message is lost. Pure.

All of them lose their writes at once. When producers have had the time to go, each is looked at
until it holds nothing for anybody, and once more after a pause in which its log stood still; then
its brokers are removed, replicas first, the highest group first, one group at a time. A group that
is wanted again before that gets its writes back. What is not known is waited for, in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import msgspec

from reconcilers.api.broker import Broker
from reconcilers.api.kube import StatefulSet
from reconcilers.desired import names
from reconcilers.facts import (
    BrokerAnswer,
    BrokerFacts,
    Look,
    NameServerAnswer,
    NameServerProblem,
    Silence,
)
from reconcilers.steps.decision import (
    Leaving,
    LeavingGroup,
    LeavingPhase,
    NoteDrained,
    NoteLeaving,
    RemoveBroker,
    Restart,
    ReturnWrites,
    Step,
    StopWrites,
)
from reconcilers.steps.members import MemberState
from reconcilers.steps.obstacles import loss
from reconcilers.steps.remains import lost_words, remains
from reconcilers.steps.writes import READ, WRITE, is_closed, permission_of, writes_elsewhere
from rocketmq.backlog import Backlog, still_needed_s

LOOK_AGAIN_S = 5.0
HELD_AGAIN_S = 30.0

RETURNED_S = 180.0
"""A pod that starts so soon after its group was wanted again may have read that it leaves: the
kubelet shows a changed ConfigMap within two minutes."""

BROADCAST_S = 60.0
"""Consumers that keep their offsets for themselves get this long for what came last."""


class _Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a group does now."""

    phase: LeavingPhase
    message: str
    steps: tuple[Step, ...] = ()
    again_after_s: float = LOOK_AGAIN_S
    ready: bool = False
    """It may be removed as far as it goes itself."""
    given_up: str = ""


class ScaleIn(msgspec.Struct, frozen=True, kw_only=True):
    """What is done about all groups that leave, or were to leave."""

    groups: tuple[LeavingGroup, ...] = ()
    steps: tuple[Step, ...] = ()
    message: str = ""
    held: str = ""
    """Why somebody has to act."""
    again_after_s: float | None = None


class _Cluster(msgspec.Struct, frozen=True, kw_only=True):
    cr: Broker
    facts: BrokerFacts
    wanted: tuple[MemberState, ...]
    now: datetime
    forced: bool


def scale_in(
    cr: Broker, states: Sequence[MemberState], facts: BrokerFacts, now: datetime, *, gate: str
) -> ScaleIn:
    """What may be done next. `gate` says why nothing may be removed now; empty: it may."""
    if isinstance(facts.name_servers, NameServerProblem):
        return _nothing(names.leaving_groups(cr, facts.stateful_sets), facts.name_servers.message)
    cluster = _Cluster(
        cr=cr,
        facts=facts,
        wanted=tuple(state for state in states if not state.surplus),
        now=now,
        forced=cr.metadata.annotations.get(names.FORCE_SCALE_IN) == "true",
    )
    leaving = [
        tuple(group)
        for number, group in groupby(states, key=lambda state: state.member.group)
        if number >= cr.spec.size
    ]
    turns = {group[0].member.broker_name: _turn(group, cluster) for group in leaving}
    removal = _removal(leaving, turns, gate or _still_listed(cluster, states))
    turns |= removal
    returns = tuple(_returns(cluster))
    groups = tuple(_told(name, turn, facts, leaving) for name, turn in turns.items())
    again = [turn.again_after_s for turn in turns.values()] + [
        LOOK_AGAIN_S for state in cluster.wanted if leaving_note(state.stateful_set) is not None
    ]
    return ScaleIn(
        groups=groups,
        steps=(*returns, *(step for turn in turns.values() for step in turn.steps)),
        message="; ".join(dict.fromkeys(turn.message for turn in turns.values())),
        held="; ".join(turn.message for turn in turns.values() if turn.phase == "Held"),
        again_after_s=min(again, default=None),
    )


def _nothing(leaving: Sequence[str], why: str) -> ScaleIn:
    groups = tuple(LeavingGroup(name=name, phase="Waiting", message=why) for name in leaving)
    return ScaleIn(groups=groups, again_after_s=HELD_AGAIN_S if groups else None)


def leaving_note(found: StatefulSet | None) -> Leaving | None:
    """The note on a master's StatefulSet; an unreadable one is none, and it begins anew."""
    text = found.metadata.annotations.get(names.LEAVING) if found is not None else None
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Leaving)
    except msgspec.MsgspecError:
        return None


def _told(
    name: str, turn: _Turn, facts: BrokerFacts, leaving: Sequence[tuple[MemberState, ...]]
) -> LeavingGroup:
    pods = [group[0].name for group in leaving if group[0].member.broker_name == name]
    look = facts.looks.get(pods[0])
    backlog = look.backlog if isinstance(look, Look) else None
    return LeavingGroup(name=name, phase=turn.phase, message=turn.message, backlog=backlog)


def _turn(group: tuple[MemberState, ...], cluster: _Cluster) -> _Turn:
    """What one group does, whatever the others do."""
    master = group[0]
    name = master.member.broker_name
    if any(_is_going(state) for state in group):
        return _Turn(phase="Removing", message=f"{name} is being removed")
    if not master.member.is_master:
        return _without_master(name, cluster)
    if master.stateful_set is None:
        return _Turn(phase="Waiting", message=f"waits: {master.member.stateful_set} is not there")
    broken = _mended(group, cluster)
    if broken is not None:
        return broken
    if not isinstance(master.answer, BrokerAnswer) or master.pod is None:
        return _silent(master, cluster)
    return _quieted(master, master.answer, cluster)


def _quieted(master: MemberState, answer: BrokerAnswer, cluster: _Cluster) -> _Turn:
    """First nobody may send to it any more."""
    name = master.member.broker_name
    note = leaving_note(master.stateful_set)
    permission = permission_of(answer)
    begins = note is None or note.returned is not None or note.since > cluster.now
    if note is None or begins or permission & WRITE or permission != _while_leaving(note):
        return _stop_writes(master, note, permission, cluster)
    refresh = timedelta(seconds=cluster.cr.spec.route_refresh_seconds)
    left = note.since + refresh - cluster.now
    if left > timedelta(0):
        until = (note.since + refresh).strftime("%H:%M:%S")
        message = f"{name} leaves: producers have until {until} to go"
        again_after_s = left / timedelta(seconds=1)
        return _Turn(phase="StoppingWrites", message=message, again_after_s=again_after_s)
    return _drain(master, note, cluster)


def _is_going(state: MemberState) -> bool:
    found = state.stateful_set
    return found is not None and found.terminating


def _without_master(name: str, cluster: _Cluster) -> _Turn:
    if cluster.forced:
        return _ready(name, lost_words(None, forced=True))
    message = (
        f"{name} has no master any more, and its replicas may hold messages: raise size again, or "
        f"give them up by the annotation {names.FORCE_SCALE_IN}"
    )
    return _Turn(phase="Held", message=message, again_after_s=HELD_AGAIN_S)


def _mended(group: Sequence[MemberState], cluster: _Cluster) -> _Turn | None:
    """A broker that fails is made anew, if that may help: its messages have to be consumed."""
    for state in group:
        if state.stuck and state.outdated and not loss(state, group, cluster.cr):
            assert state.pod is not None  # noqa: S101 - for the type checker: it is stuck
            message = f"restarting {state.name}: {state.outdated}"
            step = Restart(state.name, state.pod.metadata.uid, state.outdated, evict=False)
            return _Turn(phase="Waiting", message=message, steps=(step,))
    return None


def _silent(master: MemberState, cluster: _Cluster) -> _Turn:
    name = master.member.broker_name
    if cluster.forced:
        return _ready(name, lost_words(None, forced=True))
    phase: LeavingPhase = "Held" if master.stuck or master.refuses_start else "Waiting"
    why = master.down or f"{master.name} does not answer"
    return _Turn(phase=phase, message=f"{name} cannot leave, for nobody knows what it holds: {why}")


def _while_leaving(note: Leaving) -> int:
    """The permission that its consumers need and no producer can use."""
    return READ & (int(note.permission) if note.permission.isdecimal() else READ)


def _stop_writes(
    master: MemberState, note: Leaving | None, permission: int, cluster: _Cluster
) -> _Turn:
    name = master.member.broker_name
    elsewhere = writes_elsewhere(master, cluster.wanted)
    if not cluster.cr.spec.cluster_per_group and elsewhere != "yes":
        phase: LeavingPhase = "Held" if elsewhere == "no" else "Waiting"
        message = f"{name} cannot leave: no group that stays is known to take writes now"
        return _Turn(phase=phase, message=message)
    before = master.note.permission if master.note is not None else str(permission)
    if note is None or note.returned is not None:
        fresh = Leaving(
            began=cluster.now,
            since=cluster.now,
            permission=before if note is None else note.permission,
        )
    else:
        fresh = msgspec.structs.replace(note, since=cluster.now, empty_since=None)
    assert master.stateful_set is not None  # noqa: S101 - for the type checker; it was looked at
    metadata = master.stateful_set.metadata
    told = _while_leaving(fresh)
    step = StopWrites(
        master.name,
        master.address,
        metadata.name,
        metadata.uid,
        fresh,
        str(told) if told != permission else "",
    )
    message = f"{name} leaves: producers are sent to other groups"
    return _Turn(phase="StoppingWrites", message=message, steps=(step,))


def _drain(master: MemberState, note: Leaving, cluster: _Cluster) -> _Turn:
    """Nobody sends to it any more: what does it hold?"""
    name = master.member.broker_name
    look = cluster.facts.looks.get(master.name, Silence("it was not looked at yet"))
    if cluster.forced:
        held = look.backlog if isinstance(look, Look) else None
        return _ready(name, lost_words(held, forced=True))
    if isinstance(look, Silence):
        message = f"{name} leaves: it is not known what it holds: {look.reason}"
        return _Turn(phase="Draining", message=message)
    left = remains(look.backlog, cluster.cr.spec, note.began, cluster.now)
    if left.nothing and look.backlog.is_still:
        return _verify(master, note, look, cluster.now)
    # What was found empty is so no more.
    steps = () if note.empty_since is None else (_noted(master, note, None),)
    words = left.words or "messages that move from queue to queue"
    return _Turn(
        phase="Held" if left.held else "Draining",
        message=f"{name} leaves when it holds nothing any more: {words}",
        steps=steps,
        again_after_s=HELD_AGAIN_S if left.held else LOOK_AGAIN_S,
    )


def _verify(master: MemberState, note: Leaving, look: Look, now: datetime) -> _Turn:
    """It holds nothing: does it so after a pause as well, in which its log stood still?"""
    name, found = master.member.broker_name, look.backlog
    message = f"{name} holds nothing for anybody; it is looked at once more"
    pause = timedelta(seconds=_pause_s(found))
    since = note.empty_since
    if since is None or since > now or note.empty_log_end != found.log_end:
        step = _noted(master, note, found, at=now)
        return _Turn(
            phase="Verifying",
            message=message,
            steps=(step,),
            again_after_s=pause / timedelta(seconds=1),
        )
    if look.at < since + pause:
        left = max(timedelta(seconds=1), since + pause - now)
        return _Turn(phase="Verifying", message=message, again_after_s=left / timedelta(seconds=1))
    answer = master.answer
    if not isinstance(answer, BrokerAnswer) or answer.log_end != found.log_end:
        return _Turn(phase="Verifying", message=message)
    return _ready(name, lost_words(found, forced=False))


def _pause_s(found: Backlog) -> float:
    return max(still_needed_s(found), BROADCAST_S if found.broadcasts else 0.0)


def _noted(
    master: MemberState, note: Leaving, found: Backlog | None, *, at: datetime | None = None
) -> NoteDrained | NoteLeaving:
    assert master.stateful_set is not None  # noqa: S101 - for the type checker; it was looked at
    metadata = master.stateful_set.metadata
    end = 0 if found is None else found.log_end
    fresh = msgspec.structs.replace(note, empty_since=at, empty_log_end=end)
    # That it is empty is news once; that its log has grown since is none.
    kind = NoteDrained if note.empty_since is None and at is not None else NoteLeaving
    return kind(master.name, metadata.name, metadata.uid, fresh)


def _ready(name: str, given_up: str) -> _Turn:
    message = f"{name} is to be removed" + (f"; {given_up}" if given_up else "")
    return _Turn(phase="Waiting", message=message, ready=True, given_up=given_up)


def _removal(
    leaving: Sequence[tuple[MemberState, ...]], turns: dict[str, _Turn], gate: str
) -> dict[str, _Turn]:
    """The turn of the group that is removed now, and those of the groups that wait for theirs."""
    changed: dict[str, _Turn] = {}
    for group in leaving:
        name = group[0].member.broker_name
        turn = turns[name]
        if not turn.ready:
            continue
        last = leaving[-1][0].member.broker_name
        if name != last:
            message = f"{turn.message}, after {last}"
            changed[name] = msgspec.structs.replace(turn, message=message)
        elif gate:
            changed[name] = msgspec.structs.replace(turn, message=f"{turn.message}; waits: {gate}")
        else:
            changed[name] = _Turn(
                phase="Removing",
                message=f"removing {name}" + (f"; {turn.given_up}" if turn.given_up else ""),
                steps=tuple(_removing(group, turn.given_up)),
            )
    return changed


def _removing(group: Sequence[MemberState], given_up: str) -> Iterator[RemoveBroker]:
    """Replicas first: as long as the master is there, somebody knows what they hold."""
    for state in reversed(group):
        if state.stateful_set is not None:
            metadata = state.stateful_set.metadata
            lost = given_up if state is group[0] else ""
            yield RemoveBroker(state.name, metadata.name, metadata.uid, lost)


def _still_listed(cluster: _Cluster, states: Sequence[MemberState]) -> str:
    """Which name server lists a group that was removed: clients still go there."""
    there = {state.member.broker_name for state in states}
    pattern = re.compile(rf"{re.escape(cluster.cr.metadata.name)}-(0|[1-9]\d*)", re.ASCII)
    for address, answer in cluster.facts.registrations.items():
        listed = answer.brokers if isinstance(answer, NameServerAnswer) else ()
        for name in sorted(listed):
            found = pattern.fullmatch(name)
            if found and int(found[1]) >= cluster.cr.spec.size and name not in there:
                return f"name server {address} still lists {name}"
    return ""


def _returns(cluster: _Cluster) -> Iterator[ReturnWrites | NoteLeaving]:
    """Groups that were to leave and are wanted again."""
    for state in cluster.wanted:
        note = leaving_note(state.stateful_set)
        if note is None or state.stateful_set is None or not state.member.is_master:
            continue
        if not isinstance(state.answer, BrokerAnswer):
            continue
        metadata = state.stateful_set.metadata
        permission = permission_of(state.answer)
        wanted = int(note.permission) if note.permission.isdecimal() else READ | WRITE
        lacks = wanted & WRITE and not permission & WRITE and state.note is None
        since = note.returned
        fresh = msgspec.structs.replace(note, returned=cluster.now, empty_since=None)
        if is_closed(state):  # it gets its topics first, and is opened then
            if since is None:
                yield NoteLeaving(state.name, metadata.name, metadata.uid, fresh)
        elif since is None or since > cluster.now or lacks:
            yield ReturnWrites(state.name, state.address, metadata.name, metadata.uid, fresh)
        elif cluster.now - since >= timedelta(seconds=RETURNED_S):
            yield NoteLeaving(state.name, metadata.name, metadata.uid, None)
