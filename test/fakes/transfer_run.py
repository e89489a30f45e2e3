"""A TopicTransfer in a topic world: the real reconciler, an API server in memory, one clock.

`run` reconciles as the queue would, and lets the world live in between. The operator may die at any
call, of the servers or of the API server; the next reconcile is its successor's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from controller.client.projection import typed
from controller.errors import ApiError, ConflictError, UnreachableError
from controller.events import Event
from controller.objects import Key, Manifest, ObjectRef, Undecodable
from controller.reconcile import Terminal
from fakes.kube_client import FakeKubeClient
from fakes.topic_world import Died, TopicWorld
from fakes.topic_world_clusters import NAMES
from reconcilers.api.topic_transfer import TOPIC_TRANSFER, TopicTransfer
from reconcilers.observe import Cached, Caches
from reconcilers.tools import Tools
from reconcilers.topic_transfer import TopicTransferReconciler
from reconcilers.transfer.decision import is_terminal
from rocketmq.admin import Admin

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE = "shop"

ApiFault = Callable[[int, str], str]
"""By the number of the call and its verb: "" (none), `before` or `after` (the operator dies), or
`lost` (it was done, and the answer is lost) or `refused`."""


def no_api_faults(_number: int, _verb: str) -> str:
    """Every call is answered."""
    return ""


class DyingClient(FakeKubeClient):
    """An API server whose caller may die, or hear nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: ApiFault = no_api_faults
        self.called = 0

    async def apply(self, *given: Any, **named: Any) -> Any:
        fault = self._fault("apply")
        manifest: Manifest = given[1]
        wanted = manifest["metadata"].get("resourceVersion")
        ref = ObjectRef(given[0], manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        if wanted not in (None, self.objects[ref]["metadata"]["resourceVersion"]):
            raise ConflictError("the object has been modified", status=409)
        return self._after(fault, await super().apply(*given, **named))

    async def merge_patch(self, ref: ObjectRef, *given: Any, **named: Any) -> Any:
        fault = self._fault("merge_patch")
        found = self._after(fault, await super().merge_patch(ref, *given, **named))
        metadata = self.objects[ref]["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self.remove(ref)
        return found

    async def get(self, ref: ObjectRef) -> Any:
        return self._after(self._fault("get"), await super().get(ref))

    def _fault(self, verb: str) -> str:
        fault = self.faults(self.called, verb)
        self.called += 1
        if fault == "before":
            raise Died
        if fault == "refused":
            raise UnreachableError("no answer")
        return fault

    def _after(self, fault: str, answer: Any) -> Any:
        if fault == "after":
            raise Died
        if fault == "lost":
            raise UnreachableError("no answer")
        return answer


class LiveCached(Cached[Any]):
    """A cache that is never behind."""

    def __init__(self, client: FakeKubeClient) -> None:
        super().__init__({})
        self._client = client

    def get(self, key: Key) -> Any:
        return next((one for one in self.all() if one.metadata.key == key), None)

    def in_namespace(self, namespace: str) -> list[Any]:
        return [one for one in self.all() if one.metadata.namespace == namespace]

    def all(self) -> list[Any]:
        return [
            typed(TopicTransfer)(found.body)
            for ref, found in self._client.snapshots().items()
            if ref.resource == TOPIC_TRANSFER
        ]


class TransferRun:
    """One operator after the other, and the transfers that it is given."""

    def __init__(self, world: TopicWorld) -> None:
        self.world = world
        self.client = DyingClient()
        self.events: list[Event] = []
        self.deaths = 0
        self.steps: list[tuple[str, bool]] = []
        none: Cached[Any] = Cached({})
        self._tools = Tools(
            client=self.client,
            admin=Admin(world),
            caches=Caches(
                name_services=none,
                brokers=none,
                pods=none,
                claims=none,
                children={},
                topic_transfers=LiveCached(self.client),
            ),
            events=self,
            record=lambda _line: None,
            stepped=lambda _kind, _of, step, *, failed: self.steps.append((step, failed)),
            wrote_status=lambda _kind: None,
            now=self.now,
        )
        self.reconciler = TopicTransferReconciler(self._tools, lambda _account: Admin(world))

    def now(self) -> datetime:
        """The world's time."""
        return BEGAN + timedelta(seconds=self.world.now)

    def record(self, event: Event) -> None:
        """Keeps the Events."""
        self.events.append(event)

    def apply(self, name: str = "move", **spec: Any) -> Key:
        """A user makes, or edits, a transfer of `orders` from a to b."""
        ref = ObjectRef(TOPIC_TRANSFER, NAMESPACE, name)
        before = self.client.objects.get(ref)
        basics = {
            "topic": "orders",
            "sourceCluster": "a",
            "targetCluster": "b",
            "nameServers": ";".join(NAMES),
        }
        if before is not None:
            before["spec"] |= spec
            before["metadata"]["generation"] += 1
            self.client.put(TOPIC_TRANSFER, before)
            self._touch(ref)
            return ref.key
        created = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = {
            "name": name,
            "namespace": NAMESPACE,
            "generation": 1,
            "creationTimestamp": created,
        }
        manifest = {
            "apiVersion": TOPIC_TRANSFER.api_version,
            "kind": TOPIC_TRANSFER.kind,
            "metadata": metadata,
            "spec": basics | spec,
        }
        return self.client.put(TOPIC_TRANSFER, manifest).key

    def delete(self, name: str = "move") -> None:
        """A user deletes a transfer."""
        ref = ObjectRef(TOPIC_TRANSFER, NAMESPACE, name)
        found = self.client.objects[ref]
        if found["metadata"].get("finalizers"):
            found["metadata"]["deletionTimestamp"] = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            self._touch(ref)
        else:
            self.client.remove(ref)

    def get(self, name: str = "move") -> TopicTransfer | None:
        """The transfer as it is stored."""
        ref = ObjectRef(TOPIC_TRANSFER, NAMESPACE, name)
        found = self.client.snapshots().get(ref)
        if found is None:
            return None
        cr = typed(TopicTransfer)(found.body)
        assert not isinstance(cr, Undecodable), cr
        return cr

    async def reconcile(self, name: str = "move") -> float:
        """Once; seconds until the queue gives the key out again."""
        try:
            result = await self.reconciler.reconcile(Key(NAMESPACE, name))
        except Terminal:
            return 60.0
        except ApiError:
            return 1.0
        except BaseExceptionGroup as group:
            if group.subgroup(Died) is None:
                raise
            return self._died()
        except Died:
            return self._died()
        return 60.0 if result.requeue_after_s is None else result.requeue_after_s

    async def run(
        self,
        name: str = "move",
        *,
        until: Callable[[TopicTransfer], bool] | None = None,
        within_s: float = 3600.0,
    ) -> TopicTransfer | None:
        """Go on until it is over (or `until` holds, or it is gone), and a little longer."""
        debt, end = 0.0, self.world.now + within_s
        while self.world.now < end:
            debt += await self.reconcile(name)
            cr = self.get(name)
            if cr is None or (until(cr) if until is not None else _is_over(cr)):
                return cr
            if debt >= 1.0:
                self.world.advance(int(debt))
                debt -= int(debt)
        found = self.get(name)
        words = (
            None if found is None else (found.status.phase, found.status.stage, found.status.step)
        )
        raise AssertionError(f"not over after {within_s} s: {words}")

    def _touch(self, ref: ObjectRef) -> None:
        metadata = self.client.objects[ref]["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 100_000)

    def _died(self) -> float:
        self.deaths += 1
        faults, api_faults = self.world.faults, self.client.faults
        self.world.successor()
        self.world.faults, self.client.faults = faults, api_faults
        return 1.0


def _is_over(cr: TopicTransfer) -> bool:
    return is_terminal(cr) and not cr.metadata.finalizers


def progress_of(cr: TopicTransfer) -> dict[str, Any]:
    """The status as users see it."""
    shown: dict[str, Any] = msgspec.to_builtins(cr.status)
    return shown
