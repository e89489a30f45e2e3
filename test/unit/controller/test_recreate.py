from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller.apply import Line, Outcome, execute
from controller.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    UnreachableError,
)
from controller.objects import Desired, Manifest, ObjectRef, OwnerReference, Resource
from controller.plan import as_new, plan, with_values_of
from fakes.kube_client import FakeKubeClient

SET = Resource("apps", "v1", "statefulsets", "StatefulSet")
REF = ObjectRef(SET, "mq", "master")
OWNER = OwnerReference(api_version="example.org/v1", kind="Broker", name="b", uid="owner-1")
CLAIMS = "spec.volumeClaimTemplates"
IMMUTABLE = "updates to statefulset spec for fields other than 'replicas' are forbidden"


def claim(size: int) -> list[Manifest]:
    return [{"metadata": {"name": "data"}, "spec": {"size": size}}]


def wish(claims: int = 1, *, permitted: bool = True, **spec: Any) -> Desired:
    spec = {"serviceName": "mq", "replicas": 1, "volumeClaimTemplates": claim(claims), **spec}
    metadata = {"name": "master", "namespace": "mq"}
    paths = (CLAIMS,) if permitted else ()
    return Desired(SET, {"metadata": metadata, "spec": spec}, recreate_for=paths)


class StatefulSets:
    """An API server that changes replicas of a StatefulSet and nothing else."""

    def __init__(self) -> None:
        self.client = FakeKubeClient(refuse=self._refused)

    def _refused(self, verb: str, ref: ObjectRef, manifest: Manifest) -> ApiError | None:
        before = self.client.objects.get(ref)
        if before is None or "apply" not in verb:
            return None
        old, new = (one["spec"] | {"replicas": 0} for one in (before, manifest))
        return None if old == new else InvalidError(IMMUTABLE, status=422)

    async def converge(self, one: Desired) -> Outcome:
        planned = plan([one], self.client.snapshots(), OWNER)
        return await execute(planned, self.client)

    async def line(self, one: Desired) -> Line:
        (line,) = (await self.converge(one)).lines
        return line

    @property
    def stored(self) -> Manifest:
        return self.client.objects[REF]


@pytest.fixture
async def server() -> StatefulSets:
    server = StatefulSets()
    await server.converge(wish())
    return server


async def test_what_cannot_be_changed_is_deleted_and_made_again_by_the_next_plans(
    server: StatefulSets,
) -> None:
    old = server.stored["metadata"]["uid"]
    assert await server.line(wish(2)) == Line(
        REF, "recreating", (f"{CLAIMS}[metadata.name=data].spec.size",), uid=old
    )
    assert server.stored["metadata"]["finalizers"] == ["orphan"]
    assert (await server.line(wish(2))).action == "waiting"
    server.client.remove(REF)  # the garbage collector has let go of the pods
    assert (await server.line(wish(2))).action == "created"
    assert server.stored["metadata"]["uid"] != old
    assert server.stored["spec"]["volumeClaimTemplates"] == claim(2)
    assert (await server.line(wish(2))).action == "unchanged"


async def test_it_is_told_as_a_write() -> None:
    assert Outcome((Line(REF, "recreating"),)).writes != ()


@pytest.mark.parametrize(
    "one",
    [
        wish(2, permitted=False),
        wish(2, serviceName="other"),  # pods would keep the old one
        wish(serviceName="other"),
    ],
)
async def test_without_permission_for_each_immutable_field_the_change_is_refused(
    server: StatefulSets, one: Desired
) -> None:
    before = msgspec.json.encode(server.stored)
    line = await server.line(one)
    assert (line.action, line.reason) == ("refused", "ImmutableField")
    assert msgspec.json.encode(server.stored) == before


@pytest.mark.parametrize("error", [InvalidError("no such class"), ForbiddenError("over quota")])
async def test_an_object_that_could_not_be_made_again_is_not_deleted(
    server: StatefulSets, error: ApiError
) -> None:
    refused = server.client.refuse
    server.client.refuse = lambda verb, ref, manifest: (
        error if verb == "dry-run create" else refused(verb, ref, manifest)
    )
    before = msgspec.json.encode(server.stored)
    line = await server.line(wish(2))
    assert (line.action, line.message) == ("refused", error.message)
    assert msgspec.json.encode(server.stored) == before


async def test_an_object_that_changed_since_it_was_read_is_not_deleted(
    server: StatefulSets,
) -> None:
    refused = server.client.refuse

    def interrupted(verb: str, ref: ObjectRef, manifest: Manifest) -> ApiError | None:
        if verb == "dry-run create":
            server.client.put(SET, {**server.stored, "status": {"readyReplicas": 1}})
        return refused(verb, ref, manifest)

    server.client.refuse = interrupted
    with pytest.raises(ConflictError):
        await server.line(wish(2))
    assert "deletionTimestamp" not in server.stored["metadata"]


async def test_a_mutable_change_recreates_nothing(server: StatefulSets) -> None:
    old = server.stored["metadata"]["uid"]
    assert (await server.line(wish(replicas=3))).action == "changed"
    assert server.stored["metadata"]["uid"] == old


async def test_an_operator_that_dies_at_any_call_leaves_what_its_successor_completes() -> None:
    for dies_at in range(8):
        server = StatefulSets()
        await server.converge(wish())
        refused = server.client.refuse
        left = iter(range(100))
        server.client.refuse = lambda *asked, at=dies_at, left=left, refused=refused: (
            UnreachableError("killed") if next(left) == at else refused(*asked)
        )
        actions = []
        while actions[-1:] != ["unchanged"]:
            try:
                actions.append((await server.line(wish(2))).action)
            except UnreachableError:
                actions.append("died")
            if REF in server.client.objects and "finalizers" in server.stored["metadata"]:
                server.client.remove(REF)
        assert actions.count("recreating") == 1
        assert server.stored["spec"]["volumeClaimTemplates"] == claim(2)


def test_the_fields_at_given_paths_are_taken_from_what_was_observed() -> None:
    manifest = {"metadata": {"name": "a"}, "spec": {"x": 1, "y": 2, "z": {"u": 3}}}
    observed = {"spec": {"x": 7, "z": {"u": 8}, "new": 9}}
    paths = ("spec.x", "spec.y", "spec.z.u", "spec.new")
    expected = {"metadata": {"name": "a"}, "spec": {"x": 7, "z": {"u": 8}, "new": 9}}
    assert with_values_of(observed, manifest, paths) == expected
    assert manifest["spec"] == {"x": 1, "y": 2, "z": {"u": 3}}


def test_a_trial_has_a_name_of_its_own() -> None:
    metadata = {"name": "a", "uid": "u", "labels": {"b": "c"}}
    trial = as_new({"kind": "K", "metadata": metadata})
    assert trial == {"kind": "K", "metadata": {"labels": {"b": "c"}, "generateName": "a-"}}
