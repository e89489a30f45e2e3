from __future__ import annotations

from typing import Any

import pytest

from controller.errors import ConflictError, NotFoundError, ThrottledError
from controller.objects import Manifest, ObjectRef, Resource
from fakes.kube_client import FakeKubeClient

CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap")
REF = ObjectRef(CONFIG_MAP, "shop", "config")


def config_map(name: str = "config", namespace: str = "shop", **metadata: Any) -> Manifest:
    identity = {"apiVersion": "v1", "kind": "ConfigMap"}
    return identity | {"metadata": {"name": name, "namespace": namespace} | metadata}


@pytest.fixture
def server() -> FakeKubeClient:
    return FakeKubeClient()


def version(server: FakeKubeClient) -> str:
    found: str = server.objects[REF]["metadata"]["resourceVersion"]
    return found


async def test_a_version_moves_with_a_change_and_only_then(server: FakeKubeClient) -> None:
    first = await server.apply(CONFIG_MAP, config_map() | {"data": {"a": "1"}})
    same = await server.apply(CONFIG_MAP, config_map() | {"data": {"a": "1"}})
    other = await server.apply(CONFIG_MAP, config_map() | {"data": {"a": "2"}})
    assert same == first
    assert int(other.metadata.resource_version) > int(first.metadata.resource_version)
    assert other.metadata.uid == first.metadata.uid


async def test_a_field_is_released_by_its_last_owner(server: FakeKubeClient) -> None:
    both = config_map() | {"data": {"a": "1", "b": "2"}}
    await server.apply(CONFIG_MAP, both)
    await server.apply(CONFIG_MAP, config_map() | {"data": {"a": "1"}}, field_manager="other")
    left = await server.apply(CONFIG_MAP, config_map())
    assert left.manifest()["data"] == {"a": "1"}
    left = await server.apply(CONFIG_MAP, config_map(), field_manager="other")
    assert "data" not in left.manifest()


async def test_a_list_gives_what_matches(server: FakeKubeClient) -> None:
    server.put(CONFIG_MAP, config_map("b", labels={"app": "mq", "tier": "x"}))
    server.put(CONFIG_MAP, config_map("a", labels={"app": "mq"}))
    server.put(CONFIG_MAP, config_map("c"))
    server.put(CONFIG_MAP, config_map("a", "other", labels={"app": "mq"}))
    found = await server.list(CONFIG_MAP, "shop", label_selector="app=mq")
    assert [one.metadata.name for one in found] == ["a", "b"]
    assert len(await server.list(CONFIG_MAP, None)) == 4
    assert server.writes == []


async def test_a_merge_patch_sets_and_removes_fields_of_one_uid(server: FakeKubeClient) -> None:
    server.put(CONFIG_MAP, config_map(uid="u") | {"data": {"a": "1", "b": "2"}, "list": [1, 2]})
    with pytest.raises(ConflictError):
        await server.merge_patch(REF, {"data": {"a": "3"}}, uid="other")
    after = await server.merge_patch(REF, {"data": {"a": None, "c": "3"}, "list": [4]}, uid="u")
    assert after.manifest()["data"] == {"b": "2", "c": "3"}
    assert after.manifest()["list"] == [4]
    with pytest.raises(NotFoundError):
        await server.merge_patch(ObjectRef(CONFIG_MAP, "shop", "gone"), {}, uid="u")


async def test_a_strategic_patch_replaces_lists_and_knows_no_merge(server: FakeKubeClient) -> None:
    server.put(CONFIG_MAP, config_map(uid="u") | {"list": [1, 2]})
    patch = {"list": [{"$patch": "replace"}, 3]}
    after = await server.merge_patch(REF, patch, uid="u", strategic=True)
    assert after.manifest()["list"] == [3]
    with pytest.raises(NotImplementedError):
        await server.merge_patch(REF, {"list": [4]}, uid="u", strategic=True)


async def test_annotations_are_set_and_removed_one_by_one(server: FakeKubeClient) -> None:
    server.put(CONFIG_MAP, config_map(uid="u", annotations={"mine": "1", "theirs": "2"}))
    after = await server.annotate(REF, uid="u", annotations={"mine": None, "new": "3"})
    assert after.metadata.annotations == {"theirs": "2", "new": "3"}


@pytest.mark.parametrize("verb", ["delete", "evict"])
async def test_only_the_object_that_is_meant_goes(server: FakeKubeClient, verb: str) -> None:
    remove = server.delete if verb == "delete" else server.evict
    server.put(CONFIG_MAP, config_map(uid="u"))
    with pytest.raises(ConflictError):
        await remove(REF, uid="other")
    await remove(REF, uid="u")
    assert server.objects == {}
    await remove(REF, uid="u")


async def test_an_object_of_another_version_is_not_deleted(server: FakeKubeClient) -> None:
    server.put(CONFIG_MAP, config_map(uid="u"))
    seen = version(server)
    await server.annotate(REF, uid="u", annotations={"new": "1"})
    with pytest.raises(ConflictError):
        await server.delete(REF, uid="u", resource_version=seen)
    await server.delete(REF, uid="u", resource_version=version(server))
    assert server.objects == {}


@pytest.mark.parametrize(
    ("metadata", "propagation"),
    [({"finalizers": ["theirs"]}, "Background"), ({}, "Foreground"), ({}, "Orphan")],
)
async def test_what_is_held_up_stays_and_says_that_it_goes(
    server: FakeKubeClient, metadata: dict[str, Any], propagation: Any
) -> None:
    server.put(CONFIG_MAP, config_map(uid="u", **metadata))
    seen = version(server)
    await server.delete(REF, uid="u", propagation=propagation)
    found = (await server.get(REF)).metadata
    assert found.deletion_timestamp is not None
    assert found.resource_version != seen
    server.remove(REF)
    with pytest.raises(NotFoundError):
        await server.get(REF)


async def test_a_refused_call_changes_nothing(server: FakeKubeClient) -> None:
    server.put(CONFIG_MAP, config_map(uid="u"))
    server.refuse = lambda verb, _ref, _manifest: (
        ThrottledError("slow down", status=429) if verb == "delete" else None
    )
    with pytest.raises(ThrottledError):
        await server.delete(REF, uid="u")
    assert REF in server.objects
