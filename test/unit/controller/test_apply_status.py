import msgspec
import pytest

from controller.apply import apply_status
from controller.conditions import Condition
from controller.errors import ApiError, ConflictError, InvalidError
from controller.objects import ObjectMeta, ObjectRef, Resource
from fakes.kube_client import FakeKubeClient

BROKER = Resource("example.org", "v1", "brokers", "Broker")
THE_BROKER = ObjectRef(BROKER, "mq", "b")


@pytest.fixture
def server() -> FakeKubeClient:
    return FakeKubeClient()


class Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A status with what matters: a condition, a number and something that may be absent."""

    ready_brokers: int = 0
    conditions: tuple[Condition, ...] = ()
    note: str | None = None


SEEN = Status(ready_brokers=1, conditions=(Condition(type="Ready", status="True", reason="Ok"),))


def placed(server: FakeKubeClient) -> ObjectMeta:
    manifest = {"apiVersion": "example.org/v1", "kind": "Broker", "spec": {"size": 1}}
    at = server.put(BROKER, manifest | {"metadata": {"name": "b", "namespace": "mq"}})
    return server.snapshots()[at].metadata


async def test_a_status_that_moved_is_written_beside_the_spec(server: FakeKubeClient) -> None:
    metadata = placed(server)
    assert await apply_status(server, BROKER, metadata, SEEN, Status())
    stored = server.objects[THE_BROKER]
    assert stored["spec"] == {"size": 1}
    assert stored["status"]["readyBrokers"] == 1
    assert "note" not in stored["status"]
    assert server.writes == [("apply status", THE_BROKER)]


async def test_a_status_that_did_not_move_is_not_written(server: FakeKubeClient) -> None:
    metadata = placed(server)
    same = msgspec.json.decode(msgspec.json.encode(SEEN), type=Status)
    assert not await apply_status(server, BROKER, metadata, same, SEEN)
    assert server.writes == []


async def test_a_field_that_the_status_no_longer_has_is_cleared(server: FakeKubeClient) -> None:
    metadata = placed(server)
    noted = msgspec.structs.replace(SEEN, note="slow")
    await apply_status(server, BROKER, metadata, noted, Status())
    await apply_status(server, BROKER, metadata, SEEN, noted)
    assert "note" not in server.objects[THE_BROKER]["status"]


async def test_the_status_of_an_object_that_is_gone_is_dropped(server: FakeKubeClient) -> None:
    metadata = placed(server)
    server.remove(THE_BROKER)
    assert not await apply_status(server, BROKER, metadata, SEEN, Status())
    assert server.objects == {}


@pytest.mark.parametrize("error", [ConflictError("busy"), InvalidError("status.x: bad")])
async def test_a_status_that_is_refused_is_an_error(
    server: FakeKubeClient, error: ApiError
) -> None:
    metadata = placed(server)
    server.refuse = lambda *_: error
    with pytest.raises(type(error)):
        await apply_status(server, BROKER, metadata, SEEN, Status())


async def test_a_status_can_be_tied_to_the_version_that_was_read(server: FakeKubeClient) -> None:
    sent = []
    server.refuse = lambda _verb, _ref, manifest: sent.append(manifest["metadata"])
    metadata = placed(server)
    version = metadata.resource_version
    await apply_status(server, BROKER, metadata, SEEN, Status(), version=version)
    await apply_status(server, BROKER, metadata, Status(), SEEN)
    assert sent[0] == {"namespace": "mq", "name": "b", "resourceVersion": version}
    assert "resourceVersion" not in sent[1]
