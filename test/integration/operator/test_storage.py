"""Claims: what an edit may do to them, how they grow, and what is said when they cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fakes.audit_log import AuditLog
from fakes.clusters import (
    apply_all,
    broker,
    claims,
    condition,
    name_service,
    wait_condition,
    wait_ready,
)
from fakes.disks import Disks, disks
from fakes.installation import OPERATOR
from fakes.kubelet import Behaviour, Kubelet
from fakes.operator_process import OperatorProcess
from fakes.rocketmq_world import World
from fakes.waiting import eventually, holds
from fakes.witness import Object, Place, Refused


def template(size: object = "1Gi", *, name: str = "data", **spec: Any) -> list[Object]:
    """The volumeClaimTemplates of a spec."""
    claim = claims(name)[0]["spec"] | {"resources": {"requests": {"storage": size}}} | spec
    return [{"metadata": {"name": name}, "spec": claim}]


def with_claims(kind: str, **claim: Any) -> Object:
    make = broker if kind == "Broker" else name_service
    return make(storageMode="StorageClass", volumeClaimTemplates=template(**claim))


BETA: Object = {"annotations": {"volume.beta.kubernetes.io/storage-class": "fast"}}


@pytest.mark.parametrize("kind", ["Broker", "NameService"])
@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"size": "2Gi"}, {"size": "1Gi"}, "the size cannot be lowered"),
        ({"size": "1Gi"}, {"size": "1G"}, "the size cannot be lowered"),
        ({"size": 2000}, {"size": 1999}, "the size cannot be lowered"),
        ({}, {"storageClassName": "fast"}, "the storage class cannot be changed"),
        (
            {"storageClassName": "fast"},
            {"storageClassName": "slow"},
            "the storage class cannot be changed",
        ),
        ({}, {"accessModes": ["ReadWriteMany"]}, "accessModes cannot be changed"),
        ({}, {"name": "other"}, "metadata.name cannot be changed"),
    ],
)
def test_what_no_existing_volume_could_follow_is_refused_with_what_to_do_instead(
    kind: str, before: Object, after: Object, words: str, custom_resources: None, place: Place
) -> None:
    place.apply(with_claims(kind, **before))
    with pytest.raises(Refused) as refused:
        place.apply(with_claims(kind, **after))
    assert refused.value.status == 422
    assert words in refused.value.message
    assert f"create another {kind}" in refused.value.message


@pytest.mark.parametrize("size", ["0", 0, "-1Gi"])
def test_a_size_of_nothing_is_refused(size: object, custom_resources: None, place: Place) -> None:
    with pytest.raises(Refused, match="more than 0"):
        place.create(with_claims("Broker", size=size))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"size": "1Gi"}, {"size": "1024Mi"}),
        ({"size": "1Gi"}, {"size": "2Gi"}),
        ({"size": "1Gi"}, {"size": 2 << 30}),
        ({}, {"accessModes": ["ReadWriteOnce"]}),
        ({"volumeMode": "Filesystem"}, {"volumeMode": "Filesystem", "size": "1.5Gi"}),
    ],
)
def test_what_existing_volumes_can_follow_is_accepted(
    before: Object, after: Object, custom_resources: None, place: Place
) -> None:
    place.apply(with_claims("Broker", **before))
    place.apply(with_claims("Broker", **after))


def test_the_class_may_be_written_in_the_manuals_old_form_or_in_todays(
    custom_resources: None, place: Place
) -> None:
    old = with_claims("Broker")
    old["spec"]["volumeClaimTemplates"][0]["metadata"] |= BETA
    place.apply(old)
    place.apply(with_claims("Broker", storageClassName="fast"))
    with pytest.raises(Refused, match="the storage class cannot be changed"):
        place.apply(with_claims("Broker", storageClassName="slow"))


def test_without_claims_the_template_may_be_anything(custom_resources: None, place: Place) -> None:
    for size in ("2Gi", "1Gi"):
        place.apply(broker(volumeClaimTemplates=template(size, name=f"v{size[0]}")))


SETS = ("broker-0-master", "broker-0-replica-1", "name-service")
CLAIMS = (
    "data-broker-0-master-0",
    "data-broker-0-replica-1-0",
    "data-name-service-0",
    "data-name-service-1",
)
RESOURCES = (("NameService", "name-service"), ("Broker", "broker"))


@pytest.fixture
def storage(place: Place, world: World) -> Iterator[Disks]:
    with disks(place) as made:
        yield made


def on_disks(storage: Disks, size: str, **spec: Any) -> list[Object]:
    """Two name servers and a group of a master and a replica."""
    claims = template(size, storageClassName=storage.storage_class)
    spec = {"storageMode": "StorageClass", "volumeClaimTemplates": claims, **spec}
    return [name_service(size=2, **spec), broker(replicaPerGroup=1, **spec)]


def start(place: Place, storage: Disks, size: str = "1Gi", **spec: Any) -> None:
    apply_all(place, on_disks(storage, size, **spec))
    storage.provide(*CLAIMS)
    wait_ready(place, *RESOURCES)


def set_size(place: Place, storage: Disks, size: str, **spec: Any) -> None:
    apply_all(place, on_disks(storage, size, **spec))


def uids(place: Place, kind: str) -> dict[str, str]:
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in place.list(kind)}


def sizes(storage: Disks) -> set[str]:
    return {storage.asked(name) for name in CLAIMS}


def assert_sets_are_for(place: Place, size: str) -> None:
    for name in SETS:
        spec = place.get("StatefulSet", name)["spec"]
        (claim,) = spec["volumeClaimTemplates"]
        assert claim["spec"]["resources"]["requests"]["storage"] == size
        assert place.get("StatefulSet", name)["status"].get("readyReplicas") == spec["replicas"]


def assert_settled_at(place: Place, size: str) -> None:
    for kind, name in RESOURCES:
        found = place.get(kind, name)
        assert found["status"]["volumeSize"] == size
        assert condition(found, "Progressing")["reason"] == "Settled"
        assert condition(found, "Degraded")["reason"] == "Healthy"
        assert condition(found, "UpToDate")["status"] == "True"


def readiness(place: Place) -> list[str]:
    return [condition(place.get(*one), "Ready")["lastTransitionTime"] for one in RESOURCES]


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_volumes_grow_with_the_spec_while_every_pod_runs_on(
    policy: str, place: Place, storage: Disks, operator: OperatorProcess, audit: AuditLog
) -> None:
    start(place, storage, pvcRetentionPolicy=policy)
    pods, claims, ready = (
        uids(place, "Pod"),
        uids(place, "PersistentVolumeClaim"),
        readiness(place),
    )
    revisions = {name: place.get("StatefulSet", name)["status"]["updateRevision"] for name in SETS}
    owned = eventually(lambda: owners(place, expected=policy == "Delete"))
    set_size(place, storage, "2Gi", pvcRetentionPolicy=policy)
    eventually(lambda: assert_that(sizes(storage) == {"2Gi"}))
    eventually(lambda: assert_sets_are_for(place, "2Gi"))
    for kind, name in RESOURCES:
        wait_condition(place, kind, name, ("True", "GrowingVolumes"), of="Progressing")
    for name in CLAIMS:
        storage.grow(name)
    eventually(lambda: assert_settled_at(place, "2Gi"))
    mark = audit.settled(namespace=place.name, quiet_s=1.0)
    assert uids(place, "Pod") == pods
    assert uids(place, "PersistentVolumeClaim") == claims
    assert readiness(place) == ready
    for name in SETS:
        found = place.get("StatefulSet", name)
        assert found["status"]["updateRevision"] == revisions[name]
        assert found["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == policy
    now_owned = eventually(lambda: owners(place, expected=policy == "Delete"))
    assert now_owned.isdisjoint(owned)
    assert audit.writes(mark, namespace=place.name, user=OPERATOR) == []


def two_groups(place: Place, storage: Disks, size: str, *, wanted: int) -> None:
    """Two groups of a master each, of which the spec asks for so many."""
    names, group = on_disks(storage, size)
    group["spec"] |= {"size": wanted, "replicaPerGroup": 0}
    apply_all(place, [names, group])


def test_a_group_that_is_only_kept_grows_and_keeps_its_stateful_set(
    place: Place, storage: Disks, operator: OperatorProcess, audit: AuditLog
) -> None:
    both = [f"broker-{group}-master" for group in (0, 1)]
    claims = [f"data-{name}-0" for name in both]
    two_groups(place, storage, "1Gi", wanted=2)
    storage.provide(*claims, *CLAIMS[2:])
    wait_ready(place, *RESOURCES)
    sets, pods = uids(place, "StatefulSet"), uids(place, "Pod")
    two_groups(place, storage, "2Gi", wanted=1)
    eventually(lambda: assert_that({storage.asked(name) for name in claims} == {"2Gi"}))
    eventually(lambda: assert_template(place, both[0], "2Gi"))
    audit.settled(namespace=place.name, quiet_s=1.0)
    assert_template(place, both[1], "1Gi")
    assert uids(place, "StatefulSet")[both[1]] == sets[both[1]]
    # As if it had been on its way, wanted still, when the spec was changed.
    place.delete("StatefulSet", both[1], propagationPolicy="Orphan")
    eventually(lambda: assert_made_again(place, both[1], sets[both[1]]))
    assert uids(place, "Pod") == pods


def assert_made_again(place: Place, name: str, before: str) -> None:
    """Another set of this name has the pod of the one before."""
    found = place.get("StatefulSet", name)
    assert found["metadata"]["uid"] != before
    assert found["status"].get("readyReplicas") == 1


def assert_template(place: Place, name: str, size: str) -> None:
    """The set has claims of this size and its pod."""
    found = place.get("StatefulSet", name)
    (claim,) = found["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == size
    assert found["status"].get("readyReplicas") == 1


def assert_that(holds_true: object) -> None:
    assert holds_true


def owners(place: Place, *, expected: bool) -> set[str]:
    """The uids of the StatefulSets that own claims: of all, or of none."""
    found = place.list("PersistentVolumeClaim")
    owning = [owner["uid"] for one in found for owner in one["metadata"].get("ownerReferences", ())]
    assert len(owning) == (len(CLAIMS) if expected else 0)
    if expected:
        assert set(owning) == {uids(place, "StatefulSet")[name] for name in SETS}
    return set(owning)


def test_a_claim_that_somebody_else_made_larger_stays_as_it_is(
    place: Place, storage: Disks, operator: OperatorProcess
) -> None:
    start(place, storage)
    larger, *others = CLAIMS
    spec = {"resources": {"requests": {"storage": "5Gi"}}}
    place.patch("PersistentVolumeClaim", larger, {"spec": spec})
    storage.grow(larger)
    set_size(place, storage, "2Gi")
    eventually(lambda: assert_that({storage.asked(name) for name in others} == {"2Gi"}))
    for name in others:
        storage.grow(name)
    eventually(lambda: assert_that(volume_size(place, "Broker", "broker") == "5Gi"))
    assert storage.asked(larger) == "5Gi"


def volume_size(place: Place, kind: str, name: str) -> str:
    size: str = place.get(kind, name)["status"]["volumeSize"]
    return size


def test_a_class_that_cannot_grow_is_told_with_what_to_do_and_not_asked_all_the_time(
    place: Place, storage: Disks, operator: OperatorProcess, audit: AuditLog
) -> None:
    storage.make_class(expandable=False)
    start(place, storage)
    set_size(place, storage, "2Gi")
    for kind, name in RESOURCES:
        told = wait_condition(place, kind, name, ("True", "VolumeNotGrown"), of="Degraded")
        message = condition(told, "Degraded")["message"]
        assert "not allowed to grow to 2Gi" in message
        assert "allowVolumeExpansion" in message
        assert condition(told, "Ready")["status"] == "True"
    mark = audit.settled(namespace=place.name, quiet_s=1.0)
    holds(lambda: assert_that(sizes(storage) == {"1Gi"}), for_s=3.0)
    assert audit.writes(mark, namespace=place.name, user=OPERATOR) == []
    # What was refused may be taken back, but not below what there is.
    with pytest.raises(Refused, match="the size cannot be lowered"):
        set_size(place, storage, "512Mi")
    set_size(place, storage, "1Gi")
    eventually(lambda: assert_settled_at(place, "1Gi"))
    eventually(lambda: assert_sets_are_for(place, "1Gi"))
    storage.make_class(expandable=True)
    set_size(place, storage, "2Gi")
    eventually(lambda: assert_that(sizes(storage) == {"2Gi"}))


def test_a_growth_that_the_driver_cannot_do_is_told_in_its_words(
    place: Place, storage: Disks, operator: OperatorProcess
) -> None:
    start(place, storage)
    set_size(place, storage, "2Gi")
    eventually(lambda: assert_that(sizes(storage) == {"2Gi"}))
    storage.tell(CLAIMS[0], "ControllerResizeError", "the pool has no room")
    told = wait_condition(place, "Broker", "broker", ("True", "VolumeNotGrown"), of="Degraded")
    message = condition(told, "Degraded")["message"]
    assert f"{CLAIMS[0]} does not grow from 1Gi to 2Gi: the pool has no room" in message


def test_a_disk_so_full_that_its_broker_does_not_start_grows(
    place: Place, storage: Disks, operator: OperatorProcess, kubelet: Kubelet
) -> None:
    start(place, storage)
    claims, master = uids(place, "PersistentVolumeClaim"), "broker-0-master-0"
    kubelet.behave(place.name, master, Behaviour(mood="crash-loop"))
    wait_condition(place, "Broker", "broker", ("True", "PodCrashing"), of="Degraded")
    set_size(place, storage, "2Gi")
    eventually(lambda: assert_that(sizes(storage) == {"2Gi"}))
    told = condition(place.get("Broker", "broker"), "Degraded")
    assert told["reason"] == "PodCrashing", "it grows while the broker is down"
    for name in CLAIMS:
        storage.grow(name)
    kubelet.behave(place.name, master, Behaviour())
    eventually(lambda: assert_settled_at(place, "2Gi"))
    assert uids(place, "PersistentVolumeClaim") == claims


def test_a_claim_that_the_go_operator_made_is_labelled_and_grows_as_well(
    place: Place, storage: Disks, operator: OperatorProcess
) -> None:
    spec = template(storageClassName=storage.storage_class)[0]["spec"]
    metadata = {"name": CLAIMS[0], "labels": {"app": "broker"}}
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    before = place.create({**kind, "metadata": metadata, "spec": spec})["metadata"]["uid"]
    start(place, storage)

    def labelled() -> None:
        found = storage.claim(CLAIMS[0])["metadata"]
        assert found["uid"] == before
        assert found["labels"]["app"] == "broker"
        assert found["labels"]["app.kubernetes.io/managed-by"] == "rocketmq-operator"

    eventually(labelled)
    set_size(place, storage, "2Gi")
    eventually(lambda: assert_that(sizes(storage) == {"2Gi"}))


def test_a_volume_that_is_gone_is_reported_and_its_claim_stays(
    place: Place, storage: Disks, operator: OperatorProcess
) -> None:
    start(place, storage)
    claims = uids(place, "PersistentVolumeClaim")
    storage.lose(CLAIMS[0])
    told = wait_condition(place, "Broker", "broker", ("True", "VolumeLost"), of="Degraded")
    message = condition(told, "Degraded")["message"]
    assert f"the volume of {CLAIMS[0]} does not exist any more" in message
    assert "delete the claim and pod broker-0-master-0" in message
    holds(lambda: assert_that(uids(place, "PersistentVolumeClaim") == claims), for_s=1.0)


def test_what_becomes_of_the_claims_at_the_end_can_be_changed_at_any_time(
    place: Place, storage: Disks, operator: OperatorProcess
) -> None:
    start(place, storage)
    sets, pods = uids(place, "StatefulSet"), uids(place, "Pod")
    for policy in ("Delete", "Retain"):
        set_size(place, storage, "1Gi", pvcRetentionPolicy=policy)
        eventually(lambda policy=policy: owners(place, expected=policy == "Delete"))
    assert uids(place, "StatefulSet") == sets
    assert uids(place, "Pod") == pods
