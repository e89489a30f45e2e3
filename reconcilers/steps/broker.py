"""What may be done next to the brokers of one Broker. Pure.

Groups are worked on one after the other (`maxUnavailableGroups` at a time), in each the replicas
and then the master, one broker at a time. Before a master stops its replicas have all that it has
and its producers were sent to other groups; the next broker's turn comes when this one serves, is
registered with every name server and has caught up. A broker that serves nobody goes first. One
that does not come back stops everything but itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby

import msgspec

from reconcilers.api.broker import Broker
from reconcilers.desired import names
from reconcilers.facts import BrokerAnswer, BrokerFacts, NameServerProblem, Silence
from reconcilers.steps.decision import Decision, Phase, RemoveReplica, Restart, Step
from reconcilers.steps.members import MemberState, is_hung, member_states
from reconcilers.steps.settings import ROLE, pushes
from reconcilers.steps.writes import WRITE, permission_of, quieting, restoring

IDLE_S = 60.0
"""How often brokers are asked when nothing is on its way."""

BUSY_S = 5.0
"""How often when something is: a broker that has caught up sends no event."""

CAUGHT_UP_SOON_BYTES = 1 << 20
"""A replica this near to its master is at its end in a moment: producers may be sent away."""


RECONNECTED_S = 45.0
"""After its master's start a replica that does not tell (4.9) is connected: the JVM keeps the old
address of a name for 30 s, and the replica tries every 5 s (dossier 4.4)."""

_MASTER_AND_REPLICA = 2


class _Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What one group does now: a step, or what it waits for; nothing when it is settled."""

    pod: str = ""
    step: Step | None = None
    message: str = ""
    again_after_s: float = BUSY_S
    held: bool = False
    """Somebody has to act."""
    begins: bool = False
    """It takes something from a group of which nothing is missing yet."""


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
    outdated = {state.name: state.outdated for state in states if state.outdated}
    lags = {state.name: state.lag for state in states if state.lag is not None}
    if is_paused(cr):
        message = f"nothing is changed while the annotation {names.PAUSED} is true"
        return Decision(phase="paused", message=message, outdated=outdated, lags=lags)
    wanted = tuple(state for state in states if not state.surplus)
    cluster = _Cluster(cr=cr, states=wanted, obstacle=_obstacle(wanted, facts), now=now)
    turns = _within_budget(cr, tuple(_turns(cluster)))
    if not turns:
        turns = tuple(_removals(states, cluster))
    decision = _decision(turns, outdated, lags)
    told = tuple(pushes(cr, facts, states))
    return msgspec.structs.replace(decision, steps=(*told, *decision.steps))


def is_paused(cr: Broker) -> bool:
    """Whether the user has stopped all changes."""
    return cr.metadata.annotations.get(names.PAUSED) == "true"


def _decision(
    turns: Sequence[_Turn], outdated: Mapping[str, str], lags: Mapping[str, int]
) -> Decision:
    steps = tuple(turn.step for turn in turns if turn.step is not None)
    phase: Phase = "current"
    if steps:
        phase = "rolling"
    elif any(turn.held for turn in turns):
        phase = "held"
    elif turns:
        phase = "waiting"
    return Decision(
        phase=phase,
        message="; ".join(dict.fromkeys(turn.message for turn in turns if turn.message)),
        steps=steps,
        outdated=outdated,
        waiting={turn.pod: turn.message for turn in turns if turn.pod and turn.step is None},
        lags=lags,
        again_after_s=min((turn.again_after_s for turn in turns), default=IDLE_S),
    )


def _turns(cluster: _Cluster) -> Iterator[_Turn]:
    """What each group that is not settled does; the ones that are in the middle of it first."""
    groups = [
        tuple(found) for _, found in groupby(cluster.states, key=lambda one: one.member.group)
    ]
    groups.sort(key=lambda group: not _disturbed(group))
    for group in groups:
        turn = _turn(group, cluster)
        if turn is not None:
            yield turn


def _disturbed(group: Iterable[MemberState]) -> bool:
    return any(state.down or state.note for state in group)


def _within_budget(cr: Broker, turns: tuple[_Turn, ...]) -> tuple[_Turn, ...]:
    """The turns with those beginnings taken back that would disturb too many groups at once."""
    allowed = cr.spec.max_unavailable_groups - sum(not turn.begins for turn in turns)
    kept: list[_Turn] = []
    for turn in turns:
        if turn.begins and turn.step is not None:
            allowed -= 1
            if allowed < 0:
                message = f"the turn of {turn.pod} comes after that of the groups before it"
                kept.append(_Turn(pod=turn.pod, message=message))
                continue
        kept.append(turn)
    return tuple(kept)


def _turn(group: tuple[MemberState, ...], cluster: _Cluster) -> _Turn | None:
    outdated = [state for state in group if state.outdated]
    down = [state for state in group if state.down]
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
    behind = _unconnected(master, group[1:], now) or _behind(
        group[1:], CAUGHT_UP_SOON_BYTES if restore is None else 0
    )
    if behind:
        return _Turn(pod=behind[0], message=behind[1])
    if restore is None:
        return None
    return _Turn(pod=master.name, step=restore, message=f"producers may use {master.name} again")


def _not_allowed(outdated: Sequence[MemberState]) -> _Turn:
    pods = ", ".join(state.name for state in outdated)
    message = f"spec.allowRestart is false, and only a restart brings {pods} up to date"
    return _Turn(pod=outdated[0].name, message=message, held=True, begins=True)


def _restart_broken(state: MemberState, group: Sequence[MemberState], cluster: _Cluster) -> _Turn:
    stuck = [one for one in cluster.states if one.stuck and not one.outdated]
    if stuck:
        message = f"waits for {stuck[0].name}, which has the newest template already and fails: "
        return _Turn(pod=state.name, message=message + stuck[0].down, held=True)
    loss = _loss(state, group, cluster)
    if loss:
        return _Turn(pod=state.name, message=loss, held=True)
    return _Turn(pod=state.name, step=_restart(state, evict=False), message=_restarting(state))


def _restart_serving(state: MemberState, group: Sequence[MemberState], cluster: _Cluster) -> _Turn:
    """The way to the restart of a broker that serves; nothing of its group is down."""
    obstacle = cluster.obstacle or _loss(state, group, cluster)
    begins = not _disturbed(group)
    if obstacle:
        held = not cluster.obstacle
        return _Turn(pod=state.name, message=f"waits: {obstacle}", held=held, begins=True)
    master, replicas = group[0], group[1:]
    near = _behind(replicas, CAUGHT_UP_SOON_BYTES) if state is master else None
    if near:
        return _Turn(pod=near[0], message=near[1], begins=begins)
    if _needs_quiet(state, group) and _others_take_writes(state, cluster):
        quiet = quieting(master, cluster.cr.spec.route_refresh_seconds, cluster.now)
        if quiet is not None:
            return _Turn(
                pod=state.name,
                step=quiet.step,
                message=quiet.message,
                again_after_s=quiet.again_after_s,
                begins=begins,
            )
    behind = _behind(replicas, 0) if state is master else None
    if behind:
        return _Turn(pod=behind[0], message=behind[1], begins=begins)
    message = _restarting(state)
    if state is master and not _others_take_writes(state, cluster):
        message += "; writes to its group pause meanwhile, for no other group can take them"
    return _Turn(pod=state.name, step=_restart(state, evict=True), message=message, begins=begins)


def _unconnected(
    master: MemberState, replicas: Sequence[MemberState], now: datetime
) -> tuple[str, str] | None:
    """The master that its replicas have not found again since it started, and the words for it."""
    answer = master.answer
    if not replicas or not isinstance(answer, BrokerAnswer):
        return None
    if answer.replicas_connected is not None:
        missing = len(replicas) - answer.replicas_connected
    else:
        missing = (
            len(replicas) if now.timestamp() - answer.boot_time_ms / 1000 < RECONNECTED_S else 0
        )
    if missing <= 0:
        return None
    return master.name, f"waits: {missing} replicas have not connected to {master.name} yet"


def _restart(state: MemberState, *, evict: bool) -> Restart:
    assert state.pod is not None  # noqa: S101 - for the type checker: it is outdated
    return Restart(state.name, state.pod.metadata.uid, state.outdated, evict)


def _restarting(state: MemberState) -> str:
    return f"restarting {state.name}: {state.outdated}"


def _behind(replicas: Iterable[MemberState], allowed: int) -> tuple[str, str] | None:
    """The first replica that is further behind its master than allowed, and the words for it."""
    for state in replicas:
        if state.lag is None:
            return state.name, f"waits: it is not known how far {state.name} is behind its master"
        if state.lag > allowed:
            return state.name, f"waits: {state.name} is {state.lag} bytes behind its master"
    return None


def _needs_quiet(state: MemberState, group: Sequence[MemberState]) -> bool:
    """Whether producers of the group would notice that this broker stops.

    They notice a master; and the only replica of a SYNC master, which then takes no message.
    """
    if state.member.is_master:
        return True
    answer = group[0].answer
    sync = isinstance(answer, BrokerAnswer) and answer.settings.get(ROLE) == "SYNC_MASTER"
    return sync and len(group) == _MASTER_AND_REPLICA


def _others_take_writes(state: MemberState, cluster: _Cluster) -> bool:
    """Whether producers can go to another group of the same RocketMQ cluster."""
    if cluster.cr.spec.cluster_per_group:
        return False
    return any(
        other.member.is_master
        and other.member.group != state.member.group
        and not other.down
        and isinstance(other.answer, BrokerAnswer)
        and bool(permission_of(other.answer) & WRITE)
        for other in cluster.states
    )


def _loss(state: MemberState, group: Sequence[MemberState], cluster: _Cluster) -> str:
    """What a restart would lose; empty: nothing, or the user has agreed to it."""
    cr = cluster.cr
    if cr.spec.storage_mode != "EmptyDir" or not state.member.is_master or state.never_ran:
        return ""
    if cr.metadata.annotations.get(names.ALLOW_DATA_LOSS) == "true" and len(group) == 1:
        return ""
    if len(group) > 1:
        return (
            f"storageMode EmptyDir: a restart of {state.name} would lose its messages, and its "
            "replicas would not follow an empty master; use StorageClass for what has to last"
        )
    return (
        f"storageMode EmptyDir: a restart of {state.name} would lose its messages; set the "
        f"annotation {names.ALLOW_DATA_LOSS} to true if that does not matter"
    )


def _obstacle(states: Sequence[MemberState], facts: BrokerFacts) -> str:
    """Why no broker that serves may be touched; each fact that is missing is a reason."""
    if isinstance(facts.name_servers, NameServerProblem):
        return facts.name_servers.message
    for state in states:
        if state.stateful_set is None or not state.stateful_set.revision:
            return f"StatefulSet {state.member.stateful_set} has no current revision yet"
    if facts.name_service_waits:
        return f"name servers come first: {facts.name_service_waits}"
    problems = (
        _registration_problem(address, states, facts) for address in facts.name_servers.addresses
    )
    return next(filter(None, problems), "")


def _registration_problem(address: str, states: Sequence[MemberState], facts: BrokerFacts) -> str:
    """Why this name server is no proof that all brokers are in place; empty: it is one."""
    known = facts.registrations.get(address, Silence("it was not asked"))
    if isinstance(known, Silence):
        return f"name server {address} does not answer: {known.reason}"
    for state in states:
        member = state.member
        if not state.down and not known.lists(member.broker_name, member.broker_id):
            return f"{state.name} is not registered with name server {address}"
    return ""


def _removals(states: Sequence[MemberState], cluster: _Cluster) -> Iterator[_Turn]:
    """All that is wanted serves: one replica goes that is not wanted any more.

    A whole group that is not wanted stays: its messages have to be consumed first.
    """
    for state in states:
        removable = state.surplus and state.member.group < cluster.cr.spec.size
        if not removable or state.stateful_set is None:
            continue
        if cluster.obstacle:
            yield _Turn(pod=state.name, message=f"waits: {cluster.obstacle}")
            return
        if state.stateful_set.metadata.deletion_timestamp is None:
            step = RemoveReplica(
                state.stateful_set.metadata.name, state.stateful_set.metadata.uid, state.name
            )
            yield _Turn(
                pod=state.name, step=step, message=f"removing {state.name}: not wanted any more"
            )
        return
