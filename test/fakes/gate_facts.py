"""What the gate sees, in few words: brokers and name servers as they are, and the facts of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from controller.objects import ObjectMeta
from reconcilers.api.broker import Broker
from reconcilers.api.kube import (
    POD_REVISION,
    ContainerState,
    ContainerStatus,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    StatefulSet,
    StatefulSetSpec,
    StatefulSetStatus,
    WaitingState,
)
from reconcilers.api.name_service import NameService
from reconcilers.desired import names
from reconcilers.facts import (
    BrokerAnswer,
    BrokerFacts,
    Follower,
    NameServerAnswer,
    NameServers,
    NameServiceFacts,
    Silence,
)
from reconcilers.steps.broker import decide
from reconcilers.steps.decision import Decision, Leaving, WritesMoved

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD, NEW = "r1", "r2"
ADDRESSES = ("ns-0.ns-headless.shop.svc:9876", "ns-1.ns-headless.shop.svc:9876")
NAME_SERVERS = NameServers(addresses=ADDRESSES, name_service="ns")
HUNG = Silence("no answer within 4 s")

State = Literal[
    "ready", "starting", "crashing", "unscheduled", "no image", "terminating", "missing"
]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One server as it is; the default serves with the newest template."""

    state: State = "ready"
    revision: str = NEW
    newest: str = NEW
    """Of its StatefulSet; empty while that is not known."""
    uid: str = ""
    silent: bool = False
    since_s: float = 0.0
    """For how long its condition Ready has been what it is."""
    log_end: int = 1000
    note: WritesMoved | None = None
    leaving: Leaving | None = None
    """The note on its StatefulSet."""
    permission: str = "6"
    role: str = "ASYNC_MASTER"
    version: str = "V5_3_3"
    name_servers: str = NAME_SERVERS.text
    settings: Mapping[str, str] = {}
    connected: int | None = None
    """Replicas on its line; None for what its version does not tell."""
    started: datetime = NOW - timedelta(days=1)
    removed: bool = False
    """Whether its StatefulSet is being deleted."""


def seen(**changes: Any) -> Seen:
    """A server that serves, but for these changes."""
    return Seen(**changes)


def outdated(**changes: Any) -> Seen:
    """A server that serves with an older template."""
    return Seen(revision=OLD, **changes)


def moved(seconds_ago: float, *, log_end: int = 1000, still_s: float = 10.0) -> dict[str, Any]:
    """What a master looks like whose writes were moved so long ago."""
    note = WritesMoved(
        since=NOW - timedelta(seconds=seconds_ago),
        permission="6",
        log_end=log_end,
        still_since=NOW - timedelta(seconds=still_s),
    )
    return {"note": note, "permission": "4"}


def a_broker(
    size: int = 1, replicas: int = 1, annotations: Mapping[str, str] | None = None, **spec: Any
) -> Broker:
    """A Broker called `broker` with storage that lasts."""
    given = {"size": size, "replicaPerGroup": replicas, "brokerImage": "i"}
    metadata = {"name": "broker", "namespace": "shop", "uid": "b", "generation": 1}
    return msgspec.convert(
        {
            "metadata": metadata | {"annotations": dict(annotations or {})},
            "spec": given | {"storageMode": "HostPath", "hostPath": "/data"} | spec,
        },
        Broker,
    )


def a_name_service(size: int = 2, *, observed: int = 1, **more: Any) -> NameService:
    """A NameService called `ns`, whose status has seen this generation; `more` is of its spec."""
    annotations = more.pop("annotations", {})
    metadata = {"name": "ns", "namespace": "shop", "uid": "n", "generation": 1}
    spec = {"size": size, "nameServiceImage": "i", "storageMode": "EmptyDir"} | more
    given = {"metadata": metadata | {"annotations": annotations}, "spec": spec}
    return msgspec.convert(given | {"status": {"observedGeneration": observed}}, NameService)


def broker_facts(
    cr: Broker,
    servers: Mapping[str, Seen] | None = None,
    *,
    surplus: Mapping[str, Seen] | None = None,
    **changes: Any,
) -> BrokerFacts:
    """The facts when the pods of `servers` are as they say and all others serve.

    Every broker that serves is registered everywhere; `changes` are fields of the facts.
    """
    known = {member.pod: Seen() for member in names.members(cr)}
    known |= {**(servers or {}), **(surplus or {})}
    members = {
        member.pod: member
        for member in (*names.members(cr), *names.surplus_members(cr, map(_set_of, surplus or ())))
    }
    assert members.keys() == known.keys(), "a pod that the Broker does not have"
    listed: dict[str, dict[int, str]] = {}
    for name, one in known.items():
        if one.state == "ready":
            member = members[name]
            listed.setdefault(member.broker_name, {})[member.broker_id] = f"{name}:10911"
    facts = BrokerFacts(
        name_servers=NAME_SERVERS,
        pods=tuple(a_pod(name, one) for name, one in known.items() if one.state != "missing"),
        sets=tuple(a_set(_set_of(name), one) for name, one in known.items()),
        answers={name: an_answer(one) for name, one in known.items() if one.state != "missing"},
        registrations={address: NameServerAnswer(listed) for address in ADDRESSES},
    )
    return msgspec.structs.replace(facts, **changes)


def name_service_facts(
    servers: Mapping[str, Seen],
    *,
    knows: Mapping[str, Mapping[str, Mapping[int, str]]] | None = None,
    replicas: int = 0,
    newest: str = NEW,
    followers: tuple[Follower, ...] = (),
) -> NameServiceFacts:
    """The facts when these name servers are there; each that answers knows a broker `b` of id 0.

    `knows` says otherwise for some of them.
    """
    known = {name: {"b": {0: "b:10911"}} for name in servers} | dict(knows or {})
    return NameServiceFacts(
        pods=tuple(a_pod(name, one) for name, one in servers.items() if one.state != "missing"),
        stateful_set=a_set("ns", Seen(newest=newest), replicas=replicas or len(servers)),
        answers={
            name: Silence("refused") if _quiet(one) else NameServerAnswer(known[name])
            for name, one in servers.items()
            if one.state != "missing"
        },
        followers=followers,
    )


def a_pod(name: str, one: Seen) -> Pod:
    """A pod; its IP follows from its name."""
    annotations = {}
    if one.note is not None:
        annotations[names.WRITES_MOVED] = msgspec.json.encode(one.note).decode()
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="shop",
            uid=one.uid or f"uid of {name}",
            labels={POD_REVISION: one.revision},
            annotations=annotations,
            deletion_timestamp="2026-01-01T12:00:00Z" if one.state == "terminating" else None,
        ),
        spec=PodSpec(node_name="" if one.state == "unscheduled" else "node"),
        status=PodStatus(
            phase="Running",
            pod_ip=f"ip-of-{name}",
            conditions=_conditions(one),
            container_statuses=(_container(one),),
        ),
    )


def a_set(name: str, one: Seen, replicas: int = 1) -> StatefulSet:
    """The StatefulSet of a server."""
    noted = one.leaving
    return StatefulSet(
        metadata=ObjectMeta(
            name=name,
            namespace="shop",
            uid=f"uid of {name}",
            generation=1,
            annotations={names.LEAVING: msgspec.json.encode(noted).decode()} if noted else {},
            deletion_timestamp="2026-01-01T12:00:00Z" if one.removed else None,
        ),
        spec=StatefulSetSpec(replicas=replicas),
        status=StatefulSetStatus(
            observed_generation=1 if one.newest else 0, update_revision=one.newest
        ),
    )


def an_answer(one: Seen) -> BrokerAnswer | Silence:
    """What the broker says, if it says anything."""
    if _quiet(one):
        return HUNG
    return BrokerAnswer(
        version=one.version,
        boot_time_ms=round(one.started.timestamp() * 1000),
        log_end=one.log_end,
        replicas_connected=one.connected,
        settings={
            "brokerPermission": one.permission,
            "brokerRole": one.role,
            "namesrvAddr": one.name_servers,
            **one.settings,
        },
    )


def _set_of(pod: str) -> str:
    return pod.removesuffix("-0")


def _quiet(one: Seen) -> bool:
    return one.silent or one.state != "ready"


_WAITING = {"crashing": "CrashLoopBackOff", "no image": "ImagePullBackOff"}


def _conditions(one: Seen) -> tuple[PodCondition, ...]:
    since = (NOW - timedelta(seconds=one.since_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = "True" if one.state in ("ready", "terminating") else "False"
    found = (PodCondition(type="Ready", status=ready, last_transition_time=since),)
    if one.state == "unscheduled":
        return (*found, PodCondition(type="PodScheduled", status="False", message="no room"))
    return found


def _container(one: Seen) -> ContainerStatus:
    waiting = _WAITING.get(one.state)
    state = ContainerState(waiting=WaitingState(reason=waiting)) if waiting else ContainerState()
    restarts = 3 if one.state == "crashing" else 0
    return ContainerStatus(name="broker", restart_count=restarts, state=state)


M0, R0, M1, R1 = (
    "broker-0-master-0",
    "broker-0-replica-1-0",
    "broker-1-master-0",
    "broker-1-replica-1-0",
)


def decided(
    servers: Mapping[str, Seen],
    size: int = 2,
    replicas: int = 1,
    *,
    surplus: Mapping[str, Seen] | None = None,
    facts: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Decision:
    """What the gate decides about a Broker whose brokers are as said."""
    cr = a_broker(size, replicas, **spec)
    return decide(cr, broker_facts(cr, servers, surplus=surplus, **(facts or {})), NOW)


def steps(decision: Decision) -> list[tuple[str, str]]:
    """Kind and pod of each step."""
    return [(type(step).__name__, step.pod) for step in decision.steps]


def all_outdated(size: int = 2, replicas: int = 1) -> dict[str, Seen]:
    """Every broker of it, with a pod of an older template."""
    return {member.pod: outdated() for member in names.members(a_broker(size, replicas))}
