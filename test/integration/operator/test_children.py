from __future__ import annotations

import json
from typing import Any

import pytest

from fakes.clusters import (
    CHILD_KINDS,
    apply_all,
    broker,
    children,
    identities,
    name_service,
    small_cluster,
    wait_condition,
    wait_ready,
)
from fakes.operator_process import OperatorProcess
from fakes.waiting import eventually, holds
from fakes.witness import Object, Place

RESOURCES = (("NameService", "name-service"), ("Broker", "broker"))


@pytest.mark.parametrize("kind", CHILD_KINDS)
def test_a_deleted_child_comes_back(kind: str, place: Place, operator: OperatorProcess) -> None:
    small_cluster(place)
    before = [child for resource in RESOURCES for child in children(place, *resource)]
    deleted = {child["metadata"]["uid"] for child in before if child["kind"] == kind}
    assert deleted
    for child in before:
        if child["kind"] == kind:
            place.delete(kind, child["metadata"]["name"])

    def back() -> None:
        now = [child for resource in RESOURCES for child in children(place, *resource)]
        assert identities(now) == identities(before)
        assert not deleted & {child["metadata"]["uid"] for child in now}

    eventually(back)
    wait_ready(place, *RESOURCES)


def test_a_deleted_pod_comes_back(place: Place, operator: OperatorProcess) -> None:
    small_cluster(place)
    before = {pod["metadata"]["uid"] for pod in place.list("Pod")}
    names = place.names("Pod")
    for name in names:
        place.delete("Pod", name)

    def back() -> None:
        assert place.names("Pod") == names
        assert not before & {pod["metadata"]["uid"] for pod in place.list("Pod")}

    eventually(back)
    wait_ready(place, *RESOURCES)


@pytest.mark.parametrize(
    ("kind", "edit", "others"),
    [
        pytest.param(
            "StatefulSet",
            {"spec": {"replicas": 0, "template": {"metadata": {"labels": {"app": None}}}}},
            {"spec": {"template": {"spec": {"enableServiceLinks": False}}}},
            id="StatefulSet",
        ),
        pytest.param(
            "Service",
            {"spec": {"selector": {"app.kubernetes.io/instance": "wrong"}}},
            {"spec": {"internalTrafficPolicy": "Local"}},
            id="Service",
        ),
        pytest.param("ConfigMap", {"data": None}, {"data": {"theirs": "stays"}}, id="ConfigMap"),
        pytest.param(
            "PodDisruptionBudget",
            {"spec": {"maxUnavailable": 7}, "metadata": {"labels": {"extra": "theirs"}}},
            {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}},
            id="PodDisruptionBudget",
        ),
    ],
)
def test_an_edited_child_is_put_back_while_fields_of_others_stay(
    kind: str, edit: Object, others: Object, place: Place, operator: OperatorProcess
) -> None:
    small_cluster(place)
    note = {"metadata": {"annotations": {"example.com/owner": "somebody"}}}
    before = {
        child["metadata"]["name"]: child
        for resource in RESOURCES
        for child in children(place, *resource)
        if child["kind"] == kind
    }
    for name in before:
        place.patch(kind, name, edit)
        place.patch(kind, name, _merged(note, others))

    def put_back() -> None:
        for name, child in before.items():
            now = place.get(kind, name)
            assert _content(now) == _content(_merged(child, _merged(others, _labels(now))))
            assert now["metadata"]["annotations"]["example.com/owner"] == "somebody"

    eventually(put_back)
    holds(put_back, for_s=0.5)


@pytest.mark.parametrize("kind", CHILD_KINDS)
def test_a_child_that_nobody_wants_any_more_is_removed(
    kind: str, place: Place, operator: OperatorProcess
) -> None:
    (owner,) = wait_ready(place, *apply_all(place, [name_service()]))
    wanted = identities(children(place, "NameService", "name-service"))
    surplus = _foreign(kind, "of-an-earlier-release")
    surplus["metadata"] |= {
        "labels": {"app.kubernetes.io/managed-by": "rocketmq-operator"},
        "ownerReferences": [_controlled_by(owner)],
    }
    place.create(surplus)

    def removed() -> None:
        assert place.find(kind, "of-an-earlier-release") is None

    eventually(removed)
    assert identities(children(place, "NameService", "name-service")) == wanted


def _controlled_by(owner: Object) -> Object:
    identity = {key: owner["metadata"][key] for key in ("name", "uid")}
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], **identity} | {
        "controller": True
    }


def test_a_renumbered_port_of_a_service_is_put_back(
    place: Place, operator: OperatorProcess
) -> None:
    wait_ready(place, *apply_all(place, [name_service()]))
    before = place.get("Service", "name-service")["spec"]["ports"]
    edited = [{**port, "port": port["port"] + 1} for port in before]
    place.patch("Service", "name-service", {"spec": {"ports": edited}})

    def put_back() -> None:
        assert place.get("Service", "name-service")["spec"]["ports"] == before

    eventually(put_back, within_s=3)


def _labels(child: Object) -> Object:
    """Labels that somebody else added stay."""
    extra = child["metadata"]["labels"].get("extra")
    return {"metadata": {"labels": {"extra": extra}}} if extra else {}


def _content(child: Object) -> Object:
    """What somebody wants of an object: not its history, not what was observed."""
    return {
        "labels": child["metadata"]["labels"],
        "spec": child.get("spec"),
        "data": child.get("data"),
    }


def _merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: _merged(one.get(key), other.get(key, one.get(key))) for key in one | other}
    return other if other is not None else one


def _foreign(kind: str, name: str) -> Object:
    labels = {"app": "theirs"}
    if kind == "StatefulSet":
        container = {"name": "theirs", "image": "example.org/theirs:1"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec: Object = {"replicas": 0, "serviceName": "theirs", "template": template}
        spec["selector"] = {"matchLabels": labels}
        return _typed("apps/v1", kind, name, spec=spec)
    if kind == "Service":
        return _typed("v1", kind, name, spec={"selector": labels, "ports": [{"port": 80}]})
    if kind == "PodDisruptionBudget":
        budget: Object = {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
        return _typed("policy/v1", kind, name, spec=budget)
    return _typed("v1", kind, name, data={"theirs": "1"})


def _settled(place: Place, kind: str, name: str) -> Object:
    """The object after its controller has seen it for the first time."""
    found = place.get(kind, name)
    assert kind != "StatefulSet" or found["status"].get("currentRevision")
    return found


def _typed(version: str, kind: str, name: str, **parts: Object) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **parts}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("StatefulSet", "name-service"),
        ("Service", "name-service-headless"),
        ("ConfigMap", "name-service-name-servers"),
    ],
)
def test_an_object_of_somebody_else_is_not_taken_over(
    kind: str, name: str, place: Place, operator: OperatorProcess
) -> None:
    place.create(_foreign(kind, name))
    theirs = json.dumps(eventually(lambda: _settled(place, kind, name)), sort_keys=True)
    place.apply(name_service())
    refused = wait_condition(place, "NameService", "name-service", ("False", "WriteRefused"))
    (ready,) = (one for one in refused["status"]["conditions"] if one["type"] == "Ready")
    assert name in ready["message"]

    def untouched() -> None:
        assert json.dumps(place.get(kind, name), sort_keys=True) == theirs

    holds(untouched, for_s=1.0)
    place.delete(kind, name)
    # It is tried again once a minute, and at once when the resource changes.
    place.patch("NameService", "name-service", {"spec": {"podAnnotations": {"try": "again"}}})
    wait_ready(place, ("NameService", "name-service"))


def test_a_foreign_stateful_set_with_a_brokers_name_is_left_alone(
    place: Place, operator: OperatorProcess
) -> None:
    place.create(_foreign("StatefulSet", "broker-0-master"))
    theirs = place.get("StatefulSet", "broker-0-master")
    apply_all(place, [name_service(), broker(replicaPerGroup=1)])
    wait_condition(place, "Broker", "broker", ("False", "WriteRefused"))
    assert place.get("StatefulSet", "broker-0-master")["spec"] == theirs["spec"]
    assert "ownerReferences" not in place.get("StatefulSet", "broker-0-master")["metadata"]
