"""What may be done next to the brokers of one Broker. Pure.

Groups are worked on one after the other (`maxUnavailableGroups` at a time), in each the replicas
and then the master, one broker at a time. Before a master stops its replicas have all that it has
and its producers were sent to other groups; the next broker's turn comes when this one serves, is
registered with every name server and has caught up. A broker that serves nobody goes first. One
that does not come back stops everything but itself. While other groups take no writes, none stops,
and one whose producers were sent away gets them back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

import msgspec

from reconcilers.api.broker import Broker
from reconcilers.desired import names
from reconcilers.facts import BrokerAnswer, BrokerFacts, Silence
from reconcilers.steps.decision import Decision, MoveWrites, Phase, RemoveReplica, Restart, Step
from reconcilers.steps.members import MemberState, is_hung, member_states
from reconcilers.steps.obstacles import (
    CAUGHT_UP_SOON_BYTES,
    behind,
    failing_template,
    loss,
    obstacle,
    unconnected,
    unknown_template,
)
from reconcilers.steps.scale_in import ScaleIn, scale_in
from reconcilers.steps.scale_out import openings, with_openings
from reconcilers.steps.settings import ROLE, pushes
from reconcilers.steps.storage import claim_steps
from reconcilers.steps.writes import (
    Elsewhere,
    is_closed,
    quieting,
    restoring,
    writes_elsewhere,
)

IDLE_S = 60.0
"""How often brokers are asked when nothing is on its way."""

BUSY_S = 2.0
"""How often when something is: a broker that has caught up sends no event."""

_MASTER_AND_REPLICA = 2


class _Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What one group does now: a step, or what it waits for; nothing when it is settled."""

    pod: str = ""
    step: Step | None = None
    message: str = ""
    again_after_s: float = BUSY_S
    held: bool = False
    """Somebody has to act."""
    takes: bool = False
    """It takes something from a group of which nothing is missing."""
    engaged: bool = True
    """The group is not whole, or in the middle of its turn: it counts for maxUnavailableGroups."""


class _Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """What every group has to know of the whole."""

    cr: Broker
    states: tuple[MemberState, ...]
    obstacle: str
    """Why no broker that serves may be touched now; empty: nothing speaks against it."""
    now: datetime


def decide(cr: Broker, facts: BrokerFacts, now: datetime) -> Decision:
    """The next steps. `cr` has no problems, and its children are written."""
    states = member_states(cr, facts)
    wanted = tuple(state for state in states if not state.surplus)
    unknown = unknown_template(wanted)
    seen = Decision(
        phase="current",
        outdated={state.name: state.outdated for state in states if state.outdated},
        known=not unknown,
        lags={state.name: state.lag for state in states if state.lag is not None},
    )
    if is_paused(cr):
        message = f"nothing is changed while the annotation {names.PAUSED} is true"
        return msgspec.structs.replace(seen, phase="paused", message=message)
    cluster = _Cluster(cr=cr, states=wanted, obstacle=obstacle(wanted, facts), now=now)
    turns = _within_budget(cr, tuple(_turns(cluster)))
    if not turns:
        turns = tuple(_removals(states, cluster))
    if not turns and unknown:
        turns = (_Turn(message=f"waits: {unknown}"),)
    labels = names.labels(names.BROKER_COMPONENT, cr.metadata.name)
    told = (*pushes(cr, facts, states), *claim_steps(cr.spec, labels, facts.claims))
    busy = (turn.message for turn in turns if turn.engaged or turn.step is not None)
    gate = next(busy, cluster.obstacle)
    leaving = scale_in(cr, states, facts, now, gate=gate)
    decision = _with_leaving(_decision(seen, turns, told), leaving)
    return with_openings(decision, tuple(openings(cr, facts, states)))


def is_paused(cr: Broker) -> bool:
    """Whether the user has stopped all changes."""
    return cr.metadata.annotations.get(names.PAUSED) == "true"


def _decision(seen: Decision, turns: Sequence[_Turn], told: tuple[Step, ...]) -> Decision:
    steps = tuple(turn.step for turn in turns if turn.step is not None)
    phase: Phase = "current"
    if steps:
        phase = "rolling"
    elif any(turn.held for turn in turns):
        phase = "held"
    elif turns:
        phase = "waiting"
    return msgspec.structs.replace(
        seen,
        phase=phase,
        message="; ".join(dict.fromkeys(turn.message for turn in turns if turn.message)),
        steps=(*told, *steps),
        waiting={turn.pod: turn.message for turn in turns if turn.pod and turn.step is None},
        again_after_s=min((turn.again_after_s for turn in turns), default=IDLE_S),
    )


def _with_leaving(decision: Decision, leaving: ScaleIn) -> Decision:
    """The decision with what is done about the groups that leave."""
    phase = decision.phase
    if leaving.steps and phase != "held":
        phase = "rolling"
    elif phase == "current" and leaving.groups:
        phase = "held" if leaving.held else "waiting"
    again = [one for one in (decision.again_after_s, leaving.again_after_s) if one is not None]
    return msgspec.structs.replace(
        decision,
        phase=phase,
        message="; ".join(filter(None, (decision.message, leaving.message))),
        steps=(*decision.steps, *leaving.steps),
        leaving=leaving.groups,
        again_after_s=min(again, default=None),
    )


def _turns(cluster: _Cluster) -> Iterator[_Turn]:
    """What each group that is not settled does; the ones that are in the middle of it first."""
    groups = [
        tuple(found) for _, found in groupby(cluster.states, key=lambda one: one.member.group)
    ]
    for group in sorted(groups, key=_place):
        turn = _turn(group, cluster)
        if turn is not None:
            yield turn


def _place(group: Sequence[MemberState]) -> tuple[bool, bool]:
    """Groups of which something is missing come first: they cannot wait. Then those that began."""
    return not any(state.down for state in group), not any(state.note for state in group)


def _within_budget(cr: Broker, turns: tuple[_Turn, ...]) -> tuple[_Turn, ...]:
    """The turns with those steps taken back that would disturb too many groups at once.

    Producers leave one group after the other: two would send them to each other.
    """
    busy, moving = sum(turn.engaged for turn in turns), False
    kept: list[_Turn] = []
    for turn in turns:
        full = busy - turn.engaged >= cr.spec.max_unavailable_groups
        is_move = isinstance(turn.step, MoveWrites)
        if turn.takes and turn.step is not None and (full or (is_move and moving)):
            message = f"the turn of {turn.pod} comes after that of other groups"
            kept.append(_Turn(pod=turn.pod, message=message, engaged=turn.engaged))
            continue
        kept.append(turn)
        moving = moving or is_move
        busy += not turn.engaged and turn.step is not None
    return tuple(kept)


def _turn(group: tuple[MemberState, ...], cluster: _Cluster) -> _Turn | None:
    outdated = [state for state in group if state.outdated]
    down = [state for state in group if state.down]
    first = _refused(group[0]) or _give_back(group, cluster)
    if first is not None:
        return first
    if not outdated:
        return _after_restarts(group, down, cluster.now)
    if not cluster.cr.spec.allow_restart:
        finish = _after_restarts(group, down, cluster.now)
        return finish or _not_allowed(outdated)
    broken = [state for state in outdated if _is_broken(state, down, cluster.now)]
    if broken:
        return _restart_broken(broken[0], group, cluster)
    if down:
        return _Turn(pod=down[0].name, message=f"waits: {down[0].down}", held=down[0].stuck)
    # Replicas come first: the master's broker id is the lowest.
    return _restart_serving(outdated[-1], group, cluster)


def _refused(master: MemberState) -> _Turn | None:
    """A master that does not start with an empty store: nothing of its group may go.

    A replica may be all that is left of the messages, and somebody may be copying them into the
    master's pod.
    """
    if not master.refuses_start:
        return None
    return _Turn(pod=master.name, message=f"waits: {master.refuses_start}", held=True)


def _give_back(group: Sequence[MemberState], cluster: _Cluster) -> _Turn | None:
    """Whatever this group waits for, it takes its producers back.

    They have nowhere to go any more, or were sent away from more groups than may be (by now).
    """
    master = group[0]
    step = restoring(master)
    if step is None:
        return None
    moved = [state.member.group for state in cluster.states if state.note is not None]
    if master.member.group in moved[cluster.cr.spec.max_unavailable_groups :]:
        message = f"the turn of {master.name} comes after that of other groups"
    elif _elsewhere(group, cluster) in ("later", "no"):
        message = f"no other group takes writes now, so producers may use {master.name} again"
    else:
        return None
    return _Turn(pod=master.name, step=step, message=message)


def _elsewhere(group: Sequence[MemberState], cluster: _Cluster) -> Elsewhere:
    if cluster.cr.spec.cluster_per_group:
        return "no"
    return writes_elsewhere(group[0], cluster.states)


def _is_broken(state: MemberState, down: Sequence[MemberState], now: datetime) -> bool:
    """Whether it serves nobody and will not by itself, so that a restart takes nothing away.

    The kubelet says so; silence alone proves nothing, for a busy machine makes all silent at once.
    """
    if state.stuck:
        return True
    alone = all(other is state for other in down)
    silent = isinstance(state.answer, Silence)
    return alone and silent and state.pod is not None and is_hung(state.pod, now)


def _after_restarts(
    group: Sequence[MemberState], down: Sequence[MemberState], now: datetime
) -> _Turn | None:
    """Nothing of the group is to be restarted: wait until all serve, then let producers come."""
    master = group[0]
    if down:
        return _Turn(pod=down[0].name, message=f"waits: {down[0].down}", held=down[0].stuck)
    restore = restoring(master)
    late = unconnected(master, group[1:], now) or behind(
        group[1:], CAUGHT_UP_SOON_BYTES if restore is None else 0
    )
    if late:
        return _Turn(pod=late[0], message=late[1])
    if restore is None:
        return None
    return _Turn(pod=master.name, step=restore, message=f"producers may use {master.name} again")


def _not_allowed(outdated: Sequence[MemberState]) -> _Turn:
    pods = ", ".join(state.name for state in outdated)
    message = f"spec.allowRestart is false, and only a restart brings {pods} up to date"
    return _Turn(pod=outdated[0].name, message=message, held=True, engaged=False)


def _restart_broken(state: MemberState, group: Sequence[MemberState], cluster: _Cluster) -> _Turn:
    # It would fail as well with the newest template.
    obstacle = failing_template(cluster.states) or loss(state, group, cluster.cr)
    if obstacle:
        return _Turn(pod=state.name, message=f"waits: {obstacle}", held=True)
    return _Turn(pod=state.name, step=_restart(state, evict=False), message=_restarting(state))


def _restart_serving(state: MemberState, group: Sequence[MemberState], cluster: _Cluster) -> _Turn:
    """The way to the restart of a broker that serves; nothing of its group is down."""
    master, replicas = group[0], group[1:]
    engaged = master.note is not None
    lost = loss(state, group, cluster.cr)
    if cluster.obstacle or lost:
        message = f"waits: {cluster.obstacle or lost}"
        held = not cluster.obstacle
        return _Turn(pod=state.name, message=message, held=held, engaged=engaged)
    late = behind(replicas, CAUGHT_UP_SOON_BYTES) if state is master else None
    if late:
        return _Turn(pod=late[0], message=late[1])
    message = _restarting(state)
    if _needs_quiet(state, group):
        elsewhere = _elsewhere(group, cluster)
        turn = _quiet_turn(state, master, elsewhere, cluster)
        if turn is not None:
            return turn
        if elsewhere == "no":
            message += "; writes to its group pause meanwhile, for no other group can take them"
    late = behind(replicas, _allowed_lag(master)) if state is master else None
    if late:
        return _Turn(pod=late[0], message=late[1])
    step = _restart(state, evict=True)
    return _Turn(pod=state.name, step=step, message=message, takes=True, engaged=engaged)


def _quiet_turn(
    state: MemberState, master: MemberState, elsewhere: Elsewhere, cluster: _Cluster
) -> _Turn | None:
    """What is done or waited for until no producer notices that `state` stops; None: none does."""
    engaged = master.note is not None
    if elsewhere == "no":
        return None
    if elsewhere != "yes":
        message = f"waits: no other group is known to take the writes of {master.name} now"
        return _Turn(pod=state.name, message=message, engaged=engaged)
    quiet = quieting(master, cluster.cr.spec.route_refresh_seconds, cluster.now)
    if quiet is None:
        return None
    return _Turn(
        pod=state.name,
        step=quiet.step,
        message=quiet.message,
        again_after_s=quiet.again_after_s,
        takes=True,
        engaged=engaged,
    )


def _restart(state: MemberState, *, evict: bool) -> Restart:
    assert state.pod is not None  # noqa: S101 - for the type checker: it is outdated
    return Restart(state.name, state.pod.metadata.uid, state.outdated, evict)


def _restarting(state: MemberState) -> str:
    return f"restarting {state.name}: {state.outdated}"


def _allowed_lag(master: MemberState) -> int:
    """How far a replica may be behind a master that stops: not at all, if its log stands still.

    Where no other group takes writes they go on to the end, and a master that stops in order has
    all of them when it comes back.
    """
    answer, note = master.answer, master.note
    still = isinstance(answer, BrokerAnswer) and note is not None and note.log_end == answer.log_end
    return 0 if still else CAUGHT_UP_SOON_BYTES


def _needs_quiet(state: MemberState, group: Sequence[MemberState]) -> bool:
    """Whether producers of the group would notice that this broker stops.

    They notice a master; and the only replica of a SYNC master, which then takes no message.
    """
    if is_closed(group[0]):
        return False  # it has none
    if state.member.is_master:
        return True
    answer = group[0].answer
    sync = isinstance(answer, BrokerAnswer) and answer.settings.get(ROLE) == "SYNC_MASTER"
    return sync and len(group) == _MASTER_AND_REPLICA


def _removals(states: Sequence[MemberState], cluster: _Cluster) -> Iterator[_Turn]:
    """All that is wanted serves: one replica goes that is not wanted any more.

    Whole groups leave by `scale_in`: their messages have to be consumed first.
    """
    for state in states:
        removable = state.surplus and state.member.group < cluster.cr.spec.size
        if not removable or state.stateful_set is None:
            continue
        if cluster.obstacle:
            yield _Turn(pod=state.name, message=f"waits: {cluster.obstacle}")
            return
        if not state.stateful_set.terminating:
            step = RemoveReplica(
                state.stateful_set.metadata.name, state.stateful_set.metadata.uid, state.name
            )
            yield _Turn(
                pod=state.name, step=step, message=f"removing {state.name}: not wanted any more"
            )
        return
