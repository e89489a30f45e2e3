from __future__ import annotations

import pytest

from controller.errors import ApiError, ForbiddenError, InvalidError, UnreachableError
from controller.objects import Manifest, ObjectRef
from fakes.kube_client import FakeKubeClient
from fakes.rocketmq_caller import ScriptedCaller
from reconcilers.act import act
from reconcilers.api.kube import PERSISTENT_VOLUME_CLAIM
from reconcilers.steps.decision import Done, GrowClaim, LabelClaim
from rocketmq.admin import Admin

ADMIN = Admin(ScriptedCaller({}))
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
