"""The scripts that install and remove the operator; the last tests, for they leave nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from e2e.cluster import RealCluster, run
from e2e.deployed_operator import Operator, operator_in
from e2e.resources import BROKER, NAME_SERVICE, apply, changed, sample
from e2e.waiting import servers, wait_ready, within
from fakes.control_plane import ROOT
from fakes.witness import Object, Place, Witness

RESOURCES = [NAME_SERVICE, BROKER]
CLAIMS = {"namesrv-storage-name-service-0", "broker-storage-broker-0-master-0"}
KINDS = tuple(
    f"{plural}.rocketmq.apache.org" for plural in ("brokers", "nameservices", "topictransfers")
)
OTHER_NAMESPACE = "messaging-operator"


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Place:
    place = make_namespace("installation")
    apply(place, (changed(one, size=1, **_alone(one)) for one in sample("storageclass")))
    wait_ready(place, RESOURCES)
    return place


def _alone(resource: Object) -> Object:
    return {"replicaPerGroup": 0} if resource["kind"] == "Broker" else {}


@pytest.fixture(scope="module")
def elsewhere(cluster: RealCluster, witness: Witness, operator: Operator) -> Operator:
    """The operator of another namespace, not installed yet."""
    return operator_in(cluster, witness, operator.image, OTHER_NAMESPACE)


def test_installing_twice_changes_nothing(place: Place, operator: Operator) -> None:
    before = (_crds(place), operator.pod()["metadata"]["uid"])
    run(
        ("sh", str(ROOT / "install-operator.sh")),
        environment={**operator.cluster.environment(), "IMAGE": operator.image},
    )
    assert (_crds(place), operator.pod()["metadata"]["uid"]) == before


def _crds(place: Place) -> dict[str, tuple[str, int]]:
    found = [place.witness.get("CustomResourceDefinition", "", name)["metadata"] for name in KINDS]
    return {one["name"]: (one["uid"], one["generation"]) for one in found}


def test_undeploy_leaves_resources_pods_and_claims_as_they_are(
    place: Place, operator: Operator
) -> None:
    before = _identities(place)
    operator.script("undeploy")
    within(60, lambda: _assert_none(operator))
    assert _identities(place) == before
    assert set(_crds(place)) == set(KINDS)


def _assert_none(operator: Operator) -> None:
    assert operator.pods() == []


def _identities(place: Place) -> set[str]:
    """Uids of everything that a user would miss."""
    kinds = ("NameService", "Broker", "StatefulSet", "Service", "ConfigMap", "Pod")
    claims = place.list("PersistentVolumeClaim")
    found = [item for kind in kinds for item in place.list(kind)]
    return {item["metadata"]["uid"] for item in (*found, *claims)}


def test_deployed_into_another_namespace_it_takes_the_clusters_over_without_a_restart(
    place: Place, elsewhere: Operator
) -> None:
    before = _identities(place)
    elsewhere.script("deploy")
    elsewhere.wait_ready()
    within(30, lambda: _assert_reconciled(elsewhere))
    assert _identities(place) == before
    lost = place.get("ConfigMap", "broker-brokers")["metadata"]["uid"]
    place.delete("ConfigMap", "broker-brokers")

    def back() -> None:
        assert place.get("ConfigMap", "broker-brokers")["metadata"]["uid"] != lost

    within(30, back)


def _assert_reconciled(operator: Operator) -> None:
    assert operator.reconciled() >= len(RESOURCES)


def test_purge_says_what_goes_and_without_consent_nothing_does(
    place: Place, elsewhere: Operator
) -> None:
    before = _identities(place)
    with pytest.raises(AssertionError) as refused:
        elsewhere.script("purge", CONFIRM="")
    said = str(refused.value)
    for kind, name in RESOURCES:
        assert [kind, place.name, name] in [line.split() for line in said.splitlines()]
    assert _identities(place) == before
    assert elsewhere.pod()


def test_purge_keeps_a_namespace_for_the_sake_of_claims_in_it(elsewhere: Operator) -> None:
    template = sample("storageclass")[1]["spec"]["volumeClaimTemplates"][0]
    labels = {"app.kubernetes.io/name": "rocketmq"}
    metadata = {**template["metadata"], "labels": labels}
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    elsewhere.place.create({**kind, "metadata": metadata, "spec": template["spec"]})
    assert "stays, because it holds" in elsewhere.script("purge", CONFIRM="yes")
    assert elsewhere.place.names("PersistentVolumeClaim") == {metadata["name"]}
    elsewhere.place.delete("PersistentVolumeClaim", metadata["name"])


def test_purge_removes_everything_but_the_claims_of_clusters(
    place: Place, elsewhere: Operator, witness: Witness
) -> None:
    run(
        ("sh", str(ROOT / "purge-operator.sh")),
        environment={
            **elsewhere.cluster.environment(),
            "NAMESPACE": OTHER_NAMESPACE,
            "CONFIRM": "yes",
        },
    )

    def gone() -> None:
        assert servers(place) == []
        assert not any(witness.find("CustomResourceDefinition", "", name) for name in KINDS)
        assert witness.find("Namespace", "", OTHER_NAMESPACE) is None
        assert "rocketmq-operator" not in _cluster_wide(elsewhere)

    within(120, gone)
    assert place.names("PersistentVolumeClaim") == CLAIMS


def _cluster_wide(operator: Operator) -> str:
    """Names of the roles and bindings of the whole cluster."""
    kinds = "clusterroles,clusterrolebindings"
    items = json.loads(operator.place.kubectl("get", kinds, "-o", "json"))["items"]
    return " ".join(item["metadata"]["name"] for item in items)
