from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controller.errors import AlreadyExistsError, ConflictError, NotFoundError, UnreachableError
from controller.leader_lease import LEASES
from controller.objects import ObjectRef
from fakes.lease_server import Fate, LeaseServer, Line

REF = ObjectRef(LEASES, "operators", "rocketmq-operator")
MANIFEST = {
    "metadata": {"namespace": REF.namespace, "name": REF.name},
    "spec": {"holderIdentity": "a"},
}

pytestmark = pytest.mark.looptime


def changes(version: str, holder: str) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": holder}}


async def test_there_is_one_lease_or_none() -> None:
    line = Line(LeaseServer())
    with pytest.raises(NotFoundError):
        await line.get(REF)
    made = await line.create(LEASES, MANIFEST)
    assert await line.get(REF) == made
    with pytest.raises(AlreadyExistsError):
        await line.create(LEASES, MANIFEST)


async def test_a_write_needs_the_version_and_the_object_that_are_there() -> None:
    server = LeaseServer()
    line = Line(server)
    before = (await line.create(LEASES, MANIFEST)).metadata
    await line.merge_patch(REF, changes(before.resource_version, "b"), uid=before.uid)
    with pytest.raises(ConflictError):
        await line.merge_patch(REF, changes(before.resource_version, "c"), uid=before.uid)
    now = (await line.get(REF)).metadata
    with pytest.raises(ConflictError):
        await line.merge_patch(REF, changes(now.resource_version, "c"), uid="another")
    assert server.holders == ["a", "b"]


async def test_a_lost_answer_is_a_write_that_was_done_and_a_lost_request_is_none() -> None:
    server = LeaseServer()
    line = Line(server, iter([Fate(request_lost=True), Fate(answer_lost=True), Fate()]))
    with pytest.raises(UnreachableError):
        await line.create(LEASES, MANIFEST)
    assert server.manifest is None
    with pytest.raises(UnreachableError):
        await line.create(LEASES, MANIFEST)
    assert (await line.get(REF)).metadata.name == REF.name


async def test_a_line_that_is_cut_while_a_call_is_under_way_gives_no_answer() -> None:
    line = Line(LeaseServer(), iter([Fate(there_s=2.0)]))
    asyncio.get_running_loop().call_later(1.0, setattr, line, "cut", True)
    with pytest.raises(UnreachableError):
        await line.create(LEASES, MANIFEST)
