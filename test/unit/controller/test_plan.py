from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller.objects import Desired, ObjectRef, OwnerReference, Resource
from controller.plan import APPLIED_FIELDS, Delete, plan, stamped
from fakes.kube_client import FakeKubeClient

CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap")
CLAIM = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
OWNER = OwnerReference(api_version="example.org/v1", kind="Broker", name="b", uid="owner-1")
OURS = msgspec.structs.replace(OWNER, controller=True)


def desired(resource: Resource, name: str, **fields: Any) -> Desired:
    return Desired(resource, {"metadata": {"name": name, "namespace": "mq"}, **fields})


def test_the_wishes_themselves_are_not_changed() -> None:
    def wishes() -> list[Desired]:
        return [desired(CONFIG_MAP, "config", data={"a": "1", "b": None})]

    wanted = wishes()
    plan(wanted, {}, OWNER)
    assert wanted == wishes()


def test_nulls_are_not_applied_and_own_annotations_are_kept() -> None:
    wish = desired(CONFIG_MAP, "config", data={"a": None, "b": "1"})
    wish.manifest["metadata"]["annotations"] = {"mine": "1"}
    manifest = stamped(wish, OWNER)
    assert manifest["data"] == {"b": "1"}
    assert sorted(manifest["metadata"]["annotations"]) == ["mine", APPLIED_FIELDS]


def test_a_claim_is_never_applied_for_its_owner_would_take_the_data_along() -> None:
    with pytest.raises(ValueError, match="PersistentVolumeClaim mq/data"):
        plan([desired(CLAIM, "data")], {}, OWNER)


def test_an_object_cannot_be_desired_twice() -> None:
    with pytest.raises(ValueError, match="ConfigMap mq/config"):
        plan([desired(CONFIG_MAP, "config"), desired(CONFIG_MAP, "config")], {}, OWNER)


def test_claims_and_objects_that_are_being_deleted_are_not_deleted() -> None:
    server = FakeKubeClient()
    for resource, name, metadata in (
        (CLAIM, "data", {}),
        (CONFIG_MAP, "dying", {"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        (CONFIG_MAP, "surplus", {}),
    ):
        owned = desired(resource, name).manifest["metadata"] | metadata
        owned["ownerReferences"] = [msgspec.to_builtins(OURS)]
        server.put(resource, {"kind": resource.kind, "metadata": owned})
    (step,) = plan([], server.snapshots(), OWNER).steps
    surplus = ObjectRef(CONFIG_MAP, "mq", "surplus")
    assert step == Delete(surplus, server.objects[surplus]["metadata"]["uid"])
