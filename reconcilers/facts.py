"""What a reconcile has observed, as values: the input of every decision. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from controller.objects import HasMetadata
from reconcilers.api.kube import PersistentVolumeClaim, Pod, StatefulSet
from rocketmq.backlog import Backlog
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig


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


class Silence(msgspec.Struct, frozen=True):
    """A server that gave no usable answer: nothing is known of it."""

    reason: str


T = TypeVar("T")


def still_true(
    answers: Mapping[str, T | Silence], asked: Iterable[Pod], now: Iterable[Pod]
) -> dict[str, T | Silence]:
    """The answers of the pods that were asked, as far as these are the same ones.

    A pod of the same name that has come since has said nothing yet.
    """
    uids = {pod.metadata.name: pod.metadata.uid for pod in asked}
    return {
        pod.metadata.name: answers[pod.metadata.name]
        for pod in now
        if pod.metadata.name in answers and uids.get(pod.metadata.name) == pod.metadata.uid
    }


def set_names(sets: Iterable[StatefulSet], pods: Iterable[Pod]) -> tuple[str, ...]:
    """The names of the StatefulSets of one pod each, and of those that left their pod behind.

    One that is being made anew is not there for a while, and the spec may change meanwhile.
    """
    orphans = (pod.metadata.name for pod in pods if pod.metadata.controller is None)
    known = [one.metadata.name for one in sets]
    return tuple(dict.fromkeys([*known, *(name.removesuffix("-0") for name in orphans)]))


def _versions(objects: Iterable[HasMetadata]) -> dict[str, str]:
    return {one.metadata.uid: one.metadata.resource_version for one in objects}


class BrokerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker said of itself (dossier 2.2)."""

    version: str
    """`V5_3_3`; empty where the broker does not tell it (5.5)."""
    boot_time_ms: int
    """Another one is another process."""
    log_end: int
    """End of the commit log, in bytes since the first message ever."""
    replicas_connected: int | None = None
    """Replicas on a master's line; None where the version does not tell (before 5.0)."""
    settings: Mapping[str, str]
    """Its configuration as far as a decision reads it; secrets are left out."""


class Look(msgspec.Struct, frozen=True):
    """What a master held for somebody when it was looked at; the look began `at` this time."""

    at: datetime
    backlog: Backlog


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """The topics and groups of a broker that people made, by name."""

    topics: Mapping[str, TopicConfig] = {}
    groups: Mapping[str, SubscriptionGroup] = {}
    static: tuple[str, ...] = ()
    """Topics of 5.x whose queues go over from broker to broker: no broker has one for itself."""


class NameServerAnswer(msgspec.Struct, frozen=True):
    """Which brokers a name server knows: brokerName -> brokerId -> address."""

    brokers: Mapping[str, Mapping[int, str]]

    def lists(self, broker_name: str, broker_id: int) -> bool:
        """Whether this broker is registered there."""
        return broker_id in self.brokers.get(broker_name, {})


class Follower(msgspec.Struct, frozen=True, kw_only=True):
    """A Broker that uses a NameService, as its own status tells."""

    name: str
    brokers: tuple[tuple[str, int], ...]
    """brokerName and brokerId of each broker that runs."""
    acknowledged: tuple[str, ...]
    """For each broker that runs: its namesrvAddr, read back from it; empty: not known."""


class NameServiceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of one NameService.

    `answers` are those of its pods, by name; a pod that was not asked has none.
    """

    pods: tuple[Pod, ...] = ()
    stateful_set: StatefulSet | None = None
    answers: Mapping[str, NameServerAnswer | Silence] = {}
    followers: tuple[Follower, ...] = ()
    claims: Mapping[str, PersistentVolumeClaim] = {}
    """The claims that there are, by pod."""
    grow_at_start: frozenset[str] = frozenset()
    """The pods whose volume does not grow before their next start."""

    @property
    def versions(self) -> dict[str, str]:
        """The resource version of the StatefulSet and of every pod, by uid."""
        found = () if self.stateful_set is None else (self.stateful_set,)
        return _versions((*found, *self.pods))


class BrokerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of one Broker.

    `sets` are the StatefulSets that it controls. `common_config` is the text of
    broker-common.conf when the first volume is a ConfigMap that has it, else None. `answers` are
    those of its pods, by name, `registrations` those of its name servers, by address;
    `name_service_waits` says why the NameService that is followed has to settle first.
    """

    name_servers: NameServers | NameServerProblem
    pods: tuple[Pod, ...] = ()
    sets: tuple[StatefulSet, ...] = ()
    common_config: str | None = None
    answers: Mapping[str, BrokerAnswer | Silence] = {}
    registrations: Mapping[str, NameServerAnswer | Silence] = {}
    name_service_waits: str = ""
    claims: Mapping[str, PersistentVolumeClaim] = {}
    """The claims that there are, by pod."""
    grow_at_start: frozenset[str] = frozenset()
    """The pods whose volume does not grow before their next start."""
    replaced: tuple[str, ...] = ()
    """The groups whose master's volume is newer than a replica's: one was lost."""
    looks: Mapping[str, Look | Silence] = {}
    """Of the masters of groups that leave, by pod: what they still hold."""
    metadata: Mapping[str, Metadata | Silence] = {}
    """Of the masters that are closed and of the one that they copy, by pod; else nobody's."""

    @property
    def stateful_sets(self) -> tuple[str, ...]:
        """See `set_names`."""
        return set_names(self.sets, self.pods)

    @property
    def versions(self) -> dict[str, str]:
        """The resource version of every StatefulSet and pod, by uid."""
        return _versions((*self.sets, *self.pods))
