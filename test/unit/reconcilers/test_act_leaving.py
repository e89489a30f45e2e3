"""Steps of a scale-in: in which order the note and the broker change, and what is met."""

from __future__ import annotations

import msgspec
import pytest

from controller.apply import Line
from controller.errors import ApiError
from controller.objects import Manifest, ObjectRef
from fakes.gate_facts import NOW
from fakes.kube_client import FakeKubeClient
from fakes.rocketmq_caller import ScriptedCaller, answer, by_code
from reconcilers.act import act
from reconcilers.api.kube import STATEFUL_SET
from reconcilers.desired.names import LEAVING
from reconcilers.steps.decision import (
    Done,
    Leaving,
    NoteDrained,
    NoteLeaving,
    RemoveBroker,
    ReturnWrites,
    Step,
    StopWrites,
)
from rocketmq.admin import Admin
from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode
from rocketmq.properties import parsed

SET = ObjectRef(STATEFUL_SET, "shop", "m")
ADDRESS = "10.0.0.1:10911"
NOTE = Leaving(began=NOW, since=NOW, permission="6")
STOP = StopWrites("m-0", ADDRESS, "m", "s", NOTE, "4")
RETURN = ReturnWrites("m-0", ADDRESS, "m", "s", NOTE)


class Broker:
    """A broker that takes settings, beside the API server that has its StatefulSet."""

    def __init__(self, permission: str = "6") -> None:
        self.permission = permission
        self.client = FakeKubeClient(refuse=self._look)
        self.seen: list[tuple[str, bool, str]] = []
        """At each call that changes something: who was called, the note, the permission."""
        self.wrote: list[Line] = []
        metadata = {"namespace": "shop", "name": "m", "uid": "s", "annotations": {"user": "x"}}
        self.client.put(STATEFUL_SET, {"metadata": metadata})
        codes = {
            RequestCode.UPDATE_BROKER_CONFIG: self._update,
            RequestCode.GET_BROKER_CONFIG: self._tell,
        }
        self.admin = Admin(ScriptedCaller({ADDRESS: by_code(codes)}))

    @property
    def note(self) -> Leaving | None:
        text = self.client.objects[SET]["metadata"]["annotations"].get(LEAVING)
        return None if text is None else msgspec.json.decode(text, type=Leaving)

    async def act(self, step: Step) -> Done:
        return await act(self.client, self.admin, "shop", step, wrote=self.wrote.append)

    def _look(self, verb: str, _ref: ObjectRef, _manifest: Manifest) -> ApiError | None:
        self.seen.append((verb, self.note is not None, self.permission))
        return None

    def _update(self, request: Request) -> Response:
        self.seen.append(("broker", self.note is not None, self.permission))
        self.permission = parsed(request.body.decode())["brokerPermission"]
        return answer()

    def _tell(self, _request: Request) -> Response:
        return answer(f"brokerPermission={self.permission}\n".encode())


async def test_the_note_stands_on_the_set_before_writes_are_taken_away() -> None:
    world = Broker()
    assert await world.act(STOP) == Done(STOP)
    assert world.seen == [("merge_patch", False, "6"), ("broker", True, "6")]
    assert (world.permission, world.note) == ("4", NOTE)
    assert world.client.objects[SET]["metadata"]["annotations"]["user"] == "x"
    assert [line.ref for line in world.wrote] == [SET]


async def test_a_broker_without_writes_is_told_nothing() -> None:
    world = Broker("4")
    step = msgspec.structs.replace(STOP, permission="")
    assert await world.act(step) == Done(step)
    assert world.seen == [("merge_patch", False, "4")]


async def test_writes_are_given_back_before_that_is_noted() -> None:
    world = Broker("4")
    await world.act(NoteDrained("m-0", "m", "s", NOTE))
    world.seen.clear()
    returned = msgspec.structs.replace(RETURN, note=msgspec.structs.replace(NOTE, returned=NOW))
    assert await world.act(returned) == Done(returned)
    assert world.seen == [("broker", True, "4"), ("merge_patch", True, "6")]
    assert world.note == returned.note
    await world.act(NoteLeaving("m-0", "m", "s", None))
    assert world.note is None


async def test_a_set_is_removed_by_its_uid() -> None:
    world = Broker()
    other = RemoveBroker("m-0", "m", "another", "")
    assert (await world.act(other)).failure
    assert "deletionTimestamp" not in world.client.objects[SET]["metadata"]
    step = RemoveBroker("m-0", "m", "s", "")
    assert await world.act(step) == Done(step)
    # It is there until its pod has ended: the next group waits for that.
    assert world.client.objects[SET]["metadata"]["finalizers"] == ["foregroundDeletion"]


@pytest.mark.parametrize("step", [STOP, RETURN])
async def test_another_set_of_the_name_is_left_alone(step: StopWrites | ReturnWrites) -> None:
    world = Broker()
    assert (await world.act(msgspec.structs.replace(step, uid="another"))).failure
    assert world.note is None
