"""Which of several operators acts: the Lease of this one, from its settings.

Standbys run everything but their controllers, so that they are warm when their turn comes.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec
import structlog

from controller.client.client import KubeClient
from controller.client.config import ConfigError, load_config, own_namespace
from controller.client.transport import AiohttpTransport
from controller.events import Event
from controller.leader_elector import LeaderElector, LeaseClient, Surroundings
from controller.leader_lease import LEASES, Candidate
from controller.leader_term import Leadership, unguarded
from controller.leader_watchdog import Watchdog, end_process
from controller.manager import Component
from controller.metrics import Metrics
from controller.objects import ObjectRef
from reconcilers.rbac import LEASE_NAME
from reconcilers.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Election(msgspec.Struct, frozen=True):
    """What the rest of the process needs of it."""

    require: Callable[[], None]
    """To be called right before each write, to the API server or to a broker (`Leadership`)."""
    components: Callable[[Callable[[Event], None]], tuple[Component, ...]]
    """What campaigns (nothing without an election), given where its Events go."""


def namespace_of_lease(chosen: Settings, own: str) -> str | None:
    """Where the Lease is, `own` being the pod's namespace ("" outside); None: no election.

    ConfigError if there should be one and its place is unknown.
    """
    if chosen.leader_elect is False:
        return None
    if chosen.leader_elect is None and chosen.kubeconfig:
        return chosen.lease_namespace or None
    namespace = chosen.lease_namespace or own
    if chosen.leader_elect and not namespace:
        raise ConfigError("--leader-elect outside of a pod needs --lease-namespace")
    return namespace or None


@asynccontextmanager
async def election(chosen: Settings, metrics: Metrics) -> AsyncIterator[Election]:
    """The election of this process; ConfigError as `namespace_of_lease` and `load_config`."""
    namespace = namespace_of_lease(chosen, own_namespace())
    if namespace is None:
        _log.info("no leader election: this must be the only operator of its namespaces")
        yield Election(unguarded, lambda _record: ())
        return
    # Everything apart from what the controllers use, credentials too: what they wait for must not
    # keep the Lease from being renewed.
    config = await load_config(chosen.kubeconfig)
    leadership = Leadership(chosen.durations.renew_s, end=end_process)
    metrics.observe_leader(LEASE_NAME, lambda: leadership.leading)
    lease = ObjectRef(LEASES, namespace, LEASE_NAME)
    candidate = Candidate(lease, f"{chosen.identity}_{uuid.uuid4()}", chosen.durations)
    async with AiohttpTransport(config, agent=f"({chosen.identity}) leader-election") as transport:
        client = KubeClient(
            transport,
            field_manager=f"{LEASE_NAME}-leader-election",
            metrics=metrics.request_observer(urlsplit(config.server).netloc),
        )
        with Watchdog(leadership, chosen.durations) as watchdog:

            def components(record: Callable[[Event], None]) -> tuple[Component, ...]:
                return (_component(client, candidate, leadership, watchdog, record),)

            yield Election(leadership.require, components)


def _component(
    client: LeaseClient,
    candidate: Candidate,
    leadership: Leadership,
    watchdog: Watchdog,
    record: Callable[[Event], None],
) -> Component:
    surroundings = Surroundings(lambda: datetime.now(UTC), random.random, record)
    elector = LeaderElector(client, candidate, leadership, surroundings)

    async def wait_leading() -> None:
        await elector.wait_leading()
        watchdog.look()

    return Component("leader elector", elector.run, stop=elector.stop, wait_ready=wait_leading)
