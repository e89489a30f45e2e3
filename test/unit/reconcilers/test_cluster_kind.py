"""What happens between a decision and its steps, whatever the kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from controller.apply import Outcome
from controller.client.projection import snapshot
from controller.errors import UnreachableError
from controller.events import Event
from controller.objects import Desired, Key, ObjectMeta, ObjectRef, Snapshot, Undecodable
from controller.reconcile import Result
from controller.store import StoreWriter
from controller.written import ASK_AFTER_S
from fakes.gate_facts import NOW, a_name_service
from fakes.kube_client import FakeKubeClient
from fakes.rocketmq_caller import ScriptedCaller
from reconcilers.api.kube import POD, STATEFUL_SET, Pod
from reconcilers.api.name_service import NAME_SERVICE, NameService, NameServiceStatus
from reconcilers.app import CHILDREN
from reconcilers.cluster_kind import CACHE_BEHIND_S, ClusterReconciler, Problem
from reconcilers.observe import OWNER, Cached, Caches, owner_uids
from reconcilers.steps.decision import (
    Decision,
    MoveWrites,
    NoteWrites,
    Progress,
    PushSettings,
    RemoveReplica,
    Restart,
    RestoreWrites,
    Step,
    WritesMoved,
)
from reconcilers.tools import Tools
from rocketmq.admin import Admin

KEY = Key("shop", "ns")
NOTE = WritesMoved(since=NOW, permission="6", log_end=0, still_since=NOW)
RESOURCE = ObjectRef(NAME_SERVICE, "shop", "ns")
FIRST, SECOND = (ObjectRef(POD, "shop", name) for name in ("p-0", "p-1"))
RESTARTS = tuple(
    Restart(ref.name, f"uid of {ref.name}", "it is old", evict=True) for ref in (FIRST, SECOND)
)


class Facts(msgspec.Struct, frozen=True):
    read_from: str
    versions: dict[str, str]


class Kind(ClusterReconciler[NameService, Facts, NameServiceStatus]):
    """Its facts are where they were read; its decisions are given."""

    resource = NAME_SERVICE
    no_status = NameServiceStatus()

    def __init__(self, tools: Tools, decisions: dict[str, tuple[Step, ...]]) -> None:
        super().__init__(tools)
        self._decisions = decisions
        self.progress: Progress | None = None
        self.live_versions: dict[str, str] = {}
        self.wanted: list[Desired] = []
        self.meanwhile: Callable[[], None] = lambda: None
        """Happens while the facts are asked for."""

    @property
    def cached(self) -> Cached[NameService | Undecodable]:
        return self._tools.caches.name_services

    async def observe(self, _cr: NameService) -> Facts:
        self.meanwhile()
        pods = self._tools.caches.pods.all()
        return Facts("cache", {one.metadata.uid: one.metadata.resource_version for one in pods})

    async def observe_anew(self, _cr: NameService, _facts: Facts) -> Facts:
        return Facts("server", self.live_versions)

    def decide(self, _cr: NameService, facts: Facts) -> Decision:
        steps = self._decisions[facts.read_from]
        message = f"by the {facts.read_from}"
        return Decision(phase="rolling", message=message, steps=steps, again_after_s=7.0)

    def problem(self, _cr: NameService) -> Problem | None:
        return None

    def desired(self, _cr: NameService, _facts: Facts) -> list[Desired] | None:
        return self.wanted

    def status(
        self, _cr: NameService, _facts: Facts, _outcome: Outcome, progress: Progress | None
    ) -> NameServiceStatus:
        self.progress = progress
        return NameServiceStatus(step=progress.decision.message if progress else "")

    def invalid_status(
        self, _cr: NameService, _facts: Facts, _problem: Problem
    ) -> NameServiceStatus:
        raise AssertionError

    def undecodable_status(self, _cr: Undecodable, _before: NameServiceStatus) -> NameServiceStatus:
        raise AssertionError

    def status_of(self, cr: NameService) -> NameServiceStatus:
        return cr.status


class World:
    """An API server with two pods, and one resource whose gate decides as it is told."""

    def __init__(self, **decisions: tuple[Step, ...]) -> None:
        self.client = FakeKubeClient()
        for ref in (FIRST, SECOND):
            metadata = {"namespace": "shop", "name": ref.name, "uid": f"uid of {ref.name}"}
            self.client.put(POD, {"metadata": metadata})
        self.client.put(NAME_SERVICE, msgspec.to_builtins(a_name_service()))
        self.events: list[Event] = []
        self.tried: list[tuple[str, bool]] = []
        self.pods: StoreWriter[Any] = StoreWriter({OWNER: owner_uids})
        """The cache of pods; it follows on demand."""
        self.sets: StoreWriter[Snapshot] = StoreWriter({OWNER: owner_uids})
        tools = Tools(
            client=self.client,
            admin=Admin(ScriptedCaller({})),
            caches=_caches(self.pods, self.sets),
            events=self,
            record=lambda _line: None,
            stepped=lambda _kind, _of, step, *, failed: self.tried.append((step, failed)),
            wrote_status=lambda _kind: None,
            now=lambda: NOW,
        )
        self.kind = Kind(tools, decisions)

    def record(self, event: Event) -> None:
        self.events.append(event)

    async def reconcile(self) -> Result:
        return await self.kind.reconcile(KEY)

    def live(self, ref: ObjectRef) -> Pod:
        """The pod as the API server has it."""
        return msgspec.convert(self.client.objects[ref], Pod)

    async def acts(self) -> bool:
        """Whether a reconcile tries steps; else it waits for the caches and calls nobody."""
        tried, calls = len(self.tried), len(self.client.calls)
        waits = await self.reconcile() == Result(CACHE_BEHIND_S)
        assert waits == (len(self.tried) == tried)
        assert not waits or len(self.client.calls) == calls
        return not waits

    @property
    def gone(self) -> set[str]:
        return {ref.name for ref in (FIRST, SECOND) if ref not in self.client.objects}


def _caches(pods: StoreWriter[Any], sets: StoreWriter[Snapshot]) -> Caches:
    def filled(*objects: Any) -> Cached[Any]:
        writer: StoreWriter[Any] = StoreWriter({OWNER: owner_uids})
        writer.replace(objects)
        return Cached({"": writer.store})

    return Caches(
        name_services=filled(a_name_service()),
        brokers=filled(),
        pods=Cached({"": pods.store}),
        claims=filled(),
        children={resource: filled() for resource in CHILDREN}
        | {STATEFUL_SET: Cached({"": sets.store})},
    )


async def test_what_disrupts_is_decided_once_more_on_what_the_server_says_now() -> None:
    world = World(cache=RESTARTS, server=RESTARTS[1:])
    assert await world.reconcile() == Result(7.0)
    assert world.gone == {"p-1"}
    assert [event.note for event in world.events] == ["by the server"]
    assert world.client.objects[RESOURCE]["status"]["step"] == "by the server"


@pytest.mark.parametrize(
    "step",
    [
        RESTARTS[0],
        RemoveReplica("p", "u", "p-0"),
        # An old note put over a newer one would end its wait early.
        MoveWrites("p-0", "u", "10.0.0.1:10911", NOTE, "4"),
        NoteWrites("p-0", "u", NOTE),
        RestoreWrites("p-0", "u", "10.0.0.1:10911", "6"),
    ],
)
async def test_a_cache_that_is_behind_disrupts_nothing(step: Step) -> None:
    world = World(cache=(step,), server=())
    await world.reconcile()
    assert (world.gone, world.tried, world.events) == (set(), [], [])


@pytest.mark.parametrize(
    "now",
    [
        None,
        {"generation": 2},
        {"annotations": {"rocketmq.apache.org/paused": "true"}},
        {"uid": "another"},
    ],
)
async def test_what_the_user_has_changed_since_is_decided_upon_first(
    now: dict[str, Any] | None,
) -> None:
    world = World(cache=RESTARTS, server=RESTARTS)
    if now is None:
        world.client.remove(RESOURCE)
    else:
        world.client.objects[RESOURCE]["metadata"] |= now
    assert await world.reconcile() == Result(CACHE_BEHIND_S)
    assert (world.gone, world.tried, world.events) == (set(), [], [])
    assert world.kind.progress is None  # nor is it told that it would be done


async def test_a_child_that_vanishes_while_servers_are_asked_is_not_made_again_by_old_facts() -> (
    None
):
    world = World(cache=(), server=())
    child = ObjectRef(STATEFUL_SET, "shop", "s")
    manifest = {"metadata": {"namespace": "shop", "name": "s"}}
    world.kind.wanted = [Desired(STATEFUL_SET, manifest)]
    await world.reconcile()
    world.sets.replace((snapshot(msgspec.json.encode(world.client.objects.pop(child))),))
    world.kind.meanwhile = lambda: world.sets.replace(())
    await world.reconcile()
    assert child not in world.client.objects
    await world.reconcile()  # now the facts are newer
    assert child in world.client.objects


async def test_what_disrupts_nothing_needs_no_second_look() -> None:
    told = PushSettings("p-0", "10.0.0.1:10911", {"deleteWhen": "05"})
    world = World(cache=(told,), server=RESTARTS)
    await world.reconcile()
    assert world.gone == set()
    assert world.tried == [("PushSettings", True)]


async def test_a_step_that_fails_is_told_and_does_not_stop_the_others() -> None:
    stranger = Restart("p-0", "another uid", "it is old", evict=True)
    world = World(cache=RESTARTS, server=(stranger, RESTARTS[1]))
    await world.reconcile()
    assert world.gone == {"p-1"}
    assert world.tried == [("Restart", True), ("Restart", False)]
    assert [event.reason for event in world.events] == ["StepFailed", "RestartingPod"]
    assert world.kind.progress is not None
    assert world.kind.progress.failures == ("it is not there any more as it was seen",)


async def test_a_server_that_goes_away_between_two_steps_ends_the_attempt() -> None:
    world = World(cache=RESTARTS, server=RESTARTS)
    world.client.refuse = lambda verb, ref, _manifest: (
        UnreachableError("away") if (verb, ref) == ("evict", SECOND) else None
    )
    with pytest.raises(UnreachableError):
        await world.reconcile()
    assert world.gone == {"p-0"}
    assert [event.reason for event in world.events] == ["RestartingPod"]


# What was done to pods has to be seen


def changed(pod: Pod, **metadata: Any) -> Pod:
    return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, **metadata))


async def stopped(*known: Pod, evict: bool = True) -> tuple[World, Pod]:
    """After the first pod was stopped; the cache held `known`, or the pod, and still does."""
    step = msgspec.structs.replace(RESTARTS[0], evict=evict)
    world = World(cache=(step,), server=(step,))
    pod = world.live(FIRST)
    world.kind.live_versions = {pod.metadata.uid: pod.metadata.resource_version}
    world.pods.replace(known or (pod,))
    assert await world.acts()
    assert world.gone == {"p-0"}
    return world, pod


@pytest.mark.parametrize("evict", [True, False])
async def test_nothing_is_decided_while_the_cache_shows_a_pod_as_if_we_had_not_stopped_it(
    *, evict: bool
) -> None:
    world, _ = await stopped(evict=evict)
    assert not await world.acts()
    assert not await world.acts()


@pytest.mark.parametrize(
    "change",
    [None, {"deletion_timestamp": "2026-01-01T00:00:30Z"}, {"uid": "its successor's"}],
    ids=["is gone", "is stopping", "has a successor"],
)
async def test_it_is_decided_again_when_the_cache_shows_that_it(
    change: dict[str, str] | None,
) -> None:
    world, pod = await stopped()
    world.pods.replace(() if change is None else (changed(pod, resource_version="50", **change),))
    assert await world.acts()


async def test_a_cache_that_did_not_know_the_pod_yet_is_not_believed_for_showing_another() -> None:
    before = Pod(metadata=ObjectMeta(name="p-0", namespace="shop", uid="x", resource_version="0"))
    world, pod = await stopped(before)
    assert not await world.acts()
    world.pods.replace((pod,))
    assert not await world.acts()
    world.pods.replace((changed(pod, uid="y", resource_version="99"),))
    assert await world.acts()


@pytest.mark.looptime
async def test_a_pod_that_the_cache_never_shows_is_not_waited_for_for_ever() -> None:
    other = Pod(metadata=ObjectMeta(name="other", namespace="shop", uid="x"))
    world, _ = await stopped(other)
    assert not await world.acts()
    await asyncio.sleep(ASK_AFTER_S)
    assert await world.reconcile() == Result(7.0)


@pytest.mark.parametrize(
    "step",
    [
        NoteWrites("p-0", "uid of p-0", NOTE),
        # Nobody answers there: the note stands, and the step has failed.
        MoveWrites("p-0", "uid of p-0", "10.0.0.1:10911", NOTE, "4"),
    ],
)
async def test_nothing_is_decided_while_the_cache_shows_a_pod_without_our_note(step: Step) -> None:
    world = World(cache=(step,), server=(step,))
    world.pods.replace((world.live(FIRST),))
    assert await world.acts()
    assert not await world.acts()
    world.pods.replace((world.live(FIRST),))
    assert await world.acts()
