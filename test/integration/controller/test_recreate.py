"""A StatefulSet whose immutable fields change, on a real API server with its controllers."""

from __future__ import annotations

from typing import Any

import pytest

from controller.apply import Line, Outcome, execute
from controller.client.client import KubeClient
from controller.objects import Desired, ObjectRef, OwnerReference, Resource
from controller.plan import plan
from fakes.waiting import eventually
from fakes.witness import Object, Place

STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
LABELS = {"app": "mq"}
CLAIMS = "spec.volumeClaimTemplates"


class Owned:
    """What an owner, some ConfigMap, wants: one StatefulSet. Nothing is cached."""

    def __init__(self, place: Place, kube: KubeClient) -> None:
        self.place = place
        self._kube = kube
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}}
        uid = place.create(config)["metadata"]["uid"]
        self._owner = OwnerReference(api_version="v1", kind="ConfigMap", name="owner", uid=uid)

    async def converge(self, desired: Desired) -> Outcome:
        place = self.place.name
        found = await self._kube.list(STATEFUL_SETS, place)
        observed = {ObjectRef(STATEFUL_SETS, place, one.metadata.name): one for one in found}
        return await execute(plan([desired], observed, self._owner), self._kube)

    async def converge_until(self, desired: Desired, action: str) -> Line:
        """Reconcile as the operator would, event after event."""
        while True:
            (line,) = (await self.converge(desired)).lines
            if line.action == action:
                return line
            assert line.action in ("waiting", "recreating")

    def web(
        self,
        storage: str = "1Gi",
        *,
        image: str = "example.org/i:1",
        labels: dict[str, str] | None = None,
        recreate_for: tuple[str, ...] = (CLAIMS,),
    ) -> Desired:
        labels = labels or LABELS
        container = {"name": "main", "image": image}
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}}
        spec = {
            "replicas": 2,
            "serviceName": "web",
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        }
        metadata = {"name": "web", "namespace": self.place.name}
        return Desired(STATEFUL_SETS, {"metadata": metadata, "spec": spec}, recreate_for)

    def pods(self) -> list[Object]:
        """Both, as soon as they are owned by the StatefulSet that there is."""
        return eventually(lambda: self._held("Pod"))

    def claims(self) -> list[Object]:
        return eventually(lambda: self._held("PersistentVolumeClaim"))

    def _held(self, kind: str) -> list[Object]:
        uid = self.place.get("StatefulSet", "web")["metadata"]["uid"]
        found = self.place.list(kind)
        owners = [
            [one["uid"] for one in obj["metadata"].get("ownerReferences", ())] for obj in found
        ]
        assert owners == [[uid], [uid]]
        return found

    def status(self) -> Object:
        """The StatefulSet's status when its controller has seen both pods."""

        def counted() -> Object:
            found = self.place.get("StatefulSet", "web")
            status: Object = found["status"]
            assert status.get("observedGeneration") == found["metadata"]["generation"]
            assert status.get("readyReplicas") == 2
            return status

        return eventually(counted)


@pytest.fixture
async def owned(place: Place, kube: KubeClient) -> Owned:
    owned = Owned(place, kube)
    await owned.converge_until(owned.web(), "created")
    owned.status()
    return owned


def uids(objects: list[Object]) -> list[str]:
    return [one["metadata"]["uid"] for one in objects]


def revisions(pods: list[Object]) -> set[str]:
    return {pod["metadata"]["labels"]["controller-revision-hash"] for pod in pods}


@pytest.mark.parametrize("image", ["example.org/i:1", "example.org/i:2"])
async def test_claims_change_while_pods_volumes_and_revisions_stay(
    image: str, owned: Owned
) -> None:
    pods, claims = owned.pods(), owned.claims()
    first = owned.place.get("StatefulSet", "web")["metadata"]["uid"]
    wish = owned.web("2Gi", image=image)
    (line,) = (await owned.converge(wish)).lines
    assert (line.action, line.uid) == ("recreating", first)
    await owned.converge_until(wish, "created")

    assert uids(owned.pods()) == uids(pods)
    assert uids(owned.claims()) == uids(claims)
    status = owned.status()
    assert owned.place.get("StatefulSet", "web")["metadata"]["uid"] != first
    same_template = image == "example.org/i:1"
    assert (revisions(owned.pods()) == {status["updateRevision"]}) is same_template
    assert revisions(owned.pods()) == revisions(pods)
    assert status.get("updatedReplicas", 0) == (2 if same_template else 0)
    (line,) = (await owned.converge(wish)).lines
    assert line.action == "unchanged"


@pytest.mark.parametrize(
    "wish",
    [
        {"storage": "2Gi", "recreate_for": ()},
        {"storage": "2Gi", "labels": {**LABELS, "tier": "x"}},
        {"storage": "2Gi", "image": ""},
    ],
    ids=["not permitted", "another immutable field", "invalid as well"],
)
async def test_nothing_is_deleted_when_something_else_stands_against_the_change(
    wish: dict[str, Any], owned: Owned
) -> None:
    before = owned.place.get("StatefulSet", "web")["metadata"]["uid"]
    (line,) = (await owned.converge(owned.web(**wish))).lines
    assert line.action == "refused"
    assert owned.place.get("StatefulSet", "web")["metadata"]["uid"] == before


async def test_nothing_is_deleted_that_the_server_would_not_take_again(owned: Owned) -> None:
    quota = {"hard": {"count/statefulsets.apps": "1"}}
    owned.place.witness.request(
        "POST",
        f"/api/v1/namespaces/{owned.place.name}/resourcequotas",
        body={
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "full"},
            "spec": quota,
        },
    )
    before = owned.place.get("StatefulSet", "web")["metadata"]["uid"]

    (line,) = (await owned.converge(owned.web("2Gi"))).lines
    assert (line.action, line.reason) == ("refused", "Forbidden")
    assert "quota" in line.message
    assert owned.place.get("StatefulSet", "web")["metadata"]["uid"] == before
