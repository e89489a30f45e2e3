from __future__ import annotations

from fakes.audit_log import AuditLog
from fakes.clusters import apply_all, broker, children, identities, name_service, wait_ready
from fakes.operator_process import OperatorProcess
from fakes.waiting import eventually
from fakes.witness import Object, Place


def cluster(name: str) -> list[Object]:
    reference = {"name": f"names-{name}"}
    return [
        name_service(f"names-{name}"),
        broker(name, replicaPerGroup=1, nameServiceRef=reference),
    ]


def uids(place: Place) -> set[str]:
    kinds = ("StatefulSet", "Service", "ConfigMap", "PodDisruptionBudget", "Pod")
    return {one["metadata"]["uid"] for kind in kinds for one in place.list(kind)}


def test_two_clusters_in_one_namespace_do_not_see_each_other(
    place: Place, operator: OperatorProcess
) -> None:
    wait_ready(place, *apply_all(place, [*cluster("one"), *cluster("two")]))
    for name in ("one", "two"):
        servers = place.get("Broker", name)["status"]["nameServers"]
        assert servers == f"names-{name}-0.names-{name}-headless.{place.name}.svc:9876"
    of_one = identities(children(place, "Broker", "one"))
    of_two = identities(children(place, "Broker", "two"))
    assert of_one
    assert not of_one & of_two
    place.delete("Broker", "one")
    place.delete("NameService", "names-one")

    def only_the_second() -> None:
        assert place.names("Pod") == {"names-two-0", "two-0-master-0", "two-0-replica-1-0"}

    eventually(only_the_second)
    assert identities(children(place, "Broker", "two")) == of_two
    wait_ready(place, ("Broker", "two"), ("NameService", "names-two"))


def test_every_pod_is_selected_by_one_resource_alone(
    place: Place, operator: OperatorProcess
) -> None:
    wait_ready(place, *apply_all(place, [*cluster("one"), *cluster("two")]))
    pods = place.list("Pod")
    for kind, per_pod in (("StatefulSet", 1), ("PodDisruptionBudget", 1)):
        selectors = [one["spec"]["selector"]["matchLabels"] for one in place.list(kind)]
        for pod in pods:
            labels = pod["metadata"]["labels"].items()
            matching = [selector for selector in selectors if selector.items() <= labels]
            assert len(matching) == per_pod, (kind, pod["metadata"]["name"], matching)
    for service in place.list("Service"):
        owner = service["metadata"]["ownerReferences"][0]["name"]
        for pod in pods:
            if service["spec"]["selector"].items() <= pod["metadata"]["labels"].items():
                assert pod["metadata"]["name"].startswith(f"{owner}-")


def test_clusters_of_equal_names_in_two_namespaces_do_not_see_each_other(
    place: Place, other_place: Place, operator: OperatorProcess, audit: AuditLog
) -> None:
    for one in (place, other_place):
        apply_all(one, cluster("broker"))
    for one in (place, other_place):
        (found, _) = wait_ready(one, ("Broker", "broker"), ("NameService", "names-broker"))
        assert f".{one.name}.svc:" in found["status"]["nameServers"]
    audit.settled(namespace=other_place.name, quiet_s=0.3)
    mark, before = audit.mark(), uids(other_place)
    place.delete("Broker", "broker")
    place.delete("NameService", "names-broker")

    def gone() -> None:
        assert place.names("Pod") == set()

    eventually(gone)
    assert uids(other_place) == before
    assert audit.writes(mark, namespace=other_place.name) == []


def test_a_name_service_and_a_broker_may_have_the_same_name(
    place: Place, operator: OperatorProcess
) -> None:
    resources = apply_all(place, [name_service("mq"), broker("mq", replicaPerGroup=1)])
    wait_ready(place, *resources)
    assert place.names("Pod") == {"mq-0", "mq-0-master-0", "mq-0-replica-1-0"}
    of_service = identities(children(place, "NameService", "mq"))
    of_broker = identities(children(place, "Broker", "mq"))
    assert of_service
    assert of_broker
    assert not of_service & of_broker
    place.delete("Broker", "mq")

    def only_the_name_server() -> None:
        assert place.names("Pod") == {"mq-0"}

    eventually(only_the_name_server)
    assert identities(children(place, "NameService", "mq")) == of_service
    wait_ready(place, ("NameService", "mq"))
