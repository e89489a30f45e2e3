"""What happens between a decision and its steps, whatever the kind."""

from __future__ import annotations

from typing import Any

import pytest

from controller.apply import Outcome
from controller.errors import UnreachableError
from controller.events import Event
from controller.objects import Desired, Key, ObjectRef, Undecodable
from controller.reconcile import Result
from controller.store import StoreWriter
from fakes.gate_facts import NOW, a_name_service
from fakes.kube_client import FakeKubeClient
from fakes.rocketmq_caller import ScriptedCaller
from reconcilers.api.kube import POD
from reconcilers.api.name_service import NAME_SERVICE, NameService, NameServiceStatus
from reconcilers.app import CHILDREN
from reconcilers.cluster_kind import ClusterReconciler, Problem, Tools
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
from rocketmq.admin import Admin

KEY = Key("shop", "ns")
NOTE = WritesMoved(since=NOW, permission="6", log_end=0, still_since=NOW)
FIRST, SECOND = (ObjectRef(POD, "shop", name) for name in ("p-0", "p-1"))
RESTARTS = tuple(
    Restart(ref.name, f"uid of {ref.name}", "it is old", evict=True) for ref in (FIRST, SECOND)
)


class Kind(ClusterReconciler[NameService, str, NameServiceStatus]):
    """Its facts are where they were read; its decisions are given."""

    resource = NAME_SERVICE
    no_status = NameServiceStatus()

    def __init__(self, tools: Tools, decisions: dict[str, tuple[Step, ...]]) -> None:
        super().__init__(tools)
        self._decisions = decisions
        self.progress: Progress | None = None

    @property
    def cached(self) -> Cached[NameService | Undecodable]:
        return self._tools.caches.name_services

    async def observe(self, _cr: NameService) -> str:
        return "cache"

    async def observe_anew(self, _cr: NameService, _facts: str) -> str:
        return "server"

    def decide(self, _cr: NameService, facts: str) -> Decision:
        steps = self._decisions[facts]
        return Decision(phase="rolling", message=f"by the {facts}", steps=steps, again_after_s=7.0)

    def problem(self, _cr: NameService) -> Problem | None:
        return None

    def desired(self, _cr: NameService, _facts: str) -> list[Desired] | None:
        return []

    def status(
        self, _cr: NameService, _facts: str, _outcome: Outcome, progress: Progress | None
    ) -> NameServiceStatus:
        self.progress = progress
        return NameServiceStatus(step=progress.decision.message if progress else "")

    def invalid_status(self, _cr: NameService, _facts: str, _problem: Problem) -> NameServiceStatus:
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
        self.client.put(NAME_SERVICE, {"metadata": {"namespace": "shop", "name": "ns"}})
        self.events: list[Event] = []
        self.tried: list[tuple[str, bool]] = []
        tools = Tools(
            client=self.client,
            admin=Admin(ScriptedCaller({})),
            caches=_caches(),
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

    @property
    def gone(self) -> set[str]:
        return {ref.name for ref in (FIRST, SECOND) if ref not in self.client.objects}


def _caches() -> Caches:
    def filled(*objects: Any) -> Cached[Any]:
        writer: StoreWriter[Any] = StoreWriter({OWNER: owner_uids})
        writer.replace(objects)
        return Cached({"": writer.store})

    return Caches(
        name_services=filled(a_name_service()),
        brokers=filled(),
        pods=filled(),
        claims=filled(),
        children={resource: filled() for resource in CHILDREN},
    )


async def test_what_disrupts_is_decided_once_more_on_what_the_server_says_now() -> None:
    world = World(cache=RESTARTS, server=RESTARTS[1:])
    assert await world.reconcile() == Result(7.0)
    assert world.gone == {"p-1"}
    assert [event.note for event in world.events] == ["by the server"]
    assert world.client.objects[ObjectRef(NAME_SERVICE, "shop", "ns")]["status"]["step"] == (
        "by the server"
    )


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
