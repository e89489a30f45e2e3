"""Which name servers know the two clusters of a transfer. Pure.

As for a Broker: as written, or those of a NameService, or of the only one of the namespace; but all
of them have to be known, for a name server that is not told of a change sends clients astray.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from reconcilers.api.kube import Pod
from reconcilers.api.meta import LocalObjectReference
from reconcilers.api.name_service import NameService
from reconcilers.api.topic_transfer import TopicTransfer
from reconcilers.desired.name_servers import name_server_addresses
from reconcilers.facts import NameServerProblem


class TransferServers(msgspec.Struct, frozen=True):
    """The addresses of both sides' name servers."""

    source: tuple[str, ...]
    target: tuple[str, ...]

    @property
    def shared(self) -> bool:
        """Whether they are the same."""
        return set(self.source) == set(self.target)


def transfer_servers(
    cr: TopicTransfer, name_services: Sequence[NameService], pods: Sequence[Pod]
) -> TransferServers | NameServerProblem:
    """The name servers, or why they are not known."""
    here = sorted(
        (one for one in name_services if not one.metadata.terminating),
        key=lambda one: one.metadata.name,
    )
    spec, namespace = cr.spec, cr.metadata.namespace
    source = _resolved(spec.name_servers, spec.name_service_ref, here, pods, namespace)
    if isinstance(source, NameServerProblem):
        return source
    if not spec.target_name_servers and spec.target_name_service_ref is None:
        return TransferServers(source, source)
    reference = spec.target_name_service_ref
    target = _resolved(spec.target_name_servers, reference, here, pods, namespace)
    return target if isinstance(target, NameServerProblem) else TransferServers(source, target)


def _resolved(
    written: str,
    reference: LocalObjectReference | None,
    here: Sequence[NameService],
    pods: Sequence[Pod],
    namespace: str,
) -> tuple[str, ...] | NameServerProblem:
    if written:
        return tuple(entry for entry in written.split(";") if entry)
    if reference is not None:
        here = [one for one in here if one.metadata.name == reference.name]
    if not here:
        wanted = f"NameService {reference.name}" if reference else "NameService"
        return NameServerProblem(
            reason="NameServiceNotFound",
            message=f"namespace {namespace} has no {wanted}; create it, or create a TopicTransfer "
            "with spec.nameServers",
        )
    if len(here) > 1:
        known = ", ".join(one.metadata.name for one in here)
        return NameServerProblem(
            reason="AmbiguousNameService",
            message=f"namespace {namespace} has {len(here)} NameServices ({known}); create a "
            "TopicTransfer that says which one in spec.nameServiceRef.name",
        )
    addresses = name_server_addresses(here[0], pods)
    if len(addresses) < here[0].spec.size:
        return NameServerProblem(
            reason="NameServiceNotReady",
            message=f"not every pod of NameService {here[0].metadata.name} has an address yet",
        )
    return addresses
