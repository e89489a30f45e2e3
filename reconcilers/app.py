"""Wiring: settings -> client -> informers -> controllers -> manager. Nothing else makes clients."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog

from controller import logs
from controller.apply import reported
from controller.client.client import KubeClient
from controller.client.config import ClientConfig, ConfigError, load_config
from controller.client.projection import Encoded
from controller.client.transport import AiohttpTransport
from controller.events import EventRecorder, Reporter
from controller.health import HealthServer, HealthSettings
from controller.informer import Informer, snapshot, typed
from controller.manager import Component, Manager, in_order, measure_loop_lag
from controller.metrics import Metrics
from controller.objects import HasMetadata, Key, Resource, Snapshot, Undecodable
from controller.reconcile import Reconciler
from controller.runner import Controller, ControllerSettings
from controller.triggers import controlling_owner, itself, mapped
from controller.workqueue import WorkQueue
from reconcilers.api.broker import BROKER, Broker
from reconcilers.api.kube import (
    CONFIG_MAP,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    SERVICE,
    STATEFUL_SET,
    PersistentVolumeClaim,
    Pod,
)
from reconcilers.api.meta import GROUP
from reconcilers.api.name_service import NAME_SERVICE, NameService
from reconcilers.api.topic_transfer import TOPIC_TRANSFER, TopicTransfer
from reconcilers.broker import BrokerReconciler
from reconcilers.cluster_metrics import ClusterMetrics
from reconcilers.desired import names
from reconcilers.election import Election, election
from reconcilers.guarded_caller import GuardedCaller
from reconcilers.name_service import NameServiceReconciler
from reconcilers.observe import OWNER, Cached, Caches, owner_uids
from reconcilers.settings import Settings, settings
from reconcilers.signing_caller import SigningCaller
from reconcilers.tools import Tools
from reconcilers.topic_transfer import AdminFor, TopicTransferReconciler, edited, ended
from rocketmq.acl import Credentials
from rocketmq.admin import Admin
from rocketmq.calls import Caller
from rocketmq.pool import ClientSettings, Pool

FIELD_MANAGER = "rocketmq-operator"
EVENT_SOURCE = f"{GROUP}/operator"
CHILDREN = (SERVICE, CONFIG_MAP, POD_DISRUPTION_BUDGET, STATEFUL_SET)

T = TypeVar("T", bound=HasMetadata)

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """The informers of every kind, one for each watched namespace (key "": all of them)."""

    name_services: dict[str, Informer[NameService | Undecodable]]
    brokers: dict[str, Informer[Broker | Undecodable]]
    topic_transfers: dict[str, Informer[TopicTransfer | Undecodable]]
    pods: dict[str, Informer[Pod | Undecodable]]
    claims: dict[str, Informer[PersistentVolumeClaim | Undecodable]]
    children: dict[Resource, dict[str, Informer[Snapshot]]]

    def components(self, metrics: Metrics) -> Iterable[Component]:
        """All informers as components, each seen by the metrics."""
        yield from _components(self.name_services, metrics)
        yield from _components(self.brokers, metrics)
        yield from _components(self.topic_transfers, metrics)
        yield from _components(self.pods, metrics)
        yield from _components(self.claims, metrics)
        for informers in self.children.values():
            yield from _components(informers, metrics)

    def caches(self) -> Caches:
        """The reading handles."""
        return Caches(
            name_services=_cached(self.name_services),
            brokers=_cached(self.brokers),
            pods=_cached(self.pods),
            claims=_cached(self.claims),
            children={resource: _cached(found) for resource, found in self.children.items()},
            topic_transfers=_cached(self.topic_transfers),
        )


def main() -> int:
    """Run the operator with the process's arguments and environment; the exit code."""
    chosen = settings(sys.argv[1:], os.environ)
    logs.configure(form=chosen.log_format, level=chosen.log_level)
    try:
        return asyncio.run(run(chosen))
    except ConfigError as error:
        _log.error("no way to the API server", error=str(error))
        return 1


async def run(chosen: Settings) -> int:
    """Run the operator until it is told to stop; the exit code. ConfigError without a config."""
    config = await load_config(chosen.kubeconfig)
    metrics = Metrics()
    async with (
        election(chosen, metrics) as elected,
        AiohttpTransport(
            config, agent=f"({chosen.identity})", before_write=elected.require
        ) as transport,
        Pool(ClientSettings()) as pool,
    ):
        client = KubeClient(
            transport,
            field_manager=FIELD_MANAGER,
            metrics=metrics.request_observer(_host(config)),
            before_write=elected.require,
        )
        caller = GuardedCaller(pool, elected.require)
        return await _manager(chosen, client, caller, metrics, elected).run()


def _admin_for(caller: Caller) -> AdminFor:
    def admin(account: Credentials | None) -> Admin:
        return Admin(caller if account is None else SigningCaller(caller, account))

    return admin


def _manager(
    chosen: Settings, client: KubeClient, caller: Caller, metrics: Metrics, elected: Election
) -> Manager:
    watched = _watched(client, chosen.namespaces or ("",))
    events = EventRecorder(
        client, Reporter(EVENT_SOURCE, chosen.identity), clock=_now, randomness=random.random
    )
    caches = watched.caches()
    tools = Tools(
        client=client,
        admin=Admin(caller),
        caches=caches,
        events=events,
        record=reported(metrics),
        stepped=ClusterMetrics(metrics.registry, caches).stepped,
        wrote_status=partial(metrics.wrote, "apply_status"),
        now=_now,
    )
    health = HealthServer(
        HealthSettings(chosen.metrics_port, chosen.probe_port),
        metrics.registry,
        dead=lambda: manager.dead(),  # noqa: PLW0108 - the manager does not exist yet
        unready=lambda: manager.unready(),  # noqa: PLW0108 - see above
    )
    manager = Manager(
        in_order(
            servers=(
                Component("health server", health.run, wait_ready=health.wait_serving),
                Component("event recorder", events.run),
                Component("loop lag probe", lambda: measure_loop_lag(metrics.loop_lagged)),
            ),
            informers=tuple(watched.components(metrics)),
            lease=elected.components(events.record),
            controllers=tuple(
                Component(f"controller {controller.name}", controller.run, stop=controller.stop)
                for controller in (
                    *_controllers(chosen, tools, watched, metrics),
                    _transfers(chosen, tools, _admin_for(caller), watched, metrics),
                )
            ),
        )
    )
    return manager


def _watched(client: KubeClient, namespaces: tuple[str, ...]) -> Watched:
    def informers(
        resource: Resource,
        decoder: Callable[[Encoded], T],
        *,
        label_selector: str = "",
        owned: bool = False,
    ) -> dict[str, Informer[T]]:
        return {
            namespace: Informer(
                client,
                resource,
                decoder,
                namespace=namespace or None,
                label_selector=label_selector,
                indexers={OWNER: owner_uids} if owned else {},
            )
            for namespace in namespaces
        }

    ours = names.OURS_SELECTOR
    claims = typed(PersistentVolumeClaim)
    return Watched(
        name_services=informers(NAME_SERVICE, typed(NameService)),
        brokers=informers(BROKER, typed(Broker)),
        topic_transfers=informers(TOPIC_TRANSFER, typed(TopicTransfer)),
        pods=informers(POD, typed(Pod), label_selector=ours, owned=True),
        claims=informers(PERSISTENT_VOLUME_CLAIM, claims, label_selector=ours),
        children={
            resource: informers(resource, snapshot, label_selector=ours, owned=True)
            for resource in CHILDREN
        },
    )


def _controllers(
    chosen: Settings, tools: Tools, watched: Watched, metrics: Metrics
) -> tuple[Controller, Controller]:
    name_service = _controller("name_service", NameServiceReconciler(tools), chosen, metrics)
    broker = _controller("broker", BrokerReconciler(tools), chosen, metrics)
    brokers = tools.caches.brokers

    def brokers_beside(obj: HasMetadata) -> Iterable[Key]:
        return (found.metadata.key for found in brokers.in_namespace(obj.metadata.namespace))

    for own in watched.name_services.values():
        name_service.watch(own, itself)
        broker.watch(own, mapped(brokers_beside))
    for theirs in watched.brokers.values():
        broker.watch(theirs, itself)
        # What its brokers have acknowledged stands on a Broker's status.
        name_service.watch(theirs, mapped(_followed))
    for pods in watched.pods.values():
        name_service.watch(pods, mapped(_instances(names.NAME_SERVER_COMPONENT)))
        broker.watch(pods, mapped(_instances(names.BROKER_COMPONENT)))
        # The addresses of name servers on the host network are those of their pods.
        broker.watch(pods, mapped(_name_server_pods(brokers_beside)))
    for claims in watched.claims.values():
        name_service.watch(claims, mapped(_instances(names.NAME_SERVER_COMPONENT)))
        broker.watch(claims, mapped(_instances(names.BROKER_COMPONENT)))
    for informers in watched.children.values():
        for child in informers.values():
            name_service.watch(child, controlling_owner(GROUP, NAME_SERVICE.kind))
            broker.watch(child, controlling_owner(GROUP, BROKER.kind))
    return name_service, broker


def _transfers(
    chosen: Settings, tools: Tools, admin_for: AdminFor, watched: Watched, metrics: Metrics
) -> Controller:
    """What it waits for at the servers sends no events: it looks by itself."""
    reconciler = TopicTransferReconciler(tools, admin_for)
    transfers = _controller("topic_transfer", reconciler, chosen, metrics)
    for own in watched.topic_transfers.values():
        transfers.watch(own, edited)
        transfers.watch(own, ended(tools.caches.topic_transfers))
    return transfers


def _controller(
    name: str, reconciler: Reconciler, chosen: Settings, metrics: Metrics
) -> Controller:
    return Controller(
        name,
        reconciler,
        WorkQueue(metrics.queue(name, controller=name)),
        ControllerSettings(chosen.workers, chosen.reconcile_timeout_s),
        metrics=metrics.controller(name, workers=chosen.workers),
        new_id=lambda: str(uuid.uuid4()),
    )


def _instances(component: str) -> Callable[[HasMetadata], Iterable[Key]]:
    """The resource whose labels an object of this component carries: a hint, as every event."""

    def keys(obj: HasMetadata) -> Iterable[Key]:
        labels = obj.metadata.labels
        if labels.get(names.COMPONENT) == component:
            yield Key(obj.metadata.namespace, labels.get(names.INSTANCE, ""))

    return keys


def _followed(obj: HasMetadata) -> Iterable[Key]:
    """The NameService that a Broker follows."""
    if isinstance(obj, Broker) and obj.status.name_service:
        yield Key(obj.metadata.namespace, obj.status.name_service)


def _name_server_pods(
    keys_of: Callable[[HasMetadata], Iterable[Key]],
) -> Callable[[HasMetadata], Iterable[Key]]:
    def keys(pod: HasMetadata) -> Iterable[Key]:
        of_name_server = pod.metadata.labels.get(names.COMPONENT) == names.NAME_SERVER_COMPONENT
        return keys_of(pod) if of_name_server else ()

    return keys


def _components(informers: dict[str, Informer[T]], metrics: Metrics) -> Iterable[Component]:
    clock = asyncio.get_running_loop().time
    for namespace, informer in informers.items():
        name = f"{informer.resource.plural}{f' in {namespace}' if namespace else ''}"
        metrics.observe_informer(name, informer.statistics, clock)
        yield Component(f"informer of {name}", informer.run, wait_ready=informer.store.wait_synced)


def _cached(informers: dict[str, Informer[T]]) -> Cached[T]:
    return Cached({namespace: informer.store for namespace, informer in informers.items()})


def _host(config: ClientConfig) -> str:
    return urlsplit(config.server).netloc


def _now() -> datetime:
    return datetime.now(UTC)
