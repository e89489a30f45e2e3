"""What the verbs of KubeClient promise, against a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from controller.client.client import KubeClient
from controller.errors import ConflictError, DisruptionBudgetError, InvalidError, NotFoundError
from controller.objects import ObjectRef, Resource
from fakes.waiting import eventually
from fakes.witness import Object, Place

PODS = Resource("", "v1", "pods", "Pod")
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
OTHER = "00000000-0000-0000-0000-000000000000"
LABELS = {"app": "mq"}


def pod(name: str, **metadata: Any) -> Object:
    container = {"name": "main", "image": "example.org/i:1"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": LABELS, **metadata},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def running(place: Place, name: str, **metadata: Any) -> tuple[ObjectRef, str]:
    """A pod that is ready: its reference and uid."""
    uid = place.create(pod(name, **metadata))["metadata"]["uid"]

    def ready() -> None:
        conditions = place.get("Pod", name)["status"].get("conditions", ())
        assert {"Ready": "True"}.items() <= {c["type"]: c["status"] for c in conditions}.items()

    eventually(ready)
    return ObjectRef(PODS, place.name, name), uid


def gone(place: Place, kind: str, name: str) -> None:
    def absent() -> None:
        assert place.find(kind, name) is None

    eventually(absent)


async def test_a_list_gives_what_matches_with_kind_and_version(
    place: Place, kube: KubeClient
) -> None:
    made = [place.create(pod(name)) for name in ("b", "a")]
    place.create(pod("c", labels={"app": "other"}))
    found = await kube.list(PODS, place.name, label_selector="app=mq")
    assert [one.metadata.uid for one in found] == [m["metadata"]["uid"] for m in reversed(made)]
    assert {one.manifest()["kind"] for one in found} == {"Pod"}
    assert b"managedFields" not in found[0].body


async def test_annotations_are_set_and_removed_on_one_uid(place: Place, kube: KubeClient) -> None:
    ref, uid = running(place, "a", annotations={"theirs": "1"})
    await kube.annotate(ref, uid=uid, annotations={"mine": "2"})
    after = await kube.annotate(ref, uid=uid, annotations={"mine": None, "new": "3"})
    assert after.metadata.annotations == {"theirs": "1", "new": "3"}
    for one, error in ((ref, ConflictError), (ObjectRef(PODS, place.name, "x"), NotFoundError)):
        with pytest.raises(error):
            await kube.annotate(one, uid=OTHER, annotations={"mine": "4"})
    assert place.get("Pod", "a")["metadata"]["annotations"] == {"theirs": "1", "new": "3"}


async def test_an_apply_that_names_another_uid_is_a_conflict(
    place: Place, kube: KubeClient
) -> None:
    place.create(pod("a"))
    for name in ("a", "gone"):
        metadata = {"namespace": place.name, "name": name, "uid": OTHER}
        with pytest.raises(ConflictError):
            await kube.apply(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata})


async def test_a_claim_is_grown_by_a_merge_patch(place: Place, kube: KubeClient) -> None:
    claim = place.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
    )
    ref, uid = ObjectRef(CLAIMS, place.name, "data"), claim["metadata"]["uid"]
    patch = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    with pytest.raises(ConflictError):
        await kube.merge_patch(ref, patch, uid=OTHER)
    # Nothing binds claims here; of an unbound one the server says that it cannot grow.
    with pytest.raises(InvalidError, match="bound"):
        await kube.merge_patch(ref, patch, uid=uid)


async def test_an_eviction_meets_one_uid_and_heeds_the_budget(
    place: Place, kube: KubeClient
) -> None:
    ref, uid = running(place, "a")
    place.create(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "budget"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": LABELS}},
        }
    )

    def counted() -> None:
        assert place.get("PodDisruptionBudget", "budget")["status"].get("currentHealthy") == 1

    eventually(counted)
    with pytest.raises(DisruptionBudgetError, match="disruption budget budget needs 1 healthy"):
        await kube.evict(ref, uid=uid)
    place.delete("PodDisruptionBudget", "budget")
    gone(place, "PodDisruptionBudget", "budget")
    with pytest.raises(ConflictError):
        await kube.evict(ref, uid=OTHER)
    assert place.get("Pod", "a")["metadata"]["uid"] == uid
    await kube.evict(ref, uid=uid)
    gone(place, "Pod", "a")
    await kube.evict(ref, uid=uid)


async def test_a_delete_meets_one_uid_and_one_version(place: Place, kube: KubeClient) -> None:
    ref, uid = running(place, "a")
    seen = place.get("Pod", "a")["metadata"]["resourceVersion"]
    changed = await kube.annotate(ref, uid=uid, annotations={"new": "1"})
    with pytest.raises(ConflictError):
        await kube.delete(ref, uid=uid, resource_version=seen)
    with pytest.raises(ConflictError):
        await kube.delete(ref, uid=OTHER)
    await kube.delete(ref, uid=uid, resource_version=changed.metadata.resource_version, grace_s=0)
    gone(place, "Pod", "a")
    await kube.delete(ref, uid=uid)


@pytest.mark.parametrize(
    ("propagation", "left"), [("Background", 0), ("Foreground", 0), ("Orphan", 1)]
)
async def test_dependants_go_or_stay_as_asked(
    propagation: Any, left: int, place: Place, kube: KubeClient
) -> None:
    template = {"metadata": {"labels": LABELS}, "spec": pod("t")["spec"]}
    made = place.create(
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "web"},
            "spec": {
                "serviceName": "web",
                "selector": {"matchLabels": LABELS},
                "template": template,
            },
        }
    )

    def number_of_pods(expected: int) -> None:
        assert len(place.list("Pod")) == expected

    eventually(lambda: number_of_pods(1))
    ref = ObjectRef(STATEFUL_SETS, place.name, "web")
    await kube.delete(ref, uid=made["metadata"]["uid"], propagation=propagation)
    gone(place, "StatefulSet", "web")
    eventually(lambda: number_of_pods(left))
    assert [one["metadata"].get("ownerReferences") for one in place.list("Pod")] == [None] * left
