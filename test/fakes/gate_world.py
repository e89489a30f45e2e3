"""A cluster in memory that only the gate drives: pods, logs, producers, name servers and a clock.

It moves in seconds. What the gate decides is done call by call in the order of `reconcilers.act`,
and what must never happen is looked at by what really is, not by what the gate was shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec

from fakes.gate_closed import give, metadata
from fakes.gate_facts import (
    ADDRESSES,
    NOW,
    Seen,
    State,
    a_broker,
    a_name_service,
    broker_facts,
    name_service_facts,
)
from fakes.gate_server import READ, WRITE, Server, Templates
from reconcilers.desired import names
from reconcilers.facts import (
    BrokerFacts,
    NameServerAnswer,
    NameServiceFacts,
    Silence,
)
from reconcilers.steps.decision import (
    CopyMetadata,
    MoveWrites,
    NoteWrites,
    Open,
    RestoreWrites,
    Step,
    WritesMoved,
)
from reconcilers.steps.decision import Restart as RestartStep
from reconcilers.steps.name_service import unsettled
from reconcilers.steps.obstacles import CAUGHT_UP_SOON_BYTES
from reconcilers.steps.scale_out import metadata_pods
from reconcilers.steps.writes import CLOSED

STOPPING_S, STARTING_S, REGISTERING_S, LEAVING_S = 8, 25, 30, 30
NAME_SERVER_PODS = ("ns-0", "ns-1")


class OperatorDiedError(Exception):
    """Between two calls."""


class World:
    """Everything, with a clock that starts at 0."""

    def __init__(self, random: Random, size: int, replicas: int, **spec: Any) -> None:
        self.random = random
        self.now = 0.0
        self.spec = dict(spec)
        self.annotations: dict[str, str] = {}
        self.size, self.replicas = size, replicas
        self.sync = bool(self.spec.pop("sync", False))
        self.load_bytes = random.choice([2_000, 20_000, 200_000])
        """The most that a group is sent in a second."""
        self.broker_templates, self.ns_templates = Templates(), Templates()
        members = list(names.members(a_broker(size, replicas)))
        self.brokers = {one.pod: Server(name=one.pod, member=one) for one in members}
        self.name_servers = {name: Server(name=name) for name in NAME_SERVER_PODS}
        self.stopped: list[tuple[str, int]] = []
        """Pods that served when we stopped them, with the template that they were to get."""
        self._uids = 0
        self._produced_until: dict[str, float] = {}
        for _ in range(60):
            self.tick()

    @property
    def clock(self) -> datetime:
        """What the operator's clock shows."""
        return NOW + timedelta(seconds=self.now)

    @property
    def cr(self) -> Any:
        """The Broker as its user wrote it."""
        return a_broker(self.size, self.replicas, self.annotations, **self.spec)

    @property
    def ns_cr(self) -> Any:
        """The NameService."""
        looked_at = self.ns_templates.written == self.ns_templates.wanted
        return a_name_service(len(NAME_SERVER_PODS), observed=1 if looked_at else 0)

    @property
    def servers(self) -> list[Server]:
        """All."""
        return [*self.name_servers.values(), *self.brokers.values()]

    def group_of(self, server: Server) -> list[Server]:
        """A broker's group, its master first."""
        group = self.group_number(server)
        return [one for one in self.brokers.values() if self.group_number(one) == group]

    def group_number(self, server: Server) -> int:
        """Which group."""
        assert server.member is not None
        return server.member.group

    def masters(self) -> list[Server]:
        """One for each group."""
        return [one for one in self.brokers.values() if self.group_of(one)[0] is one]

    def templates_of(self, server: Server) -> Templates:
        """Those of its kind."""
        return self.ns_templates if server.member is None else self.broker_templates

    # Time

    def tick(self) -> None:
        """A second passes."""
        self.now += 1
        for templates in (self.broker_templates, self.ns_templates):
            if self.random.random() < 0.7:
                templates.used = templates.written
        for server in self.servers:
            self._live(server)
        for broker in self.brokers.values():
            self._register(broker)
        for master in self.masters():
            self._produce(master)
            self._replicate(master)

    def _live(self, server: Server) -> None:
        templates = self.templates_of(server)
        if server.state in ("ready", "crashing") or self.now < server.until:
            return
        match server.state:
            case "terminating":
                self.become(server, "missing", 1)
                server.note = None
            case "missing":
                self._uids += 1
                server.uid, server.template = self._uids, templates.used
                self.become(server, "starting", self.random.randint(3, STARTING_S))
            case "starting" if server.template in templates.bad:
                self.become(server, "crashing", 0)
            case "starting":
                self.become(server, "ready", 0)
                server.started = self.now
                server.permission = int(CLOSED) if server.closed else READ | WRITE

    def lose_store(self, master: Server) -> None:
        """The pod of a master without replicas goes with all that it stored."""
        self.become(master, "terminating", 1)
        master.closed, master.has_topics, master.log_end = True, False, 0

    def become(self, server: Server, state: State, for_s: float) -> None:
        """From now on the server is like this, for so long if it is on its way."""
        server.state, server.until, server.changed = state, self.now + for_s, self.now
        if state != "ready":
            server.knows.clear()
            for one in self.name_servers.values():
                if server.member is not None:
                    one.knows.discard((server.member.broker_name, server.member.broker_id))

    def _register(self, broker: Server) -> None:
        assert broker.member is not None
        identity = (broker.member.broker_name, broker.member.broker_id)
        for one in self.name_servers.values():
            waited = self.now - max(one.started, broker.started)
            late = waited >= REGISTERING_S or self.random.random() < 0.2
            if broker.serves and one.serves and late:
                one.knows.add(identity)

    def _produce(self, master: Server) -> None:
        if master.takes_writes:
            master.no_write_since = self.now
            late = self.random.uniform(0, LEAVING_S)
            self._produced_until[master.name] = max(
                self._produced_until.get(master.name, 0.0), self.now + late
            )
        in_sync = not self.sync or any(one.serves for one in self.group_of(master)[1:])
        if master.serves and in_sync and self.is_written(master):
            master.log_end += self.random.randint(0, self.load_bytes)

    def is_written(self, master: Server) -> bool:
        """Whether producers still use it: they notice late that they should not."""
        return self.now < self._produced_until.get(master.name, 0.0)

    def _replicate(self, master: Server) -> None:
        for one in self.group_of(master)[1:]:
            connected = self.now - max(master.started, one.started) >= 5
            if master.serves and one.serves and connected:
                speed = one.slow_bytes if self.now < one.slow_until else 10_000_000
                one.log_end = min(master.log_end, one.log_end + speed)

    # What the operator sees

    def workload(self) -> dict[str, Seen]:
        """The pods, as the API server shows them now."""
        return {server.name: self._seen(server) for server in self.servers}

    def _seen(self, server: Server) -> Seen:
        templates = self.templates_of(server)
        known = templates.used == templates.written
        return Seen(
            state=server.state,
            revision=f"r{server.template}",
            newest=f"r{templates.written}" if known else "",
            uid=f"{server.name}/{server.uid}",
            since_s=-server.changed,
            silent=self.now < server.silent_until,
            log_end=server.log_end,
            note=server.note,
            permission=str(server.permission),
            role="SYNC_MASTER" if self.sync else "ASYNC_MASTER",
            connected=self._connected(server),
            started=NOW + timedelta(seconds=server.started),
        )

    def _connected(self, server: Server) -> int | None:
        if server.member is None or not server.member.is_master:
            return None
        others = self.group_of(server)[1:]
        return sum(
            one.serves and self.now - max(server.started, one.started) >= 5 for one in others
        )

    def broker_facts(self, pods: Mapping[str, Seen]) -> BrokerFacts:
        """The facts with these pods, and what the servers say now."""
        answering = self.workload()
        facts = broker_facts(
            self.cr,
            {name: pods[name] for name in self.brokers},
            answers=broker_facts(self.cr, {name: answering[name] for name in self.brokers}).answers,
            registrations={
                address: self._listing(self.name_servers[name])
                for address, name in zip(ADDRESSES, NAME_SERVER_PODS, strict=True)
            },
            name_service_waits=unsettled(self.ns_cr, self.name_service_facts(pods)),
        )
        tables = {
            name: metadata(self.brokers[name], self.now) for name in metadata_pods(self.cr, facts)
        }
        return msgspec.structs.replace(facts, metadata=tables)

    def name_service_facts(self, pods: Mapping[str, Seen]) -> NameServiceFacts:
        """The facts of the NameService."""
        found = {name: pods[name] for name in NAME_SERVER_PODS}
        facts = name_service_facts(found, newest=found["ns-0"].newest)
        answers = {name: self._listing(self.name_servers[name]) for name in facts.answers}
        return msgspec.structs.replace(facts, answers=answers)

    def _listing(self, server: Server) -> NameServerAnswer | Silence:
        if not server.serves or self.now < server.silent_until:
            return Silence("connection refused")
        brokers: dict[str, dict[int, str]] = {}
        for group, broker_id in server.knows:
            brokers.setdefault(group, {})[broker_id] = "address"
        return NameServerAnswer(brokers)

    # What the operator does

    def calls(self, step: Step) -> Iterator[None]:
        """Do a step; between two of its calls the operator may die."""
        if step.pod in self.brokers:
            assert self.annotations.get(names.PAUSED) != "true", f"paused, and yet {step}"
        match step:
            case MoveWrites(pod, uid, _, note, permission):
                if self._note(pod, uid, note):
                    yield
                    self._permit(pod, int(permission))
            case NoteWrites(pod, uid, note):
                self._note(pod, uid, note)
            case RestoreWrites(pod, uid, _, permission):
                self._permit(pod, int(permission))
                yield
                self._note(pod, uid, None)
            case RestartStep(pod, uid, _, _):
                self._stop(pod, uid)
            case CopyMetadata() | Open():
                give(step, self.brokers[step.pod], self.masters())
            case _:
                raise AssertionError(f"nobody asked for {step}")
        yield

    def _note(self, pod: str, uid: str, note: WritesMoved | None) -> bool:
        server = self.brokers[pod]
        met = uid == f"{pod}/{server.uid}" and server.state != "missing"
        if met:
            server.note = note
        return met

    def _permit(self, pod: str, permission: int) -> None:
        server = self.brokers[pod]
        if not server.serves:
            return
        server.permission = permission
        if not permission & WRITE:
            others = [one for one in self.masters() if one is not server]
            assert any(one.takes_writes for one in others), f"{pod}: producers cannot go anywhere"

    def _stop(self, pod: str, uid: str) -> None:
        server = self.brokers.get(pod) or self.name_servers[pod]
        if uid != f"{pod}/{server.uid}" or server.state in ("missing", "terminating"):
            return  # a conflict: it is not there any more as it was seen
        templates = self.templates_of(server)
        assert server.template != templates.wanted, f"{pod} has the newest template already"
        self._may_fail_once(server, templates)
        assert self.spec.get("allowRestart", True) or server.member is None, "not allowed"
        if server.serves:
            self.stopped.append((pod, templates.wanted))
            if server.member is None:
                self._name_server_may_stop(server)
            else:
                self._broker_may_stop(server)
        self.become(server, "terminating", self.random.randint(1, STOPPING_S))

    def _may_fail_once(self, server: Server, templates: Templates) -> None:
        same_kind = self.name_servers if server.member is None else self.brokers
        proved = [
            one.name
            for one in same_kind.values()
            if one.state == "crashing" and one.template == templates.wanted
        ]
        assert not proved, f"{server.name} is stopped although {proved} fail with the same"

    def _name_server_may_stop(self, server: Server) -> None:
        others = [one for one in self.name_servers.values() if one is not server]
        assert all(one.serves for one in others), f"{server.name}: the other one does not serve"
        assert all(one.knows >= server.knows for one in others), f"{server.name} alone knows some"

    def _broker_may_stop(self, server: Server) -> None:
        group = self.group_of(server)
        master = group[0]
        assert all(one.serves for one in group), f"{server.name}: another of its group is down"
        disturbed = {
            self.group_number(one)
            for one in self.brokers.values()
            if (not one.serves or one.note is not None) and one not in group
        }
        allowed = self.spec.get("maxUnavailableGroups", 1)
        assert len(disturbed) < allowed, f"{server.name}: {disturbed} are not whole"
        assert all(
            one.serves and one.template == self.ns_templates.wanted
            for one in self.name_servers.values()
        ), f"{server.name}: name servers come first"
        self._all_are_registered()
        if server is master:
            late = [one.name for one in group[1:] if one.template != self.broker_templates.wanted]
            assert not late, f"{server.name}: {late} come first"
            # A single group is written to until its master stops.
            allowed = CAUGHT_UP_SOON_BYTES if self.size == 1 else 0
            behind = [one.name for one in group if one.log_end + allowed < server.log_end]
            assert not behind, f"{server.name}: {behind} do not have all"
        if server is master or (self.sync and len(group) == 2):
            self._producers_have_left(master)

    def _all_are_registered(self) -> None:
        serving = {
            (one.member.broker_name, one.member.broker_id)
            for one in self.brokers.values()
            if one.serves and self.now >= one.silent_until and one.member is not None
        }
        for one in self.name_servers.values():
            assert self.now >= one.silent_until, f"{one.name} is silent"
            assert one.knows >= serving, f"{one.name} does not know {serving - one.knows}"

    def check_that_producers_have_a_broker(self) -> None:
        """Call it after an operator that saw everything has done what it decided."""
        masters = self.masters()
        kept_away = [one.name for one in masters if one.serves and one.note is not None]
        seen_all = all(self.now >= one.silent_until for one in masters)
        taken = any(one.takes_writes for one in masters)
        assert taken or not kept_away or not seen_all, f"only {kept_away} could take writes"

    def _producers_have_left(self, master: Server) -> None:
        if self.size == 1 or master.closed:
            return
        others = [one for one in self.masters() if one is not master]
        assert any(one.takes_writes for one in others), f"{master.name}: nobody else takes writes"
        refresh_s = self.spec.get("routeRefreshSeconds", 60)
        waited_s = self.now - master.no_write_since
        assert waited_s >= refresh_s, f"{master.name}: producers had {waited_s} s only"
        assert not self.is_written(master), f"{master.name} is still written to"
