from __future__ import annotations

from fakes.audit_log import AuditLog
from fakes.clusters import (
    apply_all,
    broker,
    condition,
    name_service,
    small_cluster,
    wait_condition,
    wait_ready,
)
from fakes.installation import OPERATOR
from fakes.operator_process import OperatorProcess, Operators
from fakes.rocketmq_world import World
from fakes.waiting import eventually, holds
from fakes.witness import Place


def broker_reconciles(operator: OperatorProcess) -> float:
    metrics = operator.metrics().items()
    counted = 'controller_runtime_reconcile_total{controller="broker",'
    found = [value for name, value in metrics if name.startswith(counted)]
    assert found
    return sum(found)


def test_an_operator_of_one_namespace_neither_serves_nor_asks_about_another(
    operators: Operators, place: Place, other_place: Place, audit: AuditLog
) -> None:
    mark = audit.mark()
    operators.start("--watch-namespaces", place.name)
    apply_all(other_place, [name_service(), broker()])
    small_cluster(place)
    assert other_place.names("Pod") == set()
    assert "status" not in other_place.get("Broker", "broker")
    asked = {one.namespace for one in audit.calls(mark, user=OPERATOR)}
    assert asked == {place.name}


def test_an_operator_of_two_namespaces_serves_both(
    operators: Operators, place: Place, other_place: Place
) -> None:
    operators.start("--watch-namespaces", f"{place.name},{other_place.name}")
    small_cluster(place)
    small_cluster(other_place)


def test_a_choice_that_only_the_user_can_make_is_said_once_and_not_tried_again(
    operators: Operators, place: Place, world: World, audit: AuditLog
) -> None:
    operator = operators.start("--watch-namespaces", place.name)
    for kind, name in apply_all(place, [name_service("one"), name_service("two")]):
        wait_ready(place, (kind, name))
        wait_condition(place, kind, name, ("False", "Settled"), of="Progressing")
    place.apply(broker())
    unsure = wait_condition(place, "Broker", "broker", ("False", "AmbiguousNameService"))
    message = condition(unsure)["message"]
    assert all(word in message for word in ("one", "two", "spec.nameServiceRef"))
    mark = audit.settled(namespace=place.name, quiet_s=0.5)
    count, lines = broker_reconciles(operator), len(operator.log_lines())

    def nothing_happens() -> None:
        assert broker_reconciles(operator) == count
        assert len(operator.log_lines()) == lines

    holds(nothing_happens, for_s=2.0)
    assert audit.writes(mark, namespace=place.name) == []
    eventually(lambda: assert_one_event(place))
    assert [name for name in place.names("StatefulSet") if name.startswith("broker")] == []
    assert [name for name in place.names("ConfigMap") if name.startswith("broker")] == []
    place.patch("Broker", "broker", {"spec": {"nameServiceRef": {"name": "two"}}})
    (ready,) = wait_ready(place, ("Broker", "broker"))
    assert ready["status"]["nameServers"] == f"two-0.two-headless.{place.name}.svc:9876"


def assert_one_event(place: Place) -> None:
    found = [one for one in place.list("Event") if one["reason"] == "AmbiguousNameService"]
    assert [(one["regarding"]["name"], one["type"]) for one in found] == [("broker", "Warning")]
    assert found[0].get("series") is None
