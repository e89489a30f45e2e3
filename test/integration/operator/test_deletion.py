from __future__ import annotations

from fakes.audit_log import AuditLog
from fakes.clusters import (
    CHILD_KINDS,
    apply_all,
    broker,
    children,
    claims,
    identities,
    name_service,
    small_cluster,
    wait_ready,
)
from fakes.installation import OPERATOR
from fakes.operator_process import OperatorProcess
from fakes.waiting import eventually, holds
from fakes.witness import Object, Place

CLAIMS = {
    "namesrv-storage-name-service-0",
    "broker-storage-broker-0-master-0",
    "broker-storage-broker-0-replica-1-0",
}
RESOURCES = (("NameService", "name-service"), ("Broker", "broker"))


def cluster(policy: str) -> list[Object]:
    storage = {"storageMode": "StorageClass", "pvcRetentionPolicy": policy}
    return [
        name_service(volumeClaimTemplates=claims("namesrv-storage"), **storage),
        broker(replicaPerGroup=1, volumeClaimTemplates=claims("broker-storage"), **storage),
    ]


def delete_all(place: Place) -> None:
    place.kubectl("delete", "nameservice/name-service", "broker/broker", "--wait=true")


def assert_no_children(place: Place) -> None:
    left = {(kind, name) for kind in CHILD_KINDS for name in place.names(kind)}
    assert left <= {("ConfigMap", "kube-root-ca.crt")}
    assert place.names("Pod") == set()


def test_deleting_the_resources_removes_the_children_and_keeps_the_claims(
    place: Place, operator: OperatorProcess, audit: AuditLog
) -> None:
    wait_ready(place, *apply_all(place, cluster("Retain")))
    assert place.names("PersistentVolumeClaim") == CLAIMS
    delete_all(place)
    eventually(lambda: assert_no_children(place))
    holds(lambda: assert_no_children(place), for_s=0.5)
    kept = place.list("PersistentVolumeClaim")
    assert {one["metadata"]["name"] for one in kept} == CLAIMS
    assert not any("deletionTimestamp" in one["metadata"] for one in kept)


def test_kept_claims_are_used_again_by_resources_of_the_same_name(
    place: Place, operator: OperatorProcess
) -> None:
    wait_ready(place, *apply_all(place, cluster("Retain")))
    before = {one["metadata"]["uid"] for one in place.list("PersistentVolumeClaim")}
    delete_all(place)
    eventually(lambda: assert_no_children(place))
    wait_ready(place, *apply_all(place, cluster("Retain")))
    assert {one["metadata"]["uid"] for one in place.list("PersistentVolumeClaim")} == before


def test_with_the_policy_delete_the_claims_go_as_well(
    place: Place, operator: OperatorProcess
) -> None:
    wait_ready(place, *apply_all(place, cluster("Delete")))
    assert place.names("PersistentVolumeClaim") == CLAIMS
    delete_all(place)

    def gone() -> None:
        assert_no_children(place)
        assert place.names("PersistentVolumeClaim") == set()

    eventually(gone)


def test_a_resource_that_goes_takes_nothing_of_the_other_with_it(
    place: Place, operator: OperatorProcess
) -> None:
    small_cluster(place)
    of_broker = identities(children(place, "Broker", "broker"))
    place.kubectl("delete", "nameservice/name-service", "--wait=true")

    def only_the_brokers() -> None:
        assert place.names("Pod") == {"broker-0-master-0", "broker-0-replica-1-0"}
        assert identities(children(place, "Broker", "broker")) == of_broker

    eventually(only_the_brokers)
    holds(only_the_brokers, for_s=0.5)


def test_nothing_is_made_again_in_a_namespace_that_goes(
    other_place: Place, operator: OperatorProcess, audit: AuditLog
) -> None:
    small_cluster(other_place)
    mark = audit.mark()
    other_place.witness.delete("Namespace", "", other_place.name)

    def gone() -> None:
        assert other_place.list("Broker") == other_place.list("NameService") == []
        assert_no_children(other_place)

    eventually(gone)
    tried = audit.writes(mark, user=OPERATOR, namespace=other_place.name)
    assert len(tried) < 60, "it does not give up"
