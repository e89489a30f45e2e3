"""Clusters and topic routes as name servers know them, and how several name servers compare. Pure.

Name servers do not talk to each other: each knows what brokers told it, a restarted one knows
nothing for up to 30 seconds. So a view of one of them is never proof that something is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

MASTER_ID = 0
"""The broker id under which the master of a broker set is registered, in controller mode too."""

READ, WRITE = 4, 2
"""Bits of a permission; 6 is both, 0 is neither (dossier, 3)."""


class BrokerData(msgspec.Struct, frozen=True, rename="camel"):
    """A broker set: its addresses by broker id."""

    broker_name: str
    cluster: str = ""
    broker_addrs: dict[int, str] = {}
    zone_name: str | None = None
    enable_acting_master: bool = False

    @property
    def master(self) -> str | None:
        """The master's address; None when no master is registered."""
        return self.broker_addrs.get(MASTER_ID)

    @property
    def replicas(self) -> tuple[str, ...]:
        """The slaves' addresses, by rising id."""
        return tuple(addr for id_, addr in sorted(self.broker_addrs.items()) if id_ != MASTER_ID)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses, the master's first."""
        return tuple(address for _, address in sorted(self.broker_addrs.items()))


class ClusterInfo(msgspec.Struct, frozen=True, rename="camel"):
    """All broker sets that a name server knows, and which cluster each belongs to."""

    broker_addr_table: dict[str, BrokerData] = {}
    cluster_addr_table: dict[str, tuple[str, ...]] = {}

    @property
    def clusters(self) -> tuple[str, ...]:
        """The clusters' names, sorted."""
        return tuple(sorted(self.cluster_addr_table))

    def broker_sets(self, cluster: str | None = None) -> tuple[BrokerData, ...]:
        """The broker sets of one cluster, or of all, by name."""
        names = self.broker_addr_table if cluster is None else self.cluster_addr_table.get(cluster)
        known = self.broker_addr_table
        return tuple(known[name] for name in sorted(set(names or ())) if name in known)

    def masters(self, cluster: str | None = None) -> tuple[str, ...]:
        """The addresses of the masters; a set without one adds nothing."""
        return tuple(one.master for one in self.broker_sets(cluster) if one.master is not None)

    def replicas(self, cluster: str | None = None) -> tuple[str, ...]:
        """The addresses of the slaves."""
        return tuple(address for one in self.broker_sets(cluster) for address in one.replicas)

    def addresses(self, cluster: str | None = None) -> tuple[str, ...]:
        """The addresses of all brokers, set by set, masters first."""
        return tuple(address for one in self.broker_sets(cluster) for address in one.addresses)

    def without_master(self, cluster: str | None = None) -> tuple[str, ...]:
        """The names of the broker sets that have no master now."""
        return tuple(one.broker_name for one in self.broker_sets(cluster) if one.master is None)

    def readers(self, cluster: str | None = None) -> tuple[str, ...]:
        """One address of each broker set: its master, or else its first slave."""
        return tuple(one.addresses[0] for one in self.broker_sets(cluster) if one.addresses)


class QueueData(msgspec.Struct, frozen=True, rename="camel"):
    """A topic's queues on one broker set; up to 4.8 the flags are called topicSynFlag."""

    broker_name: str
    read_queue_nums: int
    write_queue_nums: int
    perm: int
    topic_sys_flag: int = 0
    topic_syn_flag: int = 0

    @property
    def sys_flag(self) -> int:
        """The topic's flags under either name."""
        return self.topic_sys_flag or self.topic_syn_flag

    @property
    def readable(self) -> bool:
        """Whether consumers may use these queues."""
        return bool(self.perm & READ)

    @property
    def writable(self) -> bool:
        """Whether producers that obey the route send here; brokers themselves do not check."""
        return bool(self.perm & WRITE)


class TopicRoute(msgspec.Struct, frozen=True, rename="camel"):
    """Where a topic's queues are; `order_topic_conf` is set for ordered topics alone."""

    broker_datas: tuple[BrokerData, ...] = ()
    queue_datas: tuple[QueueData, ...] = ()
    order_topic_conf: str | None = None

    @property
    def masters(self) -> tuple[str, ...]:
        """The addresses of the masters that have queues of the topic."""
        return tuple(one.master for one in self.broker_datas if one.master is not None)


class Disagreement(msgspec.Struct, frozen=True):
    """A broker that not every name server has under the same address (None: does not know it)."""

    broker_name: str
    broker_id: int
    addresses: dict[str, str | None]


def merged(views: Iterable[ClusterInfo]) -> ClusterInfo:
    """Everything that at least one view has; where two differ in an address, the first counts."""
    sets: dict[str, BrokerData] = {}
    clusters: dict[str, list[str]] = {}
    for view in views:
        for name, known in view.broker_addr_table.items():
            before = sets.get(name)
            sets[name] = known if before is None else _joined(before, known)
        for cluster, names in view.cluster_addr_table.items():
            clusters.setdefault(cluster, []).extend(names)
    return ClusterInfo(sets, {name: tuple(dict.fromkeys(ones)) for name, ones in clusters.items()})


def merged_routes(routes: Iterable[TopicRoute]) -> TopicRoute:
    """Everything that at least one route has; where two differ, the first counts."""
    sets: dict[str, BrokerData] = {}
    queues: dict[str, QueueData] = {}
    order: str | None = None
    for route in routes:
        for known in route.broker_datas:
            before = sets.get(known.broker_name)
            sets[known.broker_name] = known if before is None else _joined(before, known)
        queues = {one.broker_name: one for one in route.queue_datas} | queues
        order = order or route.order_topic_conf
    return TopicRoute(tuple(sets.values()), tuple(queues.values()), order)


def disagreements(views: Mapping[str, ClusterInfo]) -> tuple[Disagreement, ...]:
    """Where the views of several name servers (by their address) differ, by broker name and id."""
    brokers = sorted({broker for view in views.values() for broker in _brokers(view)})
    found = (
        Disagreement(
            name, id_, {server: _address(view, name, id_) for server, view in views.items()}
        )
        for name, id_ in brokers
    )
    return tuple(one for one in found if len(set(one.addresses.values())) > 1)


def _joined(first: BrokerData, second: BrokerData) -> BrokerData:
    addresses = second.broker_addrs | first.broker_addrs
    return msgspec.structs.replace(first, broker_addrs=addresses)


def _brokers(view: ClusterInfo) -> Iterator[tuple[str, int]]:
    for name, known in view.broker_addr_table.items():
        for id_ in known.broker_addrs:
            yield name, id_


def _address(view: ClusterInfo, name: str, id_: int) -> str | None:
    known = view.broker_addr_table.get(name)
    return None if known is None else known.broker_addrs.get(id_)
