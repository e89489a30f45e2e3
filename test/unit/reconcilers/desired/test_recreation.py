"""Claim templates change only by deleting the StatefulSet: in which steps."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller.objects import Desired, Manifest
from reconcilers.api.kube import CONFIG_MAP, STATEFUL_SET, PersistentVolumeClaim, StatefulSet
from reconcilers.desired.storage import CLAIM_TEMPLATES, in_safe_steps


def templates(size: str, **defaulted: Any) -> list[Manifest]:
    spec = {"resources": {"requests": {"storage": size}}} | defaulted
    return [{"metadata": {"name": "data"}, "spec": spec}]


def wanted(size: str, policy: str = "Delete") -> Desired:
    spec = {
        "replicas": 1,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": policy, "whenScaled": "Retain"},
        "volumeClaimTemplates": templates(size),
    }
    metadata = {"name": "broker-0-master", "namespace": "shop"}
    return Desired(STATEFUL_SET, {"metadata": metadata, "spec": spec}, (CLAIM_TEMPLATES,))


def live(size: str, policy: str = "Delete") -> StatefulSet:
    spec = {
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": policy},
        "volumeClaimTemplates": templates(size, volumeMode="Filesystem"),
    }
    metadata = {"name": "broker-0-master", "namespace": "shop", "uid": "s"}
    return msgspec.convert({"metadata": metadata, "spec": spec}, StatefulSet)


def claim(*owners: str) -> PersistentVolumeClaim:
    references = [
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "uid": uid} for uid in owners
    ]
    metadata = {"name": "data-broker-0-master-0", "ownerReferences": references}
    return msgspec.convert({"metadata": metadata}, PersistentVolumeClaim)


def spec_of(
    desired: Desired, there: StatefulSet | None, *claims: PersistentVolumeClaim
) -> Manifest:
    sets = [] if there is None else [there]
    (one,) = in_safe_steps([desired], sets, claims)
    spec: Manifest = one.manifest["spec"]
    return spec


@pytest.mark.parametrize(
    ("there", "claims"),
    [
        (live("1Gi"), (claim("s"),)),
        (live("1Gi"), (claim(),)),
        (live("1Gi", "Retain"), (claim("s"),)),
    ],
    ids=["nothing done yet", "the policy is still to delete", "a claim is not let go yet"],
)
def test_the_templates_stay_while_a_claim_could_go_with_the_old_one(
    there: StatefulSet, claims: tuple[PersistentVolumeClaim, ...]
) -> None:
    spec = spec_of(wanted("2Gi"), there, *claims)
    assert spec["volumeClaimTemplates"] == templates("1Gi", volumeMode="Filesystem")
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"
    assert spec["replicas"] == 1


def test_then_they_change_and_the_claims_stay_let_go() -> None:
    spec = spec_of(wanted("2Gi"), live("1Gi", "Retain"), claim(), claim("another"))
    assert spec["volumeClaimTemplates"] == templates("2Gi")
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"


@pytest.mark.parametrize("there", [None, live("2Gi"), live("2Gi", "Retain")])
def test_without_a_change_of_the_templates_all_is_as_wanted(there: StatefulSet | None) -> None:
    assert spec_of(wanted("2Gi"), there, claim("s")) == wanted("2Gi").manifest["spec"]


def test_what_is_no_stateful_set_is_as_wanted() -> None:
    other = Desired(CONFIG_MAP, {"metadata": {"name": "broker-0-master"}, "data": {}})
    assert in_safe_steps([other], [live("1Gi")], [claim("s")]) == [other]


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
@pytest.mark.parametrize("claims", [(claim(),), (claim("s"),)])
def test_the_templates_of_one_that_is_not_to_be_made_anew_stay_and_all_else_is_as_wanted(
    policy: str, claims: tuple[PersistentVolumeClaim, ...]
) -> None:
    kept = msgspec.structs.replace(wanted("2Gi", policy), recreate_for=())
    (one,) = in_safe_steps([kept], [live("1Gi", "Retain")], claims)
    has = templates("1Gi", volumeMode="Filesystem")
    assert one.manifest["spec"] == kept.manifest["spec"] | {"volumeClaimTemplates": has}
