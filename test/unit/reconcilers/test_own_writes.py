from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from controller.apply import Line
from controller.client.projection import typed
from controller.events import Event
from controller.objects import Key, Manifest, ObjectMeta, ObjectRef, Resource
from controller.reconcile import Result
from controller.store import StoreWriter
from controller.written import ASK_AFTER_S
from fakes.kube_client import FakeKubeClient
from fakes.rocketmq_caller import ScriptedCaller
from reconcilers.api.kube import (
    CONFIG_MAP,
    POD_DISRUPTION_BUDGET,
    SERVICE,
    STATEFUL_SET,
)
from reconcilers.api.name_service import NAME_SERVICE, NameService
from reconcilers.cluster_kind import CACHE_BEHIND_S
from reconcilers.desired.names import MANAGED_BY, MANAGER, is_ours
from reconcilers.name_service import NameServiceReconciler
from reconcilers.observe import OWNER, Cached, Caches, owner_uids
from reconcilers.own_writes import OwnWrites
from reconcilers.tools import Tools
from rocketmq.admin import Admin

KEY = Key("shop", "names")
REF = ObjectRef(CONFIG_MAP, "shop", "config")
CHILDREN = (SERVICE, CONFIG_MAP, POD_DISRUPTION_BUDGET, STATEFUL_SET)


def config_map(**data: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": "shop", "name": "config", "labels": {MANAGED_BY: MANAGER}},
        "data": data,
    }


class Place:
    """An API server, a cache of it that is filled on demand, and what was written to it."""

    def __init__(self) -> None:
        self.server = FakeKubeClient()
        self.cache: dict[ObjectRef, ObjectMeta] = {}
        self.own_writes = OwnWrites(
            self.server, self.cache.get, lambda _ref, found: is_ours(found.labels)
        )

    async def write(self, **data: str) -> ObjectMeta:
        metadata = (await self.server.apply(CONFIG_MAP, config_map(**data))).metadata
        self.own_writes.note_write(KEY, REF, metadata.resource_version)
        return metadata

    def catch_up(self) -> None:
        self.cache.clear()
        self.cache |= {ref: found.metadata for ref, found in self.server.snapshots().items()}

    async def are_shown(self) -> bool:
        return await self.own_writes.are_shown(KEY)


async def test_nothing_that_was_written_is_nothing_to_wait_for() -> None:
    assert await Place().are_shown()


@pytest.mark.looptime
async def test_a_write_is_waited_for_however_long_the_cache_takes() -> None:
    place = Place()
    await place.write(a="1")
    place.catch_up()
    await place.write(a="2")
    for _ in range(10):
        assert not await place.are_shown()
        await asyncio.sleep(ASK_AFTER_S)
    place.catch_up()
    assert await place.are_shown()
    assert len([verb for verb, _ in place.server.calls if verb == "get"]) == 9


@pytest.mark.looptime
async def test_what_somebody_deleted_meanwhile_is_not_waited_for_for_ever() -> None:
    place = Place()
    await place.write(a="1")
    place.server.remove(REF)
    assert not await place.are_shown()
    await asyncio.sleep(ASK_AFTER_S)
    assert await place.are_shown()


@pytest.mark.looptime
async def test_what_somebody_took_our_label_off_is_not_waited_for_for_ever() -> None:
    place = Place()
    await place.write(a="1")
    place.server.objects[REF]["metadata"]["labels"] = {}
    assert not await place.are_shown()
    await asyncio.sleep(ASK_AFTER_S)
    assert await place.are_shown()


async def test_a_deletion_is_waited_for() -> None:
    place = Place()
    written = await place.write(a="1")
    place.catch_up()
    assert await place.are_shown()
    await place.server.delete(REF, uid=written.uid)
    place.own_writes.note_delete(KEY, REF, written.uid)
    assert not await place.are_shown()
    place.catch_up()
    assert await place.are_shown()


async def test_one_resource_does_not_wait_for_another_ones_writes() -> None:
    place = Place()
    await place.write(a="1")
    assert await place.own_writes.are_shown(Key("shop", "other"))
    place.own_writes.forget(KEY)
    assert await place.are_shown()


class Quiet:
    """Drops Events."""

    def record(self, event: Event) -> None:
        pass


class Cluster:
    """One NameService, and caches that follow the API server on demand."""

    def __init__(self) -> None:
        self.server = FakeKubeClient()
        self.server.put(
            NAME_SERVICE,
            {
                "apiVersion": NAME_SERVICE.api_version,
                "kind": "NameService",
                "metadata": {"namespace": KEY.namespace, "name": KEY.name, "generation": 1},
                "spec": {"size": 1, "nameServiceImage": "i", "storageMode": "EmptyDir"},
            },
        )
        self._own: StoreWriter[Any] = StoreWriter()
        self._children: dict[Resource, StoreWriter[Any]] = {
            resource: StoreWriter({OWNER: owner_uids}) for resource in CHILDREN
        }
        nothing: StoreWriter[Any] = StoreWriter({OWNER: owner_uids})
        self.lines: list[Line] = []
        self.reconciler = NameServiceReconciler(
            Tools(
                client=self.server,
                admin=Admin(ScriptedCaller({})),
                caches=Caches(
                    name_services=Cached({"": self._own.store}),
                    brokers=Cached({"": nothing.store}),
                    pods=Cached({"": nothing.store}),
                    claims=Cached({"": nothing.store}),
                    children={
                        resource: Cached({"": writer.store})
                        for resource, writer in self._children.items()
                    },
                ),
                events=Quiet(),
                record=self.lines.append,
                stepped=lambda *_: None,
                wrote_status=lambda _kind: None,
                now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            )
        )
        self.show(NAME_SERVICE)

    def show(self, *resources: Resource) -> None:
        """These kinds are cached as they are now."""
        for resource in resources:
            if resource == NAME_SERVICE:
                manifest = self.server.objects[
                    ObjectRef(NAME_SERVICE, *msgspec.structs.astuple(KEY))
                ]
                self._own.replace([typed(NameService)(msgspec.json.encode(manifest))])
            else:
                self._children[resource].replace(
                    one for ref, one in self.server.snapshots().items() if ref.resource == resource
                )

    async def reconcile(self) -> Result:
        return await self.reconciler.reconcile(KEY)


async def test_nothing_is_decided_before_the_caches_show_every_child_that_was_written() -> None:
    cluster = Cluster()
    await cluster.reconcile()
    made = [line.ref.resource for line in cluster.lines]
    assert set(made) == set(CHILDREN)
    for shown in ((), CHILDREN[:2], (NAME_SERVICE,)):
        cluster.show(*shown)
        cluster.server.calls.clear()
        assert await cluster.reconcile() == Result(CACHE_BEHIND_S)
        assert cluster.server.calls == []
    cluster.lines.clear()
    cluster.show(*CHILDREN)
    await cluster.reconcile()
    assert {line.action for line in cluster.lines} == {"unchanged"}


async def test_a_child_that_we_removed_is_not_removed_again_from_an_old_cache() -> None:
    cluster = Cluster()
    await cluster.reconcile()
    cluster.show(*CHILDREN, NAME_SERVICE)
    owner = cluster.server.objects[ObjectRef(CONFIG_MAP, "shop", "names-name-servers")]
    surplus = config_map()
    surplus["metadata"]["ownerReferences"] = owner["metadata"]["ownerReferences"]
    cluster.server.put(CONFIG_MAP, surplus)
    cluster.show(CONFIG_MAP)
    await cluster.reconcile()
    assert REF not in cluster.server.objects
    cluster.show(NAME_SERVICE)
    cluster.server.calls.clear()
    assert await cluster.reconcile() == Result(CACHE_BEHIND_S)
    assert cluster.server.calls == []
