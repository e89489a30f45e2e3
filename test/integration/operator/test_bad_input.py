from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from fakes.clusters import (
    CHILD_KINDS,
    MANUALS,
    apply_all,
    broker,
    condition,
    name_service,
    wait_condition,
    wait_ready,
)
from fakes.control_plane import ControlPlane, kubectl_in
from fakes.installation import crds, install_crds
from fakes.operator_process import OperatorProcess
from fakes.waiting import eventually, holds
from fakes.witness import Object, Place, Refused, Witness

REFUSED = yaml.safe_load((MANUALS / "refused.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def refusing(control_plane: ControlPlane, witness: Witness, custom_resources: None) -> Place:
    """A place for what is refused: nothing is made, so that no test needs one of its own."""
    return Place(witness, "default", kubectl_in(control_plane, "default"))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in REFUSED])
def test_the_api_server_refuses_and_says_what_to_change(case: Object, refusing: Place) -> None:
    with pytest.raises(Refused) as refused:
        refusing.create(case["object"])
    assert refused.value.status == 422
    assert case.get("rule", case.get("schema")) in refused.value.message


@pytest.mark.parametrize(
    ("spec", "field", "remedy"),
    [
        ({"size": 0}, "spec.size", "greater than or equal to 1"),
        ({"storageMode": "Ceph"}, "spec.storageMode", '"StorageClass"'),
        ({"storageMode": "HostPath"}, "hostPath", "absolute directory"),
        (
            {"storageMode": "StorageClass", "volumeClaimTemplates": []},
            "volumeClaimTemplates[0].spec.resources.requests.storage",
            "e.g. 8Gi",
        ),
        ({"nameServers": "garbage"}, "spec.nameServers", ":"),
        ({"podTemplateRevision": 2}, "spec.podTemplateRevision", "less than or equal to 1"),
    ],
)
def test_the_words_of_a_refusal_name_the_field_and_the_remedy(
    spec: dict[str, Any], field: str, remedy: str, refusing: Place
) -> None:
    with pytest.raises(Refused) as refused:
        refusing.create(broker(**spec))
    assert field in refused.value.message
    assert remedy in refused.value.message


@pytest.mark.parametrize(
    ("manifest", "limit"),
    [
        (broker("b" * 41, replicaPerGroup=1), "-replica-<n> may have at most 52 characters"),
        (broker("b" * 43, size=11), "too long for this size and replicaPerGroup"),
        (broker("b" * 44), "43 bytes"),
        (name_service("n" * 53), "52 bytes"),
    ],
)
def test_a_name_over_the_limit_is_refused_with_the_limit(
    manifest: Object, limit: str, refusing: Place
) -> None:
    with pytest.raises(Refused) as refused:
        refusing.create(manifest)
    assert "metadata.name" in refused.value.message
    assert limit in refused.value.message


def test_names_at_the_limit_work(place: Place, operator: OperatorProcess) -> None:
    service, group = "n" * 52, "b" * 40
    resources = apply_all(place, [name_service(service), broker(group, replicaPerGroup=1)])
    wait_ready(place, *resources)
    assert place.names("Pod") == {
        f"{service}-0",
        f"{group}-0-master-0",
        f"{group}-0-replica-1-0",
    }


@pytest.mark.allows_errors
@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"clusterMode": "CONTROLLER"}, "UnsupportedClusterMode", "spec.clusterMode"),
        ({"addresses": {"other-0-master-0": "a"}}, "InvalidAddresses", "spec.addresses"),
        ({"nameServers": "10.0.0.1:0"}, "InvalidNameServers", "spec.nameServers"),
    ],
)
def test_what_only_the_operator_can_judge_stands_on_the_status(
    spec: dict[str, Any], reason: str, words: str, place: Place, operator: OperatorProcess
) -> None:
    place.apply(broker(**spec))
    refused = wait_condition(place, "Broker", "broker", ("False", reason))
    assert words in condition(refused)["message"]
    assert condition(refused, "Degraded")["status"] == "True"
    holds(lambda: assert_no_children(place), for_s=0.5)


@pytest.fixture
def without_limits(witness: Witness, custom_resources: None) -> Iterator[None]:
    """CRDs as the Go operator's: `size` may be 0; with the test the limits come back."""
    for crd in crds():
        (version,) = crd["spec"]["versions"]
        fields = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        fields.get("size", {}).pop("minimum", None)
        witness.apply(crd)
    yield
    install_crds(witness)


@pytest.mark.allows_errors
@pytest.mark.parametrize("manifest", [name_service(size=0), broker(size=0)])
def test_a_resource_stored_under_an_older_schema_says_which_field_to_correct(
    manifest: Object, without_limits: None, place: Place, operator: OperatorProcess
) -> None:
    eventually(lambda: _apply_accepted(place, manifest))
    install_crds(place.witness)
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    told = wait_condition(place, kind, name, ("False", "InvalidSpec"))
    assert "spec.size" in condition(told)["message"]
    assert_no_children(place)
    place.apply(name_service())
    place.patch(kind, name, {"spec": {"size": 1}})
    wait_ready(place, (kind, name))


def _apply_accepted(place: Place, manifest: Object) -> None:
    try:
        place.apply(manifest)
    except Refused as refused:  # the server takes a moment to heed a new schema
        raise AssertionError(str(refused)) from refused


@pytest.mark.allows_errors
def test_an_invalid_resource_is_served_once_it_is_corrected(
    place: Place, operator: OperatorProcess
) -> None:
    place.apply(name_service())
    place.apply(broker(clusterMode="CONTROLLER"))
    wait_condition(place, "Broker", "broker", ("False", "UnsupportedClusterMode"))
    place.apply(broker(clusterMode="STATIC"))
    wait_ready(place, ("Broker", "broker"))


def test_a_broker_without_a_name_service_waits_for_one(
    place: Place, operator: OperatorProcess
) -> None:
    place.apply(broker())
    wait_condition(place, "Broker", "broker", ("False", "NameServiceNotFound"))
    assert_no_children(place)
    place.apply(name_service())
    wait_ready(place, ("Broker", "broker"))


def test_a_reference_to_no_name_service_names_it(place: Place, operator: OperatorProcess) -> None:
    place.apply(name_service())
    place.apply(broker(nameServiceRef={"name": "missing"}))
    waiting = wait_condition(place, "Broker", "broker", ("False", "NameServiceNotFound"))
    assert "missing" in condition(waiting)["message"]
    place.apply(name_service("missing"))
    wait_ready(place, ("Broker", "broker"))


def test_a_second_name_service_later_does_not_stop_a_broker_that_runs(
    place: Place, operator: OperatorProcess
) -> None:
    wait_ready(place, *apply_all(place, [name_service(), broker()]))
    before = place.get("StatefulSet", "broker-0-master")["metadata"]["uid"]
    place.apply(name_service("second"))
    wait_condition(place, "Broker", "broker", ("False", "AmbiguousNameService"))

    def untouched() -> None:
        assert place.get("StatefulSet", "broker-0-master")["metadata"]["uid"] == before

    holds(untouched, for_s=0.5)
    place.patch("Broker", "broker", {"spec": {"nameServiceRef": {"name": "name-service"}}})
    wait_ready(place, ("Broker", "broker"))
    untouched()


@pytest.mark.parametrize("key", ["brokerName", "brokerId", "listenPort"])
def test_configuration_keys_of_ours_are_named_as_being_without_effect(
    key: str, place: Place, operator: OperatorProcess
) -> None:
    apply_all(place, [name_service(), broker(config={key: "1", "flushDiskType": "SYNC_FLUSH"})])
    (found,) = wait_ready(place, ("Broker", "broker"))
    accepted = condition(found, "ConfigurationAccepted")
    assert accepted["reason"] == "IdentityKeysIgnored"
    assert key in accepted["message"]
    assert "flushDiskType" not in accepted["message"]


def assert_no_children(place: Place) -> None:
    made = {(kind, name) for kind in CHILD_KINDS for name in place.names(kind)}
    assert made == {("ConfigMap", "kube-root-ca.crt")}
