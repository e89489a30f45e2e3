"""The brokers of one Broker as the gate sees them: one value each, with what is wrong. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from reconcilers.api.broker import Broker
from reconcilers.api.kube import Pod, StatefulSet
from reconcilers.desired import names
from reconcilers.facts import BrokerAnswer, BrokerFacts, NameServers, Silence
from reconcilers.pods import stuck_because
from reconcilers.steps.decision import WritesMoved
from reconcilers.steps.storage import GROWS_AT_START
from rocketmq.codes import MQVersion

TEMPLATE_CHANGED = "its pod template changed"
OTHER_NAME_SERVERS = "before 4.9.4 a broker learns other name servers only at its start"


class MemberState(msgspec.Struct, frozen=True, kw_only=True):
    """One broker: what should be, what is, and what it says."""

    member: names.Member
    surplus: bool
    """The spec does not ask for it any more."""
    pod: Pod | None
    stateful_set: StatefulSet | None
    answer: BrokerAnswer | Silence
    note: WritesMoved | None
    """Set while its producers were sent elsewhere."""
    outdated: str
    """What a restart would apply; empty: nothing."""
    lag: int | None
    """Bytes behind its master; None for a master, and while one of the two is silent."""
    refuses_start: str = ""
    """Why a master with an empty store waits for somebody to act (scripts/store-guard.sh)."""

    @property
    def name(self) -> str:
        """The pod."""
        return self.member.pod

    @property
    def address(self) -> str:
        """Where it is asked: by IP, so that no name leads to another pod."""
        return broker_address(self.pod) if self.pod is not None else ""

    @property
    def down(self) -> str:
        """Why it cannot be counted on; empty if it can."""
        if self.pod is None:
            return f"{self.name} does not exist"
        if self.pod.terminating:
            return f"{self.name} is stopping"
        if self.refuses_start:
            return self.refuses_start
        if not self.pod.ready:
            stuck = stuck_because(self.pod)
            return stuck.message if stuck is not None else f"{self.name} is not ready yet"
        if isinstance(self.answer, Silence):
            return f"{self.name} does not answer: {self.answer.reason}"
        return ""

    @property
    def stuck(self) -> bool:
        """Whether it will not become ready without help."""
        return self.pod is not None and stuck_because(self.pod) is not None

    @property
    def never_ran(self) -> bool:
        """Whether no container of the pod ever started: it has stored nothing."""
        found = self.pod.status.container_statuses if self.pod is not None else ()
        return bool(found) and all(
            one.restart_count == 0 and one.state.waiting is not None for one in found
        )


HUNG_S = 300.0
"""A server that is neither ready nor answers for this long does not merely have a busy machine."""


def is_hung(pod: Pod, now: datetime) -> bool:
    """Whether the pod has been unready for so long that a restart can only help."""
    ready = pod.condition("Ready")
    if ready is None or ready.status == "True" or not ready.last_transition_time:
        return False
    since = datetime.fromisoformat(ready.last_transition_time)
    return now - since >= timedelta(seconds=HUNG_S)


def broker_address(pod: Pod) -> str:
    """Where the broker of this pod is asked; empty while it has no IP."""
    return _with_port(pod.status.pod_ip, names.BROKER_PORT)


def name_server_address(pod: Pod) -> str:
    """Where the name server of this pod is asked; empty while it has no IP."""
    return _with_port(pod.status.pod_ip, names.NAME_SERVER_PORT)


def _with_port(ip: str, port: int) -> str:
    if not ip:
        return ""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def member_states(cr: Broker, facts: BrokerFacts) -> tuple[MemberState, ...]:
    """Every broker that there should be, then those that the spec does not ask for any more."""
    surplus = names.surplus_members(cr, facts.stateful_sets)
    pods = {pod.metadata.name: pod for pod in facts.pods}
    sets = {found.metadata.name: found for found in facts.sets}
    members = (*names.members(cr), *surplus)
    replicas = max(member.broker_id for member in members)
    return tuple(
        msgspec.structs.replace(
            _state(member, member in surplus, pods, sets, facts),
            refuses_start=_refuses_start(member, pods.get(member.pod), replicas, facts),
        )
        for member in members
    )


def noted(pod: Pod) -> WritesMoved | None:
    """The note on a pod; an unreadable one is none, and writes are moved anew."""
    text = pod.metadata.annotations.get(names.WRITES_MOVED)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=WritesMoved)
    except msgspec.MsgspecError:
        return None


def _state(
    member: names.Member,
    surplus: bool,  # noqa: FBT001 - private, one caller
    pods: Mapping[str, Pod],
    sets: Mapping[str, StatefulSet],
    facts: BrokerFacts,
) -> MemberState:
    pod = pods.get(member.pod)
    stateful_set = sets.get(member.stateful_set)
    answer = facts.answers.get(member.pod, Silence("it was not asked"))
    return MemberState(
        member=member,
        surplus=surplus,
        pod=pod,
        stateful_set=stateful_set,
        answer=answer,
        note=noted(pod) if pod is not None else None,
        outdated=_outdated(pod, stateful_set, answer, facts),
        lag=_lag(member, answer, facts),
    )


def _refuses_start(member: names.Member, pod: Pod | None, replicas: int, facts: BrokerFacts) -> str:
    """What the guard waits for; it asks as many replicas in each group (files.group_conf)."""
    if pod is None or not _is_guarded(pod):
        return ""
    prefix = f"{member.broker_name}-replica-"
    for name, answer in facts.answers.items():
        if name.startswith(prefix) and isinstance(answer, BrokerAnswer) and answer.log_end > 0:
            return (
                f"{member.pod} has an empty store and does not start beside {name}, which holds "
                f"{answer.log_end} bytes of this group's messages: copy them back into its store, "
                "or give them up by deleting the claims and pods of the replicas (docs/storage.md)"
            )
    asked = (f"{prefix}{number}-0" for number in range(1, replicas + 1))
    silent = [name for name in asked if not isinstance(facts.answers.get(name), BrokerAnswer)]
    if member.broker_name not in facts.replaced or not silent:
        return ""
    return (
        f"{member.pod} has a new, empty volume and does not start before its replicas say whether "
        f"they hold this group's messages: bring back {', '.join(silent)} (docs/storage.md)"
    )


def _is_guarded(pod: Pod) -> bool:
    return not pod.terminating and any(
        one.name == names.GUARD_CONTAINER and one.running
        for one in pod.status.init_container_statuses
    )


def _outdated(
    pod: Pod | None,
    stateful_set: StatefulSet | None,
    answer: BrokerAnswer | Silence,
    facts: BrokerFacts,
) -> str:
    if pod is None or pod.terminating or stateful_set is None:
        return ""
    if stateful_set.revision and pod.revision != stateful_set.revision:
        return TEMPLATE_CHANGED
    if pod.metadata.name in facts.grow_at_start:
        return GROWS_AT_START
    if not isinstance(answer, BrokerAnswer) or not isinstance(facts.name_servers, NameServers):
        return ""
    if learns_name_servers(answer.version):
        return ""
    has = answer.settings.get("namesrvAddr", facts.name_servers.text)
    return OTHER_NAME_SERVERS if has != facts.name_servers.text else ""


def learns_name_servers(version: str) -> bool:
    """Whether a running broker follows another `namesrvAddr`: from 4.9.4 on (dossier 4.3).

    A version that is not known is a newer one.
    """
    known = MQVersion.__members__.get(version)
    return known is None or known >= MQVersion.V4_9_4


def _lag(member: names.Member, answer: BrokerAnswer | Silence, facts: BrokerFacts) -> int | None:
    if member.is_master or not isinstance(answer, BrokerAnswer):
        return None
    master = facts.answers.get(names.master_of(member).pod)
    if not isinstance(master, BrokerAnswer):
        return None
    # Masters are asked first, so a replica that keeps up is not behind what its master said.
    return max(0, master.log_end - answer.log_end)
