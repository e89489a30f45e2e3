"""Both kinds from resource to children, status and Events, against an API server in memory."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from controller.client.projection import typed
from controller.errors import (
    ApiError,
    ConflictError,
    NamespaceTerminatingError,
    UnreachableError,
)
from controller.events import Event
from controller.objects import HasMetadata, Key, Manifest, ObjectRef, Resource
from controller.reconcile import Result, Terminal
from controller.store import StoreWriter
from fakes.kube_client import FakeKubeClient
from fakes.rocketmq_caller import Script, ScriptedCaller
from reconcilers.api.broker import BROKER, Broker
from reconcilers.api.kube import (
    CONFIG_MAP,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SERVICE,
    STATEFUL_SET,
    PersistentVolumeClaim,
    Pod,
)
from reconcilers.api.name_service import NAME_SERVICE, NameService
from reconcilers.app import CHILDREN
from reconcilers.broker import BrokerReconciler
from reconcilers.cluster_kind import ClusterReconciler
from reconcilers.name_service import NameServiceReconciler
from reconcilers.observe import OWNER, Cached, Caches, owner_uids
from reconcilers.steps.decision import Done
from reconcilers.tools import Tools
from rocketmq.admin import Admin

SAMPLES = Path(__file__).resolve().parents[3] / "config" / "samples"
OWN = {resource.kind: resource for resource in (NAME_SERVICE, BROKER)}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Recorded:
    """Keeps the Events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)

    @property
    def reasons(self) -> list[str]:
        return [event.reason for event in self.events]


class World:
    """An API server, and reconcilers that look at it afresh for each reconcile."""

    def __init__(self, *manifests: Manifest) -> None:
        self.client = FakeKubeClient()
        self.recorded = Recorded()
        self.statuses_written: list[str] = []
        self.steps: list[Done] = []
        self.servers: dict[str, Script] = {}
        self.clock = NOW
        for manifest in manifests:
            self.put(manifest)

    def put(self, manifest: Manifest) -> None:
        resource = OWN.get(manifest["kind"], CONFIG_MAP)
        metadata = {"namespace": "default", "generation": 1} | manifest["metadata"]
        self.client.put(resource, manifest | {"metadata": metadata})

    def edit(self, kind: str, name: str, **spec: Any) -> None:
        manifest = self.client.objects[ObjectRef(OWN[kind], "default", name)]
        manifest["spec"] |= spec
        manifest["metadata"]["generation"] += 1

    async def reconcile(self, kind: str, name: str) -> Result:
        return await self.reconciler(kind, self.tools()).reconcile(Key("default", name))

    def tools(self) -> Tools:
        """With the caches as they are now, for they do not follow."""
        return Tools(
            client=self.client,
            admin=Admin(ScriptedCaller(self.servers)),
            caches=self._caches(),
            events=self.recorded,
            record=lambda _line: None,
            wrote_status=self.statuses_written.append,
            stepped=self.steps.append,
            now=lambda: self.clock,
        )

    def reconciler(self, kind: str, tools: Tools) -> ClusterReconciler[Any, Any, Any]:
        return BrokerReconciler(tools) if kind == "Broker" else NameServiceReconciler(tools)

    async def reconcile_all(self) -> None:
        for ref in [*self.client.objects]:
            if ref.resource in OWN.values():
                await self.reconcile(ref.resource.kind, ref.name)

    def status(self, kind: str, name: str) -> Manifest:
        status: Manifest = self.client.objects[ObjectRef(OWN[kind], "default", name)]["status"]
        return status

    def condition(self, kind: str, name: str, type_: str) -> Manifest:
        conditions = self.status(kind, name)["conditions"]
        return next(found for found in conditions if found["type"] == type_)

    def children(self) -> list[str]:
        return sorted(
            f"{ref.resource.kind} {ref.name}"
            for ref in self.client.objects
            if ref.resource in CHILDREN
        )

    def _caches(self) -> Caches:
        return Caches(
            name_services=self._cached(NAME_SERVICE, typed(NameService)),
            brokers=self._cached(BROKER, typed(Broker)),
            pods=self._cached(POD, typed(Pod)),
            claims=self._cached(PERSISTENT_VOLUME_CLAIM, typed(PersistentVolumeClaim)),
            children={
                resource: _filled(
                    snapshot
                    for ref, snapshot in self.client.snapshots().items()
                    if ref.resource == resource
                )
                for resource in CHILDREN
            },
        )

    def _cached(self, resource: Resource, decode: Callable[[bytes], Any]) -> Cached[Any]:
        return _filled(
            decode(msgspec.json.encode(manifest))
            for ref, manifest in self.client.objects.items()
            if ref.resource == resource
        )


def _filled(objects: Iterable[HasMetadata]) -> Cached[Any]:
    writer: StoreWriter[Any] = StoreWriter({OWNER: owner_uids})
    writer.replace(objects)
    return Cached({"": writer.store})


def sample(name: str) -> list[Manifest]:
    return [doc for doc in yaml.safe_load_all((SAMPLES / name).read_text()) if doc]


def name_service(name: str = "name-service", **spec: Any) -> Manifest:
    common = {"size": 1, "nameServiceImage": "i", "storageMode": "EmptyDir"}
    return {
        "apiVersion": NAME_SERVICE.api_version,
        "kind": "NameService",
        "metadata": {"name": name},
        "spec": common | spec,
    }


def broker(name: str = "broker", **spec: Any) -> Manifest:
    common = {"size": 2, "replicaPerGroup": 1, "brokerImage": "i", "storageMode": "EmptyDir"}
    return {
        "apiVersion": BROKER.api_version,
        "kind": "Broker",
        "metadata": {"name": name},
        "spec": common | spec,
    }


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*.yaml")))
async def test_a_second_reconcile_of_a_sample_writes_nothing(name: str) -> None:
    documents = sample(name)
    kinds = {document["kind"] for document in documents}
    world = World(*documents, *([] if "NameService" in kinds else [name_service()]))
    await world.reconcile_all()
    assert world.children()
    await world.reconcile_all()  # the rows of StatefulSets that exist now
    world.client.calls.clear()
    told = len(world.recorded.events)
    await world.reconcile_all()
    assert world.client.writes == []
    assert world.recorded.events[told:] == []


async def test_a_resource_that_is_being_deleted_gets_nothing() -> None:
    manifest = name_service()
    manifest["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world = World(manifest)
    assert await world.reconcile("NameService", "name-service") == Result()
    assert world.client.calls == []


async def test_a_resource_that_is_gone_is_no_error() -> None:
    assert await World().reconcile("Broker", "gone") == Result()


async def test_an_invalid_spec_is_told_once_and_nothing_is_made() -> None:
    world = World(name_service(), broker(clusterMode="CONTAINER"))
    for _ in range(3):
        with pytest.raises(Terminal, match="clusterMode CONTAINER"):
            await world.reconcile("Broker", "broker")
    assert world.children() == []
    assert world.condition("Broker", "broker", "Ready")["reason"] == "UnsupportedClusterMode"
    assert world.recorded.reasons == ["UnsupportedClusterMode"]


async def test_a_spec_that_became_invalid_harms_nothing_that_runs() -> None:
    world = World(name_service(), broker())
    await world.reconcile("Broker", "broker")
    before = world.children()
    world.edit("Broker", "broker", clusterMode="CONTAINER", size=1)
    with pytest.raises(Terminal):
        await world.reconcile("Broker", "broker")
    assert world.children() == before


async def test_too_little_memory_is_told_before_a_pod_dies_of_it() -> None:
    world = World(name_service(resources={"limits": {"memory": "32Mi"}}))
    with pytest.raises(Terminal, match="too little"):
        await world.reconcile("NameService", "name-service")
    assert world.condition("NameService", "name-service", "Ready")["reason"] == "InsufficientMemory"


async def test_an_object_stored_under_another_schema_is_told_which_field_is_wrong() -> None:
    world = World(broker(size="two"))
    with pytest.raises(Terminal, match=r"\$\.spec\.size"):
        await world.reconcile("Broker", "broker")
    ready = world.condition("Broker", "broker", "Ready")
    assert (ready["reason"], ready["status"]) == ("InvalidSpec", "False")
    assert "$.spec.size" in ready["message"]
    world.clock = NOW + timedelta(hours=1)
    world.client.calls.clear()
    with pytest.raises(Terminal):
        await world.reconcile("Broker", "broker")
    assert world.client.writes == []


async def test_two_name_services_without_a_reference_are_ambiguous_and_make_nothing() -> None:
    world = World(name_service("one"), name_service("two"), broker())
    for _ in range(2):
        assert (await world.reconcile("Broker", "broker")).requeue_after_s is None
    assert world.children() == []
    assert world.condition("Broker", "broker", "Ready")["reason"] == "AmbiguousNameService"
    assert world.recorded.reasons == ["AmbiguousNameService"]


async def test_a_cache_that_has_not_seen_our_last_write_is_waited_for() -> None:
    world = World(name_service("one"), name_service("two"), broker())
    reconciler = world.reconciler("Broker", world.tools())
    assert (await reconciler.reconcile(Key("default", "broker"))).requeue_after_s is None
    told, written = list(world.recorded.reasons), list(world.statuses_written)
    assert (await reconciler.reconcile(Key("default", "broker"))).requeue_after_s == 1.0
    assert (world.recorded.reasons, world.statuses_written) == (told, written)


async def test_a_broker_whose_name_service_is_gone_keeps_what_it_has() -> None:
    world = World(name_service(), broker())
    await world.reconcile("Broker", "broker")
    before = world.children()
    world.client.remove(ObjectRef(NAME_SERVICE, "default", "name-service"))
    world.edit("Broker", "broker", size=5)
    await world.reconcile("Broker", "broker")
    assert world.children() == before
    assert world.condition("Broker", "broker", "Ready")["reason"] == "NameServiceNotFound"


async def test_lowering_the_size_removes_no_broker_that_says_nothing() -> None:
    world = World(name_service(), broker())
    await world.reconcile("Broker", "broker")
    before = world.children()
    world.edit("Broker", "broker", size=1, replicaPerGroup=0)
    await world.reconcile("Broker", "broker")
    assert world.children() == before
    await world.reconcile("Broker", "broker")  # what is waited for
    world.client.calls.clear()
    await world.reconcile("Broker", "broker")
    assert world.client.writes == []


async def test_what_was_written_is_told_before_what_it_led_to() -> None:
    world = World(name_service())
    await world.reconcile("NameService", "name-service")
    assert world.statuses_written == ["NameService"]
    assert world.recorded.reasons[0] == "Created"
    assert "StatefulSet default/name-service" in world.recorded.events[0].note


async def test_a_foreign_object_of_a_childs_name_is_left_alone_and_looked_at_again() -> None:
    world = World(name_service())
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "default", "name": "name-service"},
        "spec": {"ports": [{"port": 80}]},
    }
    ref = world.client.put(SERVICE, foreign)
    before = msgspec.json.encode(world.client.objects[ref])
    result = await world.reconcile("NameService", "name-service")
    assert result.requeue_after_s == 60.0
    assert msgspec.json.encode(world.client.objects[ref]) == before
    ready = world.condition("NameService", "name-service", "Ready")
    assert ready["reason"] == "WriteRefused"
    assert "Service default/name-service exists and belongs to nobody" in ready["message"]


async def test_a_child_that_is_going_away_is_looked_at_again_soon() -> None:
    world = World(name_service())
    await world.reconcile("NameService", "name-service")
    ref = ObjectRef(STATEFUL_SET, "default", "name-service")
    world.client.objects[ref]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    result = await world.reconcile("NameService", "name-service")
    assert result.requeue_after_s == 2.0


async def test_a_failing_server_is_told_on_the_status_and_tried_again() -> None:
    world = World(name_service())

    def refuse(verb: str, ref: ObjectRef, _manifest: Manifest) -> ApiError | None:
        failing = verb == "apply" and ref.resource == STATEFUL_SET
        return ApiError("the webhook timed out", status=500) if failing else None

    world.client.refuse = refuse
    with pytest.raises(ApiError, match="webhook"):
        await world.reconcile("NameService", "name-service")
    degraded = world.condition("NameService", "name-service", "Degraded")
    assert (
        "StatefulSet default/name-service was refused: the webhook timed out" in degraded["message"]
    )


async def test_a_namespace_that_is_being_deleted_ends_the_work_in_silence() -> None:
    world = World(name_service())
    world.client.refuse = lambda verb, _ref, _manifest: (
        NamespaceTerminatingError("it is going", status=403) if verb == "apply" else None
    )
    assert await world.reconcile("NameService", "name-service") == Result()
    assert world.recorded.events == []
    assert world.statuses_written == []


async def test_a_conflict_is_no_news() -> None:
    world = World(name_service())
    world.client.refuse = lambda verb, _ref, _manifest: (
        ConflictError("try again", status=409) if verb == "apply" else None
    )
    with pytest.raises(ConflictError):
        await world.reconcile("NameService", "name-service")
    assert "status" not in world.client.objects[ObjectRef(NAME_SERVICE, "default", "name-service")]


async def test_identity_keys_in_the_users_config_map_are_named() -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "mine"},
        "data": {"brokers": "brokerId=7\nfileReservedTime=48\n"},
    }
    items = [{"key": "brokers", "path": "broker-common.conf"}]
    volume = {"name": "config", "configMap": {"name": "mine", "items": items}}
    world = World(name_service(), config, broker(volumes=[volume]))
    await world.reconcile("Broker", "broker")
    accepted = world.condition("Broker", "broker", "ConfigurationAccepted")
    assert accepted["reason"] == "IdentityKeysIgnored"
    assert "brokerId" in accepted["message"]
    assert "fileReservedTime" not in accepted["message"]


async def test_an_operator_that_dies_at_any_call_leaves_what_its_successor_completes() -> None:
    undisturbed = World(name_service(), broker())
    await undisturbed.reconcile("Broker", "broker")
    calls = len(undisturbed.client.calls)
    assert calls > 10
    for dies_at in range(calls):
        world = World(name_service(), broker())
        left = iter(range(calls))

        def refuse(
            _verb: str, _ref: ObjectRef, _manifest: Manifest, at: int = dies_at, calls: Any = left
        ) -> ApiError | None:
            return UnreachableError("killed") if next(calls, -1) == at else None

        world.client.refuse = refuse
        with pytest.raises(UnreachableError):
            await world.reconcile("Broker", "broker")
        world.client.refuse = lambda _verb, _ref, _manifest: None
        await world.reconcile("Broker", "broker")
        assert world.children() == undisturbed.children()
