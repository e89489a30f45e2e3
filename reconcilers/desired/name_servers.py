"""Which name servers a Broker uses. Pure.

1. `spec.nameServers` whose every address belongs to one NameService of the namespace (a pod's IP,
   its node's IP, a pod's or Service's name): that NameService, followed from then on. `status`
   remembers it, for a pod that moved has left its old IP in the spec.
2. Any other `spec.nameServers`: as written.
3. `spec.nameServiceRef`: that NameService.
4. Neither: the only NameService of the namespace.

A NameService that is being deleted counts as gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from reconcilers.api.broker import Broker
from reconcilers.api.kube import Pod
from reconcilers.api.name_service import NameService
from reconcilers.desired import names
from reconcilers.facts import NameServerProblem, NameServers


def name_servers(
    cr: Broker, name_services: Sequence[NameService], pods: Sequence[Pod]
) -> NameServers | NameServerProblem:
    """The name servers, or why they are not known; other namespaces' objects are not regarded."""
    namespace = cr.metadata.namespace
    here = sorted(
        (
            ns
            for ns in name_services
            if ns.metadata.namespace == namespace and not ns.metadata.terminating
        ),
        key=lambda ns: ns.metadata.name,
    )
    if cr.spec.name_servers:
        return _written(cr, here, pods)
    if cr.spec.name_service_ref is not None:
        return _followed(cr.spec.name_service_ref.name, here, pods, cr)
    if len(here) > 1:
        known = ", ".join(ns.metadata.name for ns in here)
        return NameServerProblem(
            reason="AmbiguousNameService",
            message=f"namespace {namespace} has {len(here)} NameServices ({known}); say which one "
            "in spec.nameServiceRef.name",
        )
    if not here:
        return NameServerProblem(
            reason="NameServiceNotFound",
            message=f"namespace {namespace} has no NameService yet; create one, or give "
            "spec.nameServers",
        )
    return _followed(here[0].metadata.name, here, pods, cr)


def name_server_addresses(ns: NameService, pods: Iterable[Pod]) -> tuple[str, ...]:
    """Address of each name server that `ns` asks for, by ordinal.

    DNS names, which outlive a pod; with hostNetwork the addresses of the nodes, as far as known.
    """
    name, namespace = ns.metadata.name, ns.metadata.namespace
    if not ns.spec.host_network:
        service = names.name_server_headless(name)
        hosts = [
            names.pod_dns(f"{name}-{ordinal}", service, namespace)
            for ordinal in range(ns.spec.size)
        ]
    else:
        by_name = {pod.metadata.name: pod.status.host_ip for pod in _pods_of(ns, pods)}
        hosts = [by_name.get(f"{name}-{ordinal}", "") for ordinal in range(ns.spec.size)]
    return tuple(f"{_bracketed(host)}:{names.NAME_SERVER_PORT}" for host in hosts if host)


def own_address(ns: NameService, pod: Pod) -> str:
    """The address of one name server as brokers are told; empty while a node's is not known."""
    if ns.spec.host_network:
        host = pod.status.host_ip
    else:
        service = names.name_server_headless(ns.metadata.name)
        host = names.pod_dns(pod.metadata.name, service, ns.metadata.namespace)
    return f"{_bracketed(host)}:{names.NAME_SERVER_PORT}" if host else ""


def asked_at(address: str, pods: Iterable[Pod]) -> str:
    """Where to ask a server of this address: the IP of its pod, if it is a pod of ours."""
    host, _, port = address.rpartition(":")
    if not host.endswith(".svc"):
        return address
    ips = {pod.metadata.name: pod.status.pod_ip for pod in pods}
    ip = ips.get(host.partition(".")[0], "")
    return f"{_bracketed(ip)}:{port}" if ip else address


def _followed(
    name: str,
    here: Iterable[NameService],
    pods: Sequence[Pod],
    cr: Broker,
) -> NameServers | NameServerProblem:
    namespace = cr.metadata.namespace
    before = tuple(filter(None, cr.status.name_servers.split(";")))
    if cr.status.name_service != name:
        before = ()
    ns = next((ns for ns in here if ns.metadata.name == name), None)
    if ns is None:
        return NameServerProblem(
            reason="NameServiceNotFound",
            message=f"namespace {namespace} has no NameService {name}; create it, or change "
            "spec.nameServiceRef or spec.nameServers",
        )
    addresses = name_server_addresses(ns, pods)
    if len(addresses) < ns.spec.size and before:
        # Pods without an address yet are no name servers that left (kubernetes-semantics, 22).
        return NameServers(addresses=before, name_service=name)
    if not addresses:
        return NameServerProblem(
            reason="NameServiceNotReady",
            message=f"no pod of NameService {name} has an address yet; brokers follow when one has",
        )
    return NameServers(addresses=addresses, name_service=name)


def _written(
    cr: Broker, here: Sequence[NameService], pods: Sequence[Pod]
) -> NameServers | NameServerProblem:
    addresses = tuple(entry for entry in cr.spec.name_servers.split(";") if entry)
    owners = [ns for ns in here if all(_belongs(entry, ns, pods) for entry in addresses)]
    if len(owners) == 1:
        return _followed(owners[0].metadata.name, here, pods, cr)
    if not owners and cr.status.name_servers_from == cr.spec.name_servers:
        return _followed(cr.status.name_service, here, pods, cr)
    return NameServers(addresses=addresses)


def _belongs(address: str, ns: NameService, pods: Iterable[Pod]) -> bool:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]").lower()
    if port != str(names.NAME_SERVER_PORT):
        return False
    return _is_dns_name(host, ns) or any(
        host in {pod.status.pod_ip, pod.status.host_ip} for pod in _pods_of(ns, pods)
    )


def _is_dns_name(host: str, ns: NameService) -> bool:
    """Whether it is a name of a pod or Service, bare or with any part of the cluster's domain."""
    name, namespace = re.escape(ns.metadata.name), re.escape(ns.metadata.namespace)
    headless = re.escape(names.name_server_headless(ns.metadata.name))
    domain = rf"(\.{namespace}(\.svc(\.[a-z0-9.-]+)?)?)?"
    pod = re.fullmatch(rf"{name}-(\d+)(\.{headless}{domain})?", host, re.ASCII)
    if pod is not None and int(pod.group(1)) < ns.spec.size:
        return True
    return re.fullmatch(rf"({name}|{headless}){domain}", host, re.ASCII) is not None


def _pods_of(ns: NameService, pods: Iterable[Pod]) -> list[Pod]:
    wanted = names.selector(names.NAME_SERVER_COMPONENT, ns.metadata.name).items()
    return [
        pod
        for pod in pods
        if pod.metadata.namespace == ns.metadata.namespace and wanted <= pod.metadata.labels.items()
    ]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
