"""Reads what is needed to decide on one resource: caches, the servers, once the API server.

It decides nothing. Pods are found by ownership (pod -> StatefulSet -> resource), never by labels
alone: a label can be put on anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Generic, Protocol, TypeVar

import msgspec

from controller.errors import NotFoundError
from controller.objects import (
    HasMetadata,
    Key,
    Manifest,
    ObjectRef,
    Resource,
    Snapshot,
    Undecodable,
)
from controller.store import Store
from reconcilers.api.broker import Broker, BrokerRow
from reconcilers.api.kube import (
    CONFIG_MAP,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_NAME,
    STATEFUL_SET,
    PersistentVolumeClaim,
    Pod,
    StatefulSet,
)
from reconcilers.api.name_service import NameService
from reconcilers.api.topic_transfer import TopicTransfer
from reconcilers.ask import ask_brokers, ask_name_servers
from reconcilers.desired import names
from reconcilers.desired.name_servers import asked_at, name_servers
from reconcilers.desired.storage import broker_claims, name_server_claims, replaced_masters
from reconcilers.facts import (
    BrokerFacts,
    Follower,
    NameServerAnswer,
    NameServerProblem,
    NameServers,
    NameServiceFacts,
    Silence,
    set_names,
)
from reconcilers.metadata import ask_metadata
from reconcilers.steps.members import broker_address, name_server_address
from reconcilers.steps.name_service import unsettled, wanted_pods
from reconcilers.steps.scale_out import metadata_pods
from reconcilers.steps.storage import grow_at_start
from rocketmq.admin import Admin

T = TypeVar("T", bound=HasMetadata)

OWNER = "owner"
"""Index of every child store: the uid of the controlling owner; empty for an orphan."""


def owner_uids(obj: HasMetadata) -> Iterable[str]:
    """Indexer for `OWNER`."""
    owner = obj.metadata.controller
    return ("",) if owner is None else (owner.uid,)


class Cached(Generic[T]):
    """One kind in all watched namespaces: a store for each namespace, or one for all of them."""

    def __init__(self, stores: Mapping[str, Store[T]]) -> None:
        self._stores = stores

    def _store(self, namespace: str) -> Store[T] | None:
        return self._stores.get("") or self._stores.get(namespace)

    def get(self, key: Key) -> T | None:
        """The cached object, or None."""
        store = self._store(key.namespace)
        return None if store is None else store.get(key)

    def in_namespace(self, namespace: str) -> list[T]:
        """All objects of the namespace, by name."""
        store = self._store(namespace)
        return [] if store is None else store.list(namespace)

    def all(self) -> list[T]:
        """All objects of every watched namespace."""
        return [found for store in self._stores.values() for found in store.list()]

    def owned_by(self, uid: str, namespace: str) -> list[T]:
        """The objects of the namespace whose controlling owner has this uid, by name."""
        store = self._store(namespace)
        return [] if store is None else store.by_index(OWNER, uid)


class Caches(msgspec.Struct, frozen=True, kw_only=True):
    """The reading handles of everything that is watched."""

    name_services: Cached[NameService | Undecodable]
    brokers: Cached[Broker | Undecodable]
    pods: Cached[Pod | Undecodable]
    claims: Cached[PersistentVolumeClaim | Undecodable]
    children: dict[Resource, Cached[Snapshot]]
    topic_transfers: Cached[TopicTransfer | Undecodable] = Cached({})


class Getter(Protocol):
    """Reads one object past the cache."""

    async def get(self, ref: ObjectRef) -> Snapshot:
        """The object; raises `NotFoundError`."""
        ...


def owned_children(caches: Caches, owner: HasMetadata) -> dict[ObjectRef, Snapshot]:
    """The children that the owner controls, by identity."""
    metadata = owner.metadata
    return {
        ObjectRef(resource, metadata.namespace, child.metadata.name): child
        for resource, cached in caches.children.items()
        for child in cached.owned_by(metadata.uid, metadata.namespace)
    }


class Lister(Protocol):
    """Reads many objects past the cache."""

    async def list(
        self, resource: Resource, namespace: str, *, label_selector: str
    ) -> list[Snapshot]:
        """All objects that the labels select, as they are now."""
        ...


def owned_pods(caches: Caches, owner: HasMetadata, component: str) -> tuple[Pod, ...]:
    """The pods of the StatefulSets that the owner controls, by name.

    And those that a StatefulSet left behind, which is being made anew: they serve on, and the new
    one adopts them.
    """
    namespace = owner.metadata.namespace
    ours = names.selector(component, owner.metadata.name).items()
    owned = [
        pod
        for found in _owned_sets(caches, owner)
        for pod in caches.pods.owned_by(found.metadata.uid, namespace)
    ]
    orphans = [
        pod
        for pod in caches.pods.owned_by("", namespace)
        if ours <= pod.metadata.labels.items()
        and pod.metadata.labels.get(POD_NAME) == pod.metadata.name
    ]
    found = [pod for pod in (*owned, *orphans) if isinstance(pod, Pod)]
    return tuple(sorted(found, key=lambda pod: pod.metadata.name))


def _owned_sets(caches: Caches, owner: HasMetadata) -> tuple[StatefulSet, ...]:
    metadata = owner.metadata
    found = caches.children[STATEFUL_SET].owned_by(metadata.uid, metadata.namespace)
    return tuple(msgspec.json.decode(one.body, type=StatefulSet) for one in found)


async def read_workload(
    api: Lister, owner: HasMetadata, component: str
) -> tuple[tuple[StatefulSet, ...], tuple[Pod, ...]]:
    """The owner's StatefulSets and their pods as the API server has them now."""
    metadata = owner.metadata
    labels = names.selector(component, metadata.name).items()
    selector = ",".join(f"{key}={value}" for key, value in labels)
    listed = await api.list(STATEFUL_SET, metadata.namespace, label_selector=selector)
    sets = [msgspec.json.decode(one.body, type=StatefulSet) for one in listed]
    ours = tuple(one for one in sets if _controller_uid(one) == metadata.uid)
    uids = {one.metadata.uid for one in ours}
    listed = await api.list(POD, metadata.namespace, label_selector=selector)
    pods = [msgspec.json.decode(one.body, type=Pod) for one in listed]
    return ours, tuple(pod for pod in pods if _controller_uid(pod) in uids)


def _controller_uid(obj: HasMetadata) -> str:
    owner = obj.metadata.controller
    return "" if owner is None else owner.uid


async def observe_name_service(
    caches: Caches, api: Getter, admin: Admin, cr: NameService, now: datetime
) -> NameServiceFacts:
    """The facts about one NameService."""
    pods = owned_pods(caches, cr, names.NAME_SERVER_COMPONENT)
    there = {pod.metadata.name for pod in pods}
    servers = sorted({*wanted_pods(cr), *there})
    claims = await _claims(caches, api, cr, name_server_claims(cr.spec, servers), there)
    addresses = {
        pod.metadata.name: name_server_address(pod)
        for pod in pods
        if pod.status.pod_ip and not pod.terminating
    }
    return NameServiceFacts(
        pods=pods,
        stateful_set=next(iter(_owned_sets(caches, cr)), None),
        answers=await ask_name_servers(admin, addresses),
        followers=_followers(caches, cr),
        claims=claims,
        grow_at_start=grow_at_start(claims, pods, now),
    )


def _followers(caches: Caches, cr: NameService) -> tuple[Follower, ...]:
    return tuple(
        Follower(
            name=broker.metadata.name,
            brokers=tuple((row.group, row.broker_id) for row in _running(broker)),
            acknowledged=tuple(row.name_servers for row in _running(broker)),
        )
        for broker in caches.brokers.in_namespace(cr.metadata.namespace)
        if isinstance(broker, Broker) and broker.status.name_service == cr.metadata.name
    )


def _running(broker: Broker) -> list[BrokerRow]:
    return [row for row in broker.status.brokers if row.name in broker.status.nodes]


async def _claims(
    caches: Caches, api: Getter, cr: HasMetadata, wanted: Mapping[str, str], pods: Collection[str]
) -> dict[str, PersistentVolumeClaim]:
    """The claims that there are, by pod; `wanted` are their names, `pods` those that exist."""
    found: dict[str, PersistentVolumeClaim] = {}
    for pod, name in wanted.items():
        key = Key(cr.metadata.namespace, name)
        claim = caches.claims.get(key)
        if claim is None and pod in pods:
            # Another operator's claim, which bears no label of ours (yet): not watched.
            claim = await _live_claim(api, key)
        if isinstance(claim, PersistentVolumeClaim):
            found[pod] = claim
    return found


async def _live_claim(api: Getter, key: Key) -> PersistentVolumeClaim | None:
    try:
        found = await api.get(ObjectRef(PERSISTENT_VOLUME_CLAIM, key.namespace, key.name))
    except NotFoundError:
        return None
    return msgspec.json.decode(found.body, type=PersistentVolumeClaim)


async def observe_broker(
    caches: Caches, api: Getter, admin: Admin, cr: Broker, now: datetime
) -> BrokerFacts:
    """The facts about one Broker."""
    services = [
        service
        for service in caches.name_services.in_namespace(cr.metadata.namespace)
        if isinstance(service, NameService) and not service.metadata.terminating
    ]
    name_server_pods = [
        pod
        for service in services
        for pod in owned_pods(caches, service, names.NAME_SERVER_COMPONENT)
    ]
    found = name_servers(cr, services, name_server_pods)
    pods = owned_pods(caches, cr, names.BROKER_COMPONENT)
    asked = found.addresses if isinstance(found, NameServers) else ()
    sets = _owned_sets(caches, cr)
    common_config = await _common_config(api, cr)
    members = [*names.members(cr), *names.surplus_members(cr, set_names(sets, pods))]
    wanted = broker_claims(cr.spec, (member.pod for member in members))
    claims = await _claims(caches, api, cr, wanted, {pod.metadata.name for pod in pods})
    async with asyncio.TaskGroup() as group:
        answers = group.create_task(ask_brokers(admin, pods))
        registrations = group.create_task(
            ask_name_servers(admin, {one: asked_at(one, name_server_pods) for one in asked})
        )
    facts = BrokerFacts(
        name_servers=found,
        pods=pods,
        sets=sets,
        common_config=common_config,
        answers=answers.result(),
        registrations=registrations.result(),
        name_service_waits=_name_service_waits(caches, services, found, registrations.result()),
        claims=claims,
        grow_at_start=grow_at_start(claims, pods, now),
        replaced=replaced_masters(members, claims),
    )
    return await _with_metadata(admin, cr, facts)


async def _with_metadata(admin: Admin, cr: Broker, facts: BrokerFacts) -> BrokerFacts:
    """The facts with what closed masters and their sources have: nobody is asked for nothing."""
    needed = metadata_pods(cr, facts)
    if not needed:
        return facts
    by_name = {pod.metadata.name: pod for pod in facts.pods}
    metadata = await ask_metadata(admin, {name: broker_address(by_name[name]) for name in needed})
    return msgspec.structs.replace(facts, metadata=metadata)


def _name_service_waits(
    caches: Caches,
    services: Iterable[NameService],
    found: NameServers | NameServerProblem,
    registrations: Mapping[str, NameServerAnswer | Silence],
) -> str:
    followed = found.name_service if isinstance(found, NameServers) else ""
    service = next((one for one in services if one.metadata.name == followed), None)
    if service is None:
        return ""
    pods = owned_pods(caches, service, names.NAME_SERVER_COMPONENT)
    by_ip = {asked_at(address, pods): answer for address, answer in registrations.items()}
    facts = NameServiceFacts(
        pods=pods,
        stateful_set=next(iter(_owned_sets(caches, service)), None),
        answers={
            pod.metadata.name: by_ip[name_server_address(pod)]
            for pod in pods
            if name_server_address(pod) in by_ip
        },
    )
    return unsettled(service, facts)


async def _common_config(api: Getter, cr: Broker) -> str | None:
    # Read past the cache: watching every ConfigMap of a cluster for the sake of one would cost
    # memory without bound (kubernetes-semantics, scenario 20).
    source: Manifest = cr.spec.volumes[0].get("configMap", {}) if cr.spec.volumes else {}
    if not source.get("name"):
        return None
    try:
        found = await api.get(ObjectRef(CONFIG_MAP, cr.metadata.namespace, source["name"]))
    except NotFoundError:
        return None
    text = found.manifest().get("data", {}).get(_config_key(source))
    return text if isinstance(text, str) else None


def _config_key(source: Manifest) -> str:
    for item in source.get("items") or ():
        if item.get("path") == names.COMMON_CONFIG_FILE:
            return str(item.get("key"))
    return names.COMMON_CONFIG_FILE
