import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.objects import ObjectMeta, ObjectRef
from reconcilers.api.broker import Broker, name_limit
from reconcilers.api.kube import StatefulSet
from reconcilers.api.name_service import NameService
from reconcilers.desired import broker as broker_children
from reconcilers.desired import name_service as name_service_children
from reconcilers.desired import names
from reconcilers.facts import BrokerFacts, NameServers

Make = Callable[..., Any]

LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
FACTS = BrokerFacts(name_servers=NameServers(addresses=("ns:9876",)))


def a_broker(name: str, size: int, replicas: int) -> Broker:
    spec = {"size": size, "replicaPerGroup": replicas, "brokerImage": "i", "storageMode": "NFS"}
    spec["volumeClaimTemplates"] = [{"spec": {}}]
    return msgspec.convert({"metadata": {"name": name, "namespace": "n"}, "spec": spec}, Broker)


def a_name_service(name: str) -> NameService:
    spec = {"size": 100, "nameServiceImage": "i", "storageMode": "EmptyDir"}
    metadata = {"name": name, "namespace": "n"}
    return msgspec.convert({"metadata": metadata, "spec": spec}, NameService)


def manifests(cr: Broker | NameService) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(cr, Broker):
        children = broker_children.desired(cr, FACTS)
    else:
        children = name_service_children.desired(cr, cr.spec.size)
    assert children is not None
    return [(child.resource.kind, child.manifest) for child in children]


@given(st.integers(1, 11), st.integers(0, 16))
def test_the_longest_allowed_name_leaves_room_for_every_child(size: int, replicas: int) -> None:
    cr = a_broker("", size, replicas)
    cr = a_broker("b" * name_limit(cr.spec), size, replicas)
    for kind, manifest in manifests(cr):
        metadata = manifest["metadata"]
        assert len(metadata["name"]) <= (52 if kind == "StatefulSet" else 63)
        assert all(LABEL_VALUE.fullmatch(value) for value in metadata["labels"].values())


def test_every_label_of_the_longest_name_service_is_allowed() -> None:
    for kind, manifest in manifests(a_name_service("n" * 52)):
        metadata = manifest["metadata"]
        # The ConfigMap and the budget have no limit of 63.
        assert len(metadata["name"]) <= (63 if kind in {"Service", "StatefulSet"} else 253)
        assert all(LABEL_VALUE.fullmatch(value) for value in metadata["labels"].values())


def refs(cr: Broker | NameService) -> set[tuple[str, str]]:
    return {(kind, manifest["metadata"]["name"]) for kind, manifest in manifests(cr)}


def test_a_name_service_and_a_broker_of_one_name_share_no_child() -> None:
    assert refs(a_name_service("rocketmq")).isdisjoint(refs(a_broker("rocketmq", 2, 2)))


def test_no_child_is_desired_twice() -> None:
    for cr in (a_broker("b", 11, 2), a_name_service("n")):
        assert len(refs(cr)) == len(manifests(cr))


def test_pods_and_claims_are_called_as_in_the_manual() -> None:
    sets = [m for kind, m in manifests(a_broker("broker", 2, 1)) if kind == "StatefulSet"]
    assert [m["metadata"]["name"] for m in sets] == [
        "broker-0-master",
        "broker-0-replica-1",
        "broker-1-master",
        "broker-1-replica-1",
    ]
    claims = {m["spec"]["volumeClaimTemplates"][0]["metadata"]["name"] for m in sets}
    assert claims == {"broker-storage"}


def selected_by(selector: dict[str, str], pods: list[dict[str, str]]) -> list[int]:
    return [i for i, labels in enumerate(pods) if selector.items() <= labels.items()]


def test_each_stateful_set_selects_its_own_pods_only() -> None:
    sets = [
        manifest["spec"]
        for cr in (a_broker("x", 11, 2), a_broker("x-1", 2, 1), a_name_service("x"))
        for kind, manifest in manifests(cr)
        if kind == "StatefulSet"
    ]
    pods = [spec["template"]["metadata"]["labels"] for spec in sets]
    for index, spec in enumerate(sets):
        assert selected_by(spec["selector"]["matchLabels"], pods) == [index]


def test_a_budget_selects_one_group() -> None:
    children = manifests(a_broker("x", 11, 1))
    pods = [
        m["spec"]["template"]["metadata"]["labels"] for kind, m in children if kind == "StatefulSet"
    ]
    budgets = [m["spec"] for kind, m in children if kind == "PodDisruptionBudget"]
    chosen = [selected_by(spec["selector"]["matchLabels"], pods) for spec in budgets]
    assert chosen == [[2 * group, 2 * group + 1] for group in range(11)]


def test_everything_carries_the_label_by_which_it_is_watched() -> None:
    key, _, value = names.OURS_SELECTOR.partition("=")
    for cr in (a_broker("b", 1, 1), a_name_service("n")):
        for kind, manifest in manifests(cr):
            assert manifest["metadata"]["labels"][key] == value
            if kind == "StatefulSet":
                assert manifest["spec"]["template"]["metadata"]["labels"][key] == value


@pytest.mark.parametrize(
    ("size", "replicas", "surplus"),
    [
        (2, 1, []),
        (1, 1, ["broker-1-master", "broker-1-replica-1"]),
        (2, 0, ["broker-0-replica-1", "broker-1-replica-1"]),
    ],
)
def test_brokers_that_are_not_asked_for_any_more_stay(
    size: int, replicas: int, surplus: list[str]
) -> None:
    sets = ("broker-1-replica-1", "broker-0-master", "broker-0-replica-1", "broker-1-master", "x")
    cr = a_broker("broker", size, replicas)
    found = names.surplus_members(cr, sets)
    assert [member.stateful_set for member in found] == surplus
    there = tuple(StatefulSet(metadata=ObjectMeta(name=name, namespace="n")) for name in sets)
    facts = msgspec.structs.replace(FACTS, sets=there)
    before = broker_children.desired(a_broker("broker", 2, 1), FACTS)
    after = broker_children.desired(cr, facts)
    assert before is not None
    assert after is not None
    assert {_ref(one) for one in before} <= {_ref(one) for one in after}


def _ref(one: Any) -> ObjectRef:
    return ObjectRef(one.resource, "n", one.manifest["metadata"]["name"])
