from __future__ import annotations

import msgspec
import pytest

from controller import finalizers
from controller.errors import ConflictError
from controller.objects import ObjectMeta, Resource
from fakes.kube_client import FakeKubeClient

RESOURCE = Resource("example.com", "v1", "moves", "Move")
OURS = "example.com/ours"


def given(*names: str) -> tuple[FakeKubeClient, ObjectMeta]:
    client = FakeKubeClient()
    metadata = {"namespace": "default", "name": "move", "finalizers": list(names)}
    manifest = {"apiVersion": "example.com/v1", "kind": "Move", "metadata": metadata}
    ref = client.put(RESOURCE, manifest)
    return client, client.snapshots()[ref].metadata


def names(client: FakeKubeClient) -> list[str]:
    (found,) = client.objects.values()
    held: list[str] = found["metadata"]["finalizers"]
    return held


async def test_ours_is_added_beside_those_of_others_and_taken_off_again() -> None:
    client, metadata = given("example.com/theirs")
    (ref,) = client.objects
    version = await finalizers.hold(client, ref, metadata, OURS)
    assert names(client) == ["example.com/theirs", OURS]
    held = client.snapshots()[ref].metadata
    assert held.resource_version == version != metadata.resource_version
    await finalizers.release(client, ref, held, OURS)
    assert names(client) == ["example.com/theirs"]


async def test_what_is_so_already_is_not_written() -> None:
    client, metadata = given(OURS)
    (ref,) = client.objects
    assert await finalizers.hold(client, ref, metadata, OURS) == metadata.resource_version
    await finalizers.release(client, ref, msgspec.structs.replace(metadata, finalizers=()), OURS)
    assert client.writes == []


async def test_another_object_of_the_name_is_left_alone() -> None:
    client, metadata = given()
    (ref,) = client.objects
    with pytest.raises(ConflictError):
        await finalizers.hold(client, ref, msgspec.structs.replace(metadata, uid="other"), OURS)


async def test_an_object_that_is_gone_needs_no_release() -> None:
    client, metadata = given(OURS)
    (ref,) = client.objects
    client.remove(ref)
    await finalizers.release(client, ref, metadata, OURS)


async def test_each_write_names_the_version_that_was_read() -> None:
    sent = []
    client, metadata = given()
    (ref,) = client.objects
    client.refuse = lambda _verb, _ref, manifest: sent.append(manifest["metadata"])
    await finalizers.hold(client, ref, metadata, OURS)
    assert sent == [{"finalizers": [OURS], "resourceVersion": metadata.resource_version}]
