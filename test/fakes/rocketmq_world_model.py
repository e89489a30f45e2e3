"""Name servers, brokers and producers as state that moves with `now`. Pure: no sockets, no clock.

`tick` does what has become due since the last one: registrations before expiries, so that a test
machine that stood still for a while makes nobody expire who is well. Facts: the remoting dossier,
2.1, 2.2, 4.3, 4.6, 4.7, 6.2; periods of half a minute are fractions of a second here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec

from fakes.rocketmq_world_backlog import Held
from fakes.rocketmq_world_settings import Definition, changed_settings
from fakes.rocketmq_world_tables import CLOSED, Tables
from rocketmq.codes import MQVersion
from rocketmq.routes import MASTER_ID, WRITE


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How fast the world is; in brackets what the real one does."""

    register_s: float = 0.2  # [30] brokers tell the name servers that they are there
    expiry_s: float = 1.2  # [120] name servers forget a broker that is silent
    reread_s: float = 0.3  # [120] a broker looks at its namesrvAddr again
    connect_s: float = 0.1  # [5] a replica tries again to reach its master
    replicate_s: float = 0.05  # [0.01] a replica has what its master has
    samples_s: float = 0.1  # [some] a 4.9 broker cannot tell its figures before
    route_s: float = 0.3  # [30] producers ask for their route again
    stop_s: float = 0.1  # [3-10] a process ends after SIGTERM
    unready_s: float = 0.3  # [30] the kubelet believes a failing probe


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one server."""

    hung: bool = False
    """Accepts connections, and then nothing more: no answer, no registration, no replication."""
    refusing: bool = False
    """Nobody listens; the process lives and does all else."""
    registers: bool = True
    """A broker tells no name server about itself."""
    replicates: bool = True
    """A replica takes nothing from its master, though connected."""
    takes_settings: bool = True
    """Changes of settings are answered with success and forgotten."""
    blank: bool = False
    """A name server knows nobody, as one that has just been started."""
    answers: dict[int, tuple[int, str]] = {}
    """By request code: the response code and remark instead of an answer."""

    @property
    def away(self) -> bool:
        """Whether other servers get no answer either."""
        return self.hung or self.refusing


class Log(msgspec.Struct):
    """A commit log; two of one lineage have the same bytes as far as both go."""

    lineage: int = 0
    end: int = 0


class Entry(msgspec.Struct, frozen=True):
    """What a name server knows of one broker."""

    cluster: str
    address: str
    permission: int
    at: float


class NameServer(msgspec.Struct):
    """A running name server; its table is by brokerName and brokerId."""

    definition: Definition
    faults: Faults = Faults()
    table: dict[tuple[str, int], Entry] = {}
    wiped: set[str] = set()

    @property
    def known(self) -> dict[tuple[str, int], Entry]:
        """What it answers with."""
        return {} if self.faults.blank else self.table


class Broker(msgspec.Struct):
    """A running broker. `name_servers` are those that it registers with, whatever its settings
    say; `master` is the address that a replica learned from them."""

    definition: Definition
    log: Log
    tables: Tables
    booted_at: float
    settings: dict[str, str]
    name_servers: tuple[str, ...]
    faults: Faults = Faults()
    settings_changes: int = 0
    register_at: float = 0.0
    reread_at: float = 0.0
    master: str = ""
    connect_at: float = 0.0
    connected: bool = False
    connected_once: bool = False
    broken: bool = False
    arriving: tuple[float, int] | None = None

    @property
    def name(self) -> str:
        """The brokerName: its group."""
        return self.settings["brokerName"]

    @property
    def id(self) -> int:
        """The brokerId: 0 is the master."""
        return int(self.settings["brokerId"])

    @property
    def closed(self) -> bool:
        """Whether it lets no client in since its start."""
        return bool(self.tables.marker) and self.settings["brokerPermission"] == CLOSED

    @property
    def address(self) -> str:
        """What it registers."""
        return f"{self.settings['brokerIP1']}:{self.definition.port}"

    @property
    def permission(self) -> int:
        """Whether its group may be read and written."""
        return int(self.settings["brokerPermission"])

    @property
    def listed_name_servers(self) -> tuple[str, ...]:
        """Those that its settings say."""
        return tuple(one.strip() for one in self.settings["namesrvAddr"].split(";") if one.strip())


class Load(msgspec.Struct):
    """A producer that sends to one group: `route` is the master that it believes in."""

    bytes_per_s: float
    route: str | None = None
    route_at: float = 0.0
    sent: float = 0.0
    failed: float = 0.0


Server = NameServer | Broker


class Model:
    """All servers of one place, by the name of their pod."""

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.servers: dict[str, Server] = {}
        self.logs: dict[str, Log] = {}
        self.tables: dict[str, Tables] = {}  # both by storage
        self.loads: dict[str, Load] = {}
        self.held: dict[str, Held] = {}
        """By group, where consumers are a test's matter."""
        self.acknowledged: dict[tuple[str, int], int] = {}
        """By group and lineage: how far the producers believe the log to be kept."""
        self._lineages = itertools.count(1)
        self._now = 0.0

    @property
    def brokers(self) -> Iterator[Broker]:
        """The running ones."""
        return (one for one in self.servers.values() if isinstance(one, Broker))

    @property
    def name_servers(self) -> Iterator[NameServer]:
        """The running ones."""
        return (one for one in self.servers.values() if isinstance(one, NameServer))

    def start(self, definition: Definition, faults: Faults, now: float) -> Server:
        """A server begins."""
        server: Server = (
            NameServer(definition, faults)
            if definition.kind == "name-server"
            else self._new_broker(definition, faults, now)
        )
        self.servers[definition.pod] = server
        return server

    def _new_broker(self, definition: Definition, faults: Faults, now: float) -> Broker:
        settings = definition.settings
        log = self.logs.setdefault(definition.storage, Log())
        new = definition.storage not in self.tables
        tables = self.tables.setdefault(definition.storage, Tables())
        broker = Broker(definition, log, tables, now, dict(settings), (), faults, register_at=now)
        broker.name_servers = broker.listed_name_servers
        broker.reread_at = now + self.timing.reread_s
        if broker.id == MASTER_ID:
            tables.marker = "new" if new else tables.marker
            own = broker.settings["brokerPermission"]
            started = tables.start_permission(own, leaving=definition.leaving)
            broker.settings["brokerPermission"] = started
            log.lineage = log.lineage or next(self._lineages)
        return broker

    def end(self, pod: str) -> None:
        """A server is no more: name servers see its connection close. What it kept in a storage
        that goes with its pod is `forget`'s."""
        gone = self.servers.pop(pod)
        if not isinstance(gone, Broker):
            return
        for server in self.name_servers:
            entry = server.table.get((gone.name, gone.id))
            if entry and entry.address == gone.address and not server.faults.hung:
                del server.table[gone.name, gone.id]
        for replica in self.brokers:
            if gone.id == MASTER_ID and replica.name == gone.name:
                replica.connected, replica.arriving = False, None

    def forget(self, storage: str) -> None:
        """A storage is lost with all that is in it."""
        self.logs.pop(storage, None)
        self.tables.pop(storage, None)

    def change_settings(self, broker: Broker, changes: dict[str, str], now: float) -> None:
        """UPDATE_BROKER_CONFIG: nothing of it outlives the process."""
        broker.settings_changes += 1
        if broker.faults.takes_settings:
            broker.settings = changed_settings(broker.settings, changes)
            if broker.id == MASTER_ID:
                now_has = broker.settings["brokerPermission"]
                broker.tables.note(now_has, leaving=broker.definition.leaving)
        if "brokerPermission" in changes:
            self._register(broker, now)

    def master_of(self, group: str) -> Broker | None:
        """The running master of a group."""
        masters = (one for one in self.brokers if one.id == MASTER_ID and one.name == group)
        return next(masters, None)

    def name_server_at(self, address: str) -> NameServer | None:
        """Who answers there, by IP or by a pod's name in DNS."""
        host, _, port = address.rpartition(":")
        for server in self.name_servers:
            at = server.definition
            if host in at.hosts and port == str(at.port) and not server.faults.away:
                return server
        return None

    def serving(self, server: Server) -> bool:
        """What `probe.sh` finds."""
        if server.faults.away:
            return False
        if isinstance(server, NameServer):
            return True
        return self._listed(server) and (server.id == MASTER_ID or server.connected_once)

    def _listed(self, broker: Broker) -> bool:
        found = (self.name_server_at(address) for address in broker.listed_name_servers)
        entries = (one.known.get((broker.name, broker.id)) for one in found if one)
        return any(entry.address == broker.address for entry in entries if entry)

    def produce(self, group: str, size_bytes: int) -> bool:
        """A message to the master, whatever the routes say; whether it was taken."""
        master = self.master_of(group)
        if master is None or master.faults.away:
            return False
        master.log.end += size_bytes
        self._acknowledge(master)
        return True

    def lost_bytes(self, group: str) -> int:
        """What was acknowledged and is in no storage any more."""
        return sum(
            max(0, end - max((log.end for log in self._logs_of(lineage)), default=0))
            for (name, lineage), end in self.acknowledged.items()
            if name == group
        )

    def _logs_of(self, lineage: int) -> Iterator[Log]:
        return (log for log in self.logs.values() if log.lineage == lineage)

    def tick(self, now: float) -> None:
        """Do what has become due."""
        passed_s, self._now = now - (self._now or now), now
        for broker in self.brokers:
            self._reread(broker, now)
            if now >= broker.register_at:
                self._register(broker, now)
        for server in self.name_servers:
            self._expire(server, now)
        for group, load in self.loads.items():
            self._send(group, load, now, passed_s)
        for broker in self.brokers:
            if broker.id == MASTER_ID:
                self._give_out(broker, now)
                self._acknowledge(broker)
            else:
                self._replicate(broker, now)

    def _reread(self, broker: Broker, now: float) -> None:
        if now < broker.reread_at or broker.faults.hung:
            return
        broker.reread_at = now + self.timing.reread_s
        # Without a namesrvAddr at its start a broker asks an address server, or nobody.
        if broker.definition.version >= MQVersion.V4_9_4 and broker.name_servers:
            broker.name_servers = broker.listed_name_servers or broker.name_servers

    def _register(self, broker: Broker, now: float) -> None:
        broker.register_at = now + self.timing.register_s
        if broker.faults.hung or not broker.faults.registers:
            return
        cluster = broker.settings["brokerClusterName"]
        for address in broker.name_servers:
            if server := self.name_server_at(address):
                entry = Entry(cluster, broker.address, broker.permission, now)
                server.table[broker.name, broker.id] = entry
                if master := server.table.get((broker.name, MASTER_ID)):
                    broker.master = master.address

    def _expire(self, server: NameServer, now: float) -> None:
        if not server.faults.hung:
            oldest = now - self.timing.expiry_s
            server.table = {key: one for key, one in server.table.items() if one.at >= oldest}

    def _send(self, group: str, load: Load, now: float, passed_s: float) -> None:
        if now >= load.route_at:
            load.route_at = now + self.timing.route_s
            self._ask_route(group, load)
        if load.route is None:
            return
        size = load.bytes_per_s * min(passed_s, 0.1)
        master = self.master_of(group)
        if master and master.address == load.route and not master.faults.away:
            whole = int(load.sent + size) - int(load.sent)
            master.log.end += whole
            load.sent += size
            if whole and group in self.held:
                self.held[group].end += 1
        else:
            load.failed += size

    def _give_out(self, master: Broker, now: float) -> None:
        held = self.held.get(master.name)
        if held is not None and not master.faults.away:
            master.log.end += held.deliver(now)
            held.consume()

    def _ask_route(self, group: str, load: Load) -> None:
        for server in self.name_servers:
            if not server.faults.away and server.known:
                entry = server.known.get((group, MASTER_ID))
                wiped = group in server.wiped
                writable = entry and entry.permission & WRITE and not wiped
                load.route = entry.address if entry and writable else None
                return
        # None answers, or only one that knows nothing: the producer keeps what it has.

    def _replicate(self, replica: Broker, now: float) -> None:
        master = self.master_of(replica.name)
        if (
            replica.faults.hung
            or master is None
            or master.faults.hung
            or master.address != replica.master
        ):
            replica.connected, replica.arriving = False, None
            return
        if not replica.connected:
            self._connect(replica, master, now)
        if replica.connected and replica.faults.replicates:
            self._copy(replica, master, now)

    def _connect(self, replica: Broker, master: Broker, now: float) -> None:
        if now < replica.connect_at:
            return
        replica.connect_at = now + self.timing.connect_s
        if not replica.log.end:
            replica.log.lineage = master.log.lineage
        # "master pushed offset not equal the max phy offset in slave"
        same = replica.log.lineage == master.log.lineage
        replica.broken = not same or replica.log.end > master.log.end
        replica.connected = not replica.broken
        replica.connected_once |= replica.connected

    def _copy(self, replica: Broker, master: Broker, now: float) -> None:
        if replica.arriving and now >= replica.arriving[0]:
            replica.log.end, replica.arriving = replica.arriving[1], None
        if replica.arriving is None and replica.log.end < master.log.end:
            replica.arriving = (now + self.timing.replicate_s, master.log.end)

    def _acknowledge(self, master: Broker) -> None:
        """A SYNC master tells the producer when a replica has the message too."""
        end = master.log.end
        if master.settings["brokerRole"] == "SYNC_MASTER":
            replicas = (one for one in self.brokers if one.name == master.name and one.connected)
            end = max((one.log.end for one in replicas), default=0)
        key = (master.name, master.log.lineage)
        self.acknowledged[key] = max(self.acknowledged.get(key, 0), end)
