from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from fakes.audit_log import AuditLog
from fakes.clusters import (
    SAMPLES,
    apply_all,
    broker,
    children,
    documents,
    identities,
    name_service,
    small_cluster,
    wait_ready,
)
from fakes.installation import OPERATOR, install_crds, remove_crds
from fakes.kubelet import Behaviour, Kubelet
from fakes.operator_process import OperatorProcess, Operators
from fakes.waiting import eventually, holds
from fakes.witness import Object, Place, Witness

SAMPLE_SETS = (
    ("nameservice_cr", "broker_cr"),
    ("nameservice_full", "broker_full"),
    ("rocketmq_cluster",),
    ("storageclass",),
    ("hostpath",),
    ("hostnetwork",),
)
GROUPS = 4


@pytest.fixture
def no_crds(witness: Witness, custom_resources: None) -> Iterator[None]:
    """A cluster in which nobody has installed the CRDs yet; afterwards they are there again."""
    remove_crds(witness)
    yield
    install_crds(witness)


def test_an_operator_that_is_there_before_the_crds_serves_them_when_they_come(
    operators: Operators, no_crds: None, place: Place
) -> None:
    operator = operators.start(wait=False)
    eventually(lambda: _assert_alive(operator))
    holds(lambda: _assert_not_ready(operator), for_s=1.0)
    install_crds(place.witness)
    operator.wait_ready()
    small_cluster(place)


def _assert_alive(operator: OperatorProcess) -> None:
    assert operator.is_alive()


def _assert_not_ready(operator: OperatorProcess) -> None:
    assert operator.exit_code is None
    assert not operator.is_ready()


def test_resources_that_were_there_first_are_served(operators: Operators, place: Place) -> None:
    resources = apply_all(place, [broker(replicaPerGroup=1), name_service()])
    operators.start()
    wait_ready(place, *resources)


def test_a_restarted_operator_writes_nothing_whatever_the_sample(
    operators: Operators, places: Callable[[], Place], audit: AuditLog
) -> None:
    first = operators.start()
    made = {}
    for names in SAMPLE_SETS:
        paths = [SAMPLES / f"rocketmq_v1alpha1_{name}.yaml" for name in names]
        here = places()
        made[here] = apply_all(here, documents(*paths))
    for here, resources in made.items():
        wait_ready(here, *resources)
    audit.settled(user=OPERATOR, quiet_s=0.5)
    assert first.terminate() == 0
    mark = audit.mark()
    second = operators.start()

    def all_looked_at() -> None:
        assert _reconciles(second) >= sum(len(resources) for resources in made.values())

    eventually(all_looked_at)
    audit.settled(user=OPERATOR, quiet_s=1.0)
    here = {place.name for place in made}
    writes = [one for one in audit.writes(mark, user=OPERATOR) if one.namespace in here]
    assert [str(one) for one in writes] == []


def _reconciles(operator: OperatorProcess) -> float:
    metrics = operator.metrics()
    return sum(
        value
        for name, value in metrics.items()
        if name.startswith("controller_runtime_reconcile_total{")
    )


def big_cluster() -> list[Object]:
    return [name_service(size=2), broker(size=GROUPS, replicaPerGroup=1)]


def pods_of_big_cluster() -> set[str]:
    brokers = {f"broker-{group}-{role}-0" for group in range(GROUPS) for role in ROLES}
    return brokers | {"name-service-0", "name-service-1"}


ROLES = ("master", "replica-1")


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("moment", [1, 4])
def test_an_operator_that_ends_in_the_middle_of_its_work_is_continued_by_the_next(
    how: str, moment: int, operators: Operators, place: Place, kubelet: Kubelet
) -> None:
    kubelet.behave(place.name, "*", Behaviour(ready_after_s=0.2))
    first = operators.start()
    apply_all(place, big_cluster())

    def begun() -> None:
        assert len(place.names("StatefulSet")) >= moment

    eventually(begun)
    if how == "SIGTERM":
        assert first.terminate() == 0
    else:
        first.kill()
    before = {one["metadata"]["uid"] for one in place.list("StatefulSet")}
    operators.start()
    wait_ready(place, ("NameService", "name-service"), ("Broker", "broker"))
    assert place.names("Pod") == pods_of_big_cluster()
    assert before <= {one["metadata"]["uid"] for one in place.list("StatefulSet")}


def test_what_was_deleted_or_edited_while_no_operator_ran_is_put_right_by_the_next(
    operators: Operators, place: Place
) -> None:
    first = operators.start()
    small_cluster(place)
    before = identities(children(place, "Broker", "broker"))
    assert first.terminate() == 0
    place.delete("StatefulSet", "broker-0-replica-1")
    place.delete("Service", "name-service-headless")
    place.patch("ConfigMap", "broker-brokers", {"data": None})
    operators.start()

    def put_right() -> None:
        assert identities(children(place, "Broker", "broker")) == before
        assert place.get("ConfigMap", "broker-brokers").get("data")
        assert place.find("Service", "name-service-headless")

    eventually(put_right)
    wait_ready(place, ("NameService", "name-service"), ("Broker", "broker"))


def test_resources_deleted_while_no_operator_ran_stay_deleted(
    operators: Operators, place: Place, audit: AuditLog
) -> None:
    first = operators.start()
    small_cluster(place)
    assert first.terminate() == 0
    place.delete("Broker", "broker")
    place.delete("NameService", "name-service")
    operators.start()

    def gone() -> None:
        assert place.names("StatefulSet") == set()
        assert place.names("Pod") == set()

    eventually(gone)
    mark = audit.settled(namespace=place.name, quiet_s=0.5)
    holds(gone, for_s=0.5)
    assert audit.writes(mark, namespace=place.name) == []


def test_deleting_the_crds_under_a_running_operator_ends_nothing_but_the_clusters(
    operators: Operators, place: Place, witness: Witness
) -> None:
    operator = operators.start()
    small_cluster(place)
    with ExitStack() as stack:
        stack.callback(install_crds, witness)
        remove_crds(witness)

        def gone() -> None:
            assert place.names("Pod") == set()

        eventually(gone)
        assert operator.is_alive()
    small_cluster(place)
