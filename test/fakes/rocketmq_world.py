"""A simulated RocketMQ in the pods of one namespace: real sockets, no messages, no waiting.

The fake kubelet starts and stops its servers with their pods and asks whether they are ready; the
operator talks to them over the remoting protocol at their pods' addresses. It exists for what real
servers cannot show in an acceptable time: an operator that ends at every n-th admin call, brokers
that hang or lag, name servers that are lost. What the servers do is `rocketmq_world_model`, what
they answer is `rocketmq_world_answers`, both pure; their threads and sockets are
`rocketmq_world_pods`; what a test says and asks is here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from fakes.kubelet import Kubelet
from fakes.rocketmq_world_backlog import GROUP, TOPIC, Held
from fakes.rocketmq_world_history import Call, Event, Outage, most_at_once, outages
from fakes.rocketmq_world_model import Broker, Faults, Load, NameServer, Timing
from fakes.rocketmq_world_pods import Pods, Trap
from fakes.rocketmq_world_settings import Definition, image_version
from fakes.witness import Witness
from rocketmq.codes import MQVersion
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig

S = TypeVar("S", Broker, NameServer)


class BrokerView(msgspec.Struct, frozen=True, kw_only=True):
    """A running broker as it is now."""

    version: MQVersion
    settings: dict[str, str]
    name_servers: tuple[str, ...]
    """Those that it registers with, whatever its settings say."""
    listed_by: frozenset[str]
    """The pods of the name servers that know it."""
    log_end: int
    connected: bool
    """A replica has its master."""
    closed: bool
    """A master lets no client in since its start."""
    topics: dict[str, TopicConfig]
    groups: dict[str, SubscriptionGroup]
    metadata_writes: int
    """Topics and groups that were written to it."""
    broken: bool
    """A replica has what its master never had: it takes nothing from it any more."""


class World:
    """The servers of one namespace, from any thread.

    Servers are named by their pods, groups by their brokerName. Times are as `now` gives them.
    """

    def __init__(self, pods: Pods, kubelet: Kubelet) -> None:
        self.now = pods.now
        self._pods = pods
        self._kubelet = kubelet
        self._external = 0

    # What tests look at.

    def calls(self, *codes: int, pod: str = "") -> list[Call]:
        """The admin calls so far, of these codes (all) and to this server (every one)."""
        with self._pods.lock:
            calls = list(self._pods.calls)
        return [one for one in calls if (not codes or one.code in codes) and pod in ("", one.pod)]

    def events(self, pod: str = "") -> list[Event]:
        """What happened so far, to this server or to all."""
        with self._pods.lock:
            return [one for one in self._pods.events if pod in ("", one.pod)]

    def starts(self, pod: str) -> int:
        """How often its server was started."""
        return sum(one.what == "started" for one in self.events(pod))

    def outages(
        self, group: str = "", *, since: float = 0.0, without: Collection[str] = ()
    ) -> list[Outage]:
        """When brokers were down, of this group or all, except these pods (which were to go)."""
        return [
            one
            for one in outages(self.events())
            if one.group
            and group in ("", one.group)
            and one.since >= since
            and one.pod not in without
        ]

    def max_down(
        self, group: str = "", *, since: float = 0.0, without: Collection[str] = ()
    ) -> int:
        """How many brokers of the group (of all) were down at one time, at most."""
        return most_at_once(self.outages(group, since=since, without=without))

    def running(self) -> set[str]:
        """The pods whose servers run."""
        with self._pods.lock:
            return set(self._pods.model.servers)

    def broker(self, pod: str) -> BrokerView:
        """A running broker; LookupError when it does not run."""
        with self._pods.lock:
            broker = self._server(pod, Broker)
            return BrokerView(
                version=broker.definition.version,
                settings=dict(broker.settings),
                name_servers=broker.name_servers,
                listed_by=frozenset(
                    one.definition.pod
                    for one in self._pods.model.name_servers
                    if any(entry.address == broker.address for entry in one.known.values())
                ),
                log_end=broker.log.end,
                connected=broker.connected,
                closed=broker.closed,
                topics=dict(broker.tables.topics),
                groups=dict(broker.tables.groups),
                metadata_writes=broker.tables.writes,
                broken=broker.broken,
            )

    def listed(self, pod: str) -> dict[str, dict[int, str]]:
        """What a name server lists: addresses by brokerName and brokerId."""
        found: dict[str, dict[int, str]] = {}
        with self._pods.lock:
            for (name, id_), entry in self._server(pod, NameServer).known.items():
                found.setdefault(name, {})[id_] = entry.address
        return found

    def _server(self, pod: str, kind: type[S]) -> S:
        server = self._pods.model.servers[pod]
        assert isinstance(server, kind), f"{pod} is no {kind.__name__}"
        return server

    # What tests do.

    def fault(self, pod: str, **faults: Any) -> None:
        """From now on, and in successors of the same name, until `heal`: fields of `Faults`."""
        with self._pods.lock:
            before = self._pods.faults.get(pod, Faults())
            self._pods.faults[pod] = msgspec.structs.replace(before, **faults)
        self._pods.apply_faults(pod)

    def heal(self, *pods: str) -> None:
        """Nothing is wrong with these servers (all) any more."""
        with self._pods.lock:
            healed = pods or tuple(self._pods.faults)
            for pod in healed:
                self._pods.faults.pop(pod, None)
        for pod in healed:
            self._pods.apply_faults(pod)

    def crash(self, pod: str) -> None:
        """The process ends without a word and its container is started again, in the same pod."""
        process = self._pods.processes[pod]
        self._pods.end(process, "crashed", "as the test wants")
        self._pods.begin(process)

    def lose_storage(self, pod: str) -> None:
        """What the broker has stored is gone at its next start, with its volume."""
        with self._pods.lock:
            self._pods.model.forget(self._pods.storages[pod])

    def add_topics(self, pod: str, *topics: TopicConfig) -> None:
        """The broker has these topics."""
        with self._pods.lock:
            tables = self._server(pod, Broker).tables
            tables.topics |= {topic.topic_name: topic for topic in topics}

    def add_groups(self, pod: str, *groups: SubscriptionGroup) -> None:
        """The broker has these groups of consumers."""
        with self._pods.lock:
            tables = self._server(pod, Broker).tables
            tables.groups |= {group.group_name: group for group in groups}

    def produce(self, group: str, size_bytes: int) -> bool:
        """Send to a group's master at once, whatever the routes say; whether it was taken."""
        with self._pods.lock:
            return self._pods.model.produce(group, size_bytes)

    def load(self, group: str, bytes_per_s: float) -> None:
        """A producer that follows the routes sends to this group from now on; 0 stops it."""
        with self._pods.lock:
            self._pods.model.loads.setdefault(group, Load(0)).bytes_per_s = bytes_per_s

    def producer(self, group: str) -> Load:
        """What it did so far: `sent` and `failed` (to a master that was not there), in bytes."""
        with self._pods.lock:
            return msgspec.structs.replace(self._pods.model.loads[group])

    def hold(self, group: str, *, messages: int = 0, online: bool = True) -> None:
        """From now on consumers of the group take what it is sent, and these messages."""
        with self._pods.lock:
            held = self._held(group)
            held.end += messages
            held.online = online

    def delay(self, group: str, *seconds: float) -> None:
        """The group is sent messages that are delivered after so long."""
        with self._pods.lock:
            held = self._held(group)
            held.delayed = sorted([*held.delayed, *(self.now() + one for one in seconds)])

    def _held(self, group: str) -> Held:
        master = self._pods.model.master_of(group)
        if master is not None:
            master.tables.topics[TOPIC] = TopicConfig(TOPIC, 1, 1)
            master.tables.groups[GROUP] = SubscriptionGroup(GROUP)
        return self._pods.model.held.setdefault(group, Held())

    def left(self, group: str) -> int:
        """What the group holds for somebody, or held when it was removed."""
        with self._pods.lock:
            return self._pods.model.held[group].left

    def lost_bytes(self, group: str) -> int:
        """What producers believe to be stored and is in no storage any more."""
        with self._pods.lock:
            return self._pods.model.lost_bytes(group)

    def at_call(
        self,
        number: int,
        action: Callable[[], object],
        *,
        effect: bool = True,
        codes: Collection[int] = (),
    ) -> None:
        """Do this at the n-th admin call from now (of these codes), once.

        With `effect` the request has done what it asks for and is answered afterwards; without, it
        has done nothing and the connection breaks. No server answers anything while it lasts.
        """
        with self._pods.lock:
            self._pods.traps.append(Trap(number, action, effect, frozenset(codes)))

    def add_name_server(self, image: str = "apache/rocketmq:5.3.3") -> str:
        """A name server outside Kubernetes: its address. It is called `external-N`, from 1."""
        self._external += 1
        name, host = f"external-{self._external}", self._kubelet.new_address()
        process = self._pods.process({"metadata": {"name": name, "uid": name}}, host, host)
        process.definition = Definition(
            kind="name-server",
            pod=name,
            hosts=frozenset({host}),
            version=image_version(image),
            settings={"listenPort": "9876"},
        )
        self._pods.processes[name] = process
        self._pods.run(process, process.definition)
        return f"{host}:{process.definition.port}"


@contextmanager
def rocketmq_world(
    namespace: str, kubelet: Kubelet, witness: Witness, timing: Timing | None = None
) -> Iterator[World]:
    """A world that the kubelet's pods of this namespace live in. `witness` is for it alone."""
    pods, started = Pods(namespace, witness, timing or Timing()), threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(pods.serve(started)), name="RocketMQ world", daemon=True
    )
    thread.start()
    try:
        assert started.wait(10), "the world did not begin"
        with kubelet.serving(namespace, pods):
            yield World(pods, kubelet)
    finally:
        pods.close()
        thread.join(15)
