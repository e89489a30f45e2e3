"""The addresses of a local cluster: chosen so that any number can live side by side."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from base.errors import ClusterError

# Cluster n has the n-th /30, /22 and /22 of these.
LINKS = IPv4Network("10.213.0.0/16")
SERVICES = IPv4Network("10.216.0.0/14")
PODS = IPv4Network("10.220.0.0/14")
COUNT = 256


@dataclass(frozen=True)
class Plan:
    """The addresses of cluster number `index`."""

    index: int

    @property
    def interface(self) -> str:
        """Return the host's end of the link to the node; the kernel allows 15 characters."""
        return f"rmqnode{self.index}"

    @property
    def link(self) -> IPv4Network:
        """Return the network between host and node."""
        return IPv4Network((int(LINKS[0]) + 256 * self.index, 30))

    @property
    def host(self) -> IPv4Address:
        """Return the host's address on the link."""
        return self.link[1]

    @property
    def node(self) -> IPv4Address:
        """Return the node's address: its InternalIP, and where the API server listens."""
        return self.link[2]

    @property
    def services(self) -> IPv4Network:
        """Return the network of cluster IPs."""
        return IPv4Network((int(SERVICES[0]) + 1024 * self.index, 22))

    @property
    def pods(self) -> IPv4Network:
        """Return the network of pods."""
        return IPv4Network((int(PODS[0]) + 1024 * self.index, 22))

    @property
    def api_service(self) -> IPv4Address:
        """Return the cluster IP of the Service `kubernetes`."""
        return self.services[1]

    @property
    def dns_service(self) -> IPv4Address:
        """Return the cluster IP of the DNS Service."""
        return self.services[10]


def choose_plan(taken: Iterable[int], busy: Iterable[IPv4Network]) -> Plan:
    """Return the first plan that no other cluster has and no route of the host overlaps."""
    used = set(taken)
    routes = list(busy)
    for index in range(COUNT):
        plan = Plan(index)
        networks = (plan.link, plan.services, plan.pods)
        if index not in used and not any(
            network.overlaps(route) for network in networks for route in routes
        ):
            return plan
    raise ClusterError(f"no free addresses in {LINKS}, {SERVICES} and {PODS} for one more cluster")


def parse_routes(routes: Iterable[dict[str, object]]) -> list[IPv4Network]:
    """Return the networks of `ip -json route`; a default route is in nobody's way."""
    found = [str(route["dst"]) for route in routes if route.get("dst") not in {None, "default"}]
    return [IPv4Network(text) for text in found if ":" not in text]
