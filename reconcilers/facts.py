"""What a reconcile has observed, as values: the input of every decision. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from reconcilers.api.kube import Pod


class NameServers(msgspec.Struct, frozen=True, kw_only=True):
    """The name servers that a Broker uses."""

    addresses: tuple[str, ...]
    name_service: str = ""
    """The NameService that is followed; empty when the addresses are the user's own."""

    @property
    def text(self) -> str:
        """The value of RocketMQ's namesrvAddr."""
        return ";".join(self.addresses)


class NameServerProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why it is not known which name servers a Broker uses: what runs stays, nothing is made."""

    reason: Literal["AmbiguousNameService", "NameServiceNotFound", "NameServiceNotReady"]
    message: str


class NameServiceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of one NameService."""

    pods: tuple[Pod, ...] = ()


class BrokerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of one Broker.

    `stateful_sets` are the names of those that it controls. `common_config` is the text of
    broker-common.conf when the first volume is a ConfigMap that has it, else None.
    """

    name_servers: NameServers | NameServerProblem
    pods: tuple[Pod, ...] = ()
    stateful_sets: tuple[str, ...] = ()
    common_config: str | None = None
