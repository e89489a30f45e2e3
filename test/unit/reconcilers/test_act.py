from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from controller.apply import Line
from controller.errors import (
    ApiError,
    ConflictError,
    DisruptionBudgetError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnreachableError,
)
from controller.objects import Manifest, ObjectRef
from fakes.gate_facts import NOW
from fakes.kube_client import FakeKubeClient
from fakes.rocketmq_caller import ScriptedCaller, answer, by_code
from reconcilers.act import act as act_and_tell
from reconcilers.api.kube import PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from reconcilers.desired.names import WRITES_MOVED
from reconcilers.steps.decision import (
    Done,
    GrowClaim,
    LabelClaim,
    MoveWrites,
    NoteWrites,
    PushSettings,
    RemoveReplica,
    Restart,
    RestoreWrites,
    Step,
    WritesMoved,
)
from rocketmq.admin import Admin
from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode
from rocketmq.properties import parsed

ADMIN = Admin(ScriptedCaller({}))


async def act(client: FakeKubeClient, admin: Admin, namespace: str, step: Step) -> Done:
    return await act_and_tell(client, admin, namespace, step, wrote=lambda _line: None)


CLAIM = ObjectRef(PERSISTENT_VOLUME_CLAIM, "shop", "data-x")


def server(error: ApiError | None = None) -> FakeKubeClient:
    def refuse(verb: str, _ref: ObjectRef, _manifest: Manifest) -> ApiError | None:
        return error if verb == "merge_patch" else None

    client = FakeKubeClient(refuse=refuse)
    labels = {"app": "broker"}
    metadata = {"name": "data-x", "namespace": "shop", "uid": "c", "labels": labels}
    spec = {"resources": {"requests": {"storage": "1Gi"}}, "volumeName": "pv"}
    client.put(PERSISTENT_VOLUME_CLAIM, {"metadata": metadata, "spec": spec})
    return client


async def test_a_claim_is_grown_and_keeps_all_else() -> None:
    client = server()
    step = GrowClaim("x", "data-x", "c", "2Gi")
    assert await act(client, ADMIN, "shop", step) == Done(step)
    assert client.objects[CLAIM]["spec"] == {
        "resources": {"requests": {"storage": "2Gi"}},
        "volumeName": "pv",
    }


async def test_a_claim_gets_labels_beside_its_own() -> None:
    client = server()
    await act(client, ADMIN, "shop", LabelClaim("x", "data-x", "c", {"ours": "yes"}))
    assert client.objects[CLAIM]["metadata"]["labels"] == {"app": "broker", "ours": "yes"}


async def test_another_claim_of_the_name_is_left_alone() -> None:
    client = server()
    done = await act(client, ADMIN, "shop", GrowClaim("x", "data-x", "of before", "2Gi"))
    assert done.failure
    assert client.objects[CLAIM]["spec"]["resources"] == {"requests": {"storage": "1Gi"}}


@pytest.mark.parametrize("error", [ForbiddenError("no resize"), InvalidError("no resize")])
async def test_a_storage_that_does_not_let_it_grow_is_no_error_of_ours(error: ApiError) -> None:
    step = GrowClaim("x", "data-x", "c", "2Gi")
    assert await act(server(error), ADMIN, "shop", step) == Done(step, "no resize")


async def test_a_right_that_is_missing_and_a_server_that_is_away_are() -> None:
    with pytest.raises(ForbiddenError):
        await act(server(ForbiddenError("x")), ADMIN, "shop", LabelClaim("x", "data-x", "c", {}))
    with pytest.raises(UnreachableError):
        await act(
            server(UnreachableError("x")), ADMIN, "shop", GrowClaim("x", "data-x", "c", "2Gi")
        )


# Steps of the gate

MASTER = ObjectRef(POD, "shop", "m-0")
SET = ObjectRef(STATEFUL_SET, "shop", "m")
ADDRESS = "10.0.0.1:10911"
NOTE = WritesMoved(since=NOW, permission="6", log_end=7, still_since=NOW)
MOVE = MoveWrites("m-0", "u", ADDRESS, NOTE, "4")
RESTORE = RestoreWrites("m-0", "u", ADDRESS, "6")


class Broker:
    """A broker that takes settings, beside the API server that has its pod."""

    def __init__(self, *, noted: bool = False, takes: Callable[[str], bool] = bool) -> None:
        self.settings = {"brokerPermission": "6", "deleteWhen": "04"}
        self.client = FakeKubeClient(refuse=self._look)
        self.seen: list[tuple[str, bool, str]] = []
        """At each call that changes something: who was called, the note, the permission."""
        self.wrote: list[Line] = []
        self.refuses: ApiError | None = None
        self._takes = takes
        annotations = {"user": "x"} | ({WRITES_MOVED: "a note"} if noted else {})
        for ref, uid in ((MASTER, "u"), (SET, "s")):
            metadata = {"namespace": "shop", "name": ref.name, "uid": uid}
            self.client.put(ref.resource, {"metadata": metadata | {"annotations": annotations}})
        self.caller = ScriptedCaller(
            {
                ADDRESS: by_code(
                    {
                        RequestCode.UPDATE_BROKER_CONFIG: self._update,
                        RequestCode.GET_BROKER_CONFIG: self._tell,
                    }
                )
            }
        )

    def goes(self, ref: ObjectRef) -> bool:
        found = self.client.objects.get(ref)
        return found is None or "deletionTimestamp" in found["metadata"]

    @property
    def note(self) -> str | None:
        metadata = self.client.objects[MASTER]["metadata"]
        text: str | None = metadata.get("annotations", {}).get(WRITES_MOVED)
        return text

    async def act(self, step: Step) -> Done:
        admin = Admin(self.caller)
        return await act_and_tell(self.client, admin, "shop", step, wrote=self.wrote.append)

    def _look(self, verb: str, _ref: ObjectRef, _manifest: Manifest) -> ApiError | None:
        self._record(verb)
        return self.refuses

    def _record(self, whom: str) -> None:
        self.seen.append((whom, self.note is not None, self.settings["brokerPermission"]))

    def _update(self, request: Request) -> Response:
        self._record("broker")
        changes = parsed(request.body.decode())
        self.settings |= {key: value for key, value in changes.items() if self._takes(key)}
        return answer()

    def _tell(self, _request: Request) -> Response:
        lines = (f"{key}={value}\n" for key, value in self.settings.items())
        return answer("".join(lines).encode())


async def test_the_note_stands_on_the_pod_before_writes_are_taken_away() -> None:
    world = Broker()
    assert await world.act(MOVE) == Done(MOVE)
    assert world.seen == [("merge_patch", False, "6"), ("broker", True, "6")]
    assert world.settings["brokerPermission"] == "4"
    assert msgspec.json.decode(world.note or "", type=WritesMoved) == NOTE
    assert world.client.objects[MASTER]["metadata"]["annotations"]["user"] == "x"


async def test_the_note_goes_after_writes_were_given_back() -> None:
    world = Broker(noted=True)
    world.settings["brokerPermission"] = "4"
    assert await world.act(RESTORE) == Done(RESTORE)
    assert world.seen == [("broker", True, "4"), ("merge_patch", True, "6")]
    assert world.note is None


async def test_a_note_is_written_anew() -> None:
    world = Broker(noted=True)
    step = NoteWrites("m-0", "u", msgspec.structs.replace(NOTE, log_end=8))
    assert await world.act(step) == Done(step)
    assert msgspec.json.decode(world.note or "", type=WritesMoved).log_end == 8


@pytest.mark.parametrize(
    "step",
    [
        MoveWrites("m-0", "another", ADDRESS, NOTE, "4"),
        NoteWrites("m-0", "another", NOTE),
        MoveWrites("gone-0", "u", ADDRESS, NOTE, "4"),
        Restart("m-0", "another", "", evict=True),
        Restart("m-0", "another", "", evict=False),
        RemoveReplica("m", "another", "m-0"),
    ],
)
async def test_another_pod_of_the_name_is_left_alone(step: Step) -> None:
    """It was made since; what was decided was not about it."""
    world = Broker()
    assert await world.act(step) == Done(step, "it is not there any more as it was seen")
    assert world.settings["brokerPermission"] == "6"
    assert world.note is None
    assert {MASTER, SET} <= world.client.objects.keys()


@pytest.mark.parametrize(
    ("step", "goes"),
    [
        (Restart("m-0", "u", "", evict=True), MASTER),
        (Restart("m-0", "u", "", evict=False), MASTER),
        (RemoveReplica("m", "s", "m-0"), SET),
    ],
)
async def test_what_is_to_go_goes(step: Step, goes: ObjectRef) -> None:
    world = Broker()
    assert await world.act(step) == Done(step)
    assert {ref for ref in (MASTER, SET) if world.goes(ref)} == {goes}


async def test_a_pod_that_serves_is_evicted_and_a_budget_is_heeded() -> None:
    world = Broker()
    world.refuses = DisruptionBudgetError("needs 1 healthy pod", status=429)
    step = Restart("m-0", "u", "", evict=True)
    assert await world.act(step) == Done(
        step, "a PodDisruptionBudget does not allow it now: needs 1 healthy pod"
    )
    assert MASTER in world.client.objects
    assert [verb for verb, _ in world.client.calls] == ["evict"]


@pytest.mark.parametrize(
    "step", [MOVE, RESTORE, PushSettings("m-0", ADDRESS, {"deleteWhen": "05"})]
)
async def test_success_is_no_evidence(step: Step) -> None:
    """The broker answers SUCCESS and changes nothing: a failure, and the note stays as it is."""
    world = Broker(noted=isinstance(step, RestoreWrites), takes=lambda _key: False)
    world.settings["brokerPermission"] = "2"
    done = await world.act(step)
    assert "the broker did not take the change: " in done.failure
    assert (world.note is not None) is not isinstance(step, PushSettings)


async def test_settings_are_told_together() -> None:
    world = Broker()
    step = PushSettings("m-0", ADDRESS, {"deleteWhen": "05", "brokerPermission": "4"})
    assert await world.act(step) == Done(step)
    assert world.settings == {"deleteWhen": "05", "brokerPermission": "4"}


@pytest.mark.parametrize("step", [MOVE, RESTORE])
async def test_a_broker_that_is_away_keeps_its_note(step: Step) -> None:
    """A successor has to know what was begun."""
    world = Broker(noted=isinstance(step, RestoreWrites))
    world.caller = ScriptedCaller({})
    done = await world.act(step)
    assert "connection refused" in done.failure
    assert world.note is not None


@pytest.mark.parametrize("error", [ConflictError("x"), NotFoundError("x")])
async def test_a_conflict_over_the_note_tells_the_broker_nothing(error: ApiError) -> None:
    world = Broker()
    world.refuses = error
    assert (await world.act(MOVE)).failure
    assert world.settings["brokerPermission"] == "6"


async def test_an_api_server_that_is_away_ends_the_attempt() -> None:
    world = Broker()
    world.refuses = UnreachableError("x")
    for step in (MOVE, Restart("m-0", "u", "", evict=True)):
        with pytest.raises(UnreachableError):
            await world.act(step)
    assert world.settings["brokerPermission"] == "6"


def version(world: Broker, ref: ObjectRef) -> str:
    found: str = world.client.objects[ref]["metadata"]["resourceVersion"]
    return found


@pytest.mark.parametrize("step", [MOVE, NoteWrites("m-0", "u", NOTE), RESTORE])
async def test_the_version_that_a_note_gave_the_pod_is_told(step: Step) -> None:
    world = Broker(noted=isinstance(step, RestoreWrites))
    before = version(world, MASTER)
    await world.act(step)
    assert version(world, MASTER) != before
    assert world.wrote == [Line(MASTER, "changed", version=version(world, MASTER))]


async def test_a_note_is_told_of_although_its_broker_is_away() -> None:
    world = Broker()
    world.caller = ScriptedCaller({})
    assert (await world.act(MOVE)).failure
    assert world.wrote == [Line(MASTER, "changed", version=version(world, MASTER))]


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (Restart("m-0", "u", "", evict=True), Line(MASTER, "deleted", uid="u")),
        (Restart("m-0", "u", "", evict=False), Line(MASTER, "deleted", uid="u")),
        (RemoveReplica("m", "s", "m-0"), Line(SET, "deleted", uid="s")),
    ],
)
async def test_what_was_deleted_is_told(step: Step, told: Line) -> None:
    world = Broker()
    await world.act(step)
    assert world.wrote == [told]


@pytest.mark.parametrize(
    "step",
    [
        MoveWrites("m-0", "another", ADDRESS, NOTE, "4"),
        Restart("m-0", "another", "", evict=True),
        Restart("m-0", "another", "", evict=False),
        PushSettings("m-0", ADDRESS, {"deleteWhen": "05"}),
    ],
)
async def test_nothing_is_told_where_nothing_was_written(step: Step) -> None:
    world = Broker()
    await world.act(step)
    assert world.wrote == []


async def test_the_version_of_a_claim_that_was_changed_is_told() -> None:
    client, wrote = server(), list[Line]()
    step = GrowClaim("x", "data-x", "c", "2Gi")
    await act_and_tell(client, ADMIN, "shop", step, wrote=wrote.append)
    now = client.objects[CLAIM]["metadata"]["resourceVersion"]
    assert wrote == [Line(CLAIM, "changed", version=now)]
