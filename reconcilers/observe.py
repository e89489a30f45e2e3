"""Reads what is needed to decide on one resource, from caches and (once) the API server.

It decides nothing. Pods are found by ownership (pod -> StatefulSet -> resource), never by labels
alone: a label can be put on anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from reconcilers.api.broker import Broker
from reconcilers.api.kube import CONFIG_MAP, STATEFUL_SET, Pod
from reconcilers.api.name_service import NameService
from reconcilers.desired import names
from reconcilers.desired.name_servers import name_servers
from reconcilers.facts import BrokerFacts, NameServiceFacts

T = TypeVar("T", bound=HasMetadata)

OWNER = "owner"
"""Index of every child store: the uid of the controlling owner."""


def owner_uids(obj: HasMetadata) -> Iterable[str]:
    """Indexer for `OWNER`."""
    owner = obj.metadata.controller
    return () if owner is None else (owner.uid,)


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

    def owned_by(self, uid: str, namespace: str) -> list[T]:
        """The objects of the namespace whose controlling owner has this uid, by name."""
        store = self._store(namespace)
        return [] if store is None else store.by_index(OWNER, uid)


class Caches(msgspec.Struct, frozen=True, kw_only=True):
    """The reading handles of everything that is watched."""

    name_services: Cached[NameService | Undecodable]
    brokers: Cached[Broker | Undecodable]
    pods: Cached[Pod | Undecodable]
    children: dict[Resource, Cached[Snapshot]]


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


def owned_pods(caches: Caches, owner: HasMetadata) -> tuple[Pod, ...]:
    """The pods of the StatefulSets that the owner controls, by name."""
    return tuple(
        pod
        for found in _owned_sets(caches, owner)
        for pod in caches.pods.owned_by(found.metadata.uid, owner.metadata.namespace)
        if isinstance(pod, Pod)
    )


def _owned_sets(caches: Caches, owner: HasMetadata) -> list[Snapshot]:
    metadata = owner.metadata
    return caches.children[STATEFUL_SET].owned_by(metadata.uid, metadata.namespace)


def observe_name_service(caches: Caches, cr: NameService) -> NameServiceFacts:
    """The facts about one NameService."""
    return NameServiceFacts(pods=owned_pods(caches, cr))


async def observe_broker(caches: Caches, api: Getter, cr: Broker) -> BrokerFacts:
    """The facts about one Broker."""
    services = [
        service
        for service in caches.name_services.in_namespace(cr.metadata.namespace)
        if isinstance(service, NameService) and service.metadata.deletion_timestamp is None
    ]
    pods = [pod for service in services for pod in owned_pods(caches, service)]
    return BrokerFacts(
        name_servers=name_servers(cr, services, pods),
        pods=owned_pods(caches, cr),
        stateful_sets=tuple(found.metadata.name for found in _owned_sets(caches, cr)),
        common_config=await _common_config(api, cr),
    )


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
