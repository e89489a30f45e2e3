from __future__ import annotations

from pathlib import Path

import pytest

from fakes.audit_log import AuditLog
from fakes.clusters import (
    MANUALS,
    SAMPLES,
    apply_all,
    children,
    condition,
    custom_resources,
    documents,
    wait_condition,
    wait_ready,
)
from fakes.installation import OPERATOR
from fakes.operator_process import OperatorProcess
from fakes.waiting import eventually
from fakes.witness import Object, Place

GROUP_0 = {"broker-0-master-0", "broker-0-replica-1-0"}
GROUP_1 = {"broker-1-master-0", "broker-1-replica-1-0"}
NAME_SERVERS = [f"name-service-{number}" for number in range(3)]


def name_servers(count: int) -> set[str]:
    return set(NAME_SERVERS[:count])


def claims(pods: set[str]) -> set[str]:
    """As the manual shows them: `<volume>-<pod>`."""
    volumes = {pod: "broker" if pod.startswith("broker") else "namesrv" for pod in pods}
    return {f"{volume}-storage-{pod}" for pod, volume in volumes.items()}


def sample(*names: str) -> list[Object]:
    return documents(*(SAMPLES / f"rocketmq_v1alpha1_{name}.yaml" for name in names))


SAMPLE_CASES = [
    pytest.param(
        sample("nameservice_cr", "broker_cr"),
        name_servers(2) | GROUP_0 | GROUP_1,
        set(),
        id="small",
    ),
    pytest.param(
        sample("nameservice_full", "broker_full"),
        name_servers(3) | GROUP_0 | GROUP_1,
        claims(name_servers(3) | GROUP_0 | GROUP_1),
        id="every field",
    ),
    pytest.param(
        sample("storageclass"),
        name_servers(2) | GROUP_0 | GROUP_1,
        claims(name_servers(2) | GROUP_0 | GROUP_1),
        id="StorageClass",
    ),
    pytest.param(sample("hostpath"), name_servers(1) | GROUP_0 | GROUP_1, set(), id="HostPath"),
    pytest.param(
        sample("hostnetwork"),
        name_servers(1) | {"broker-0-master-0", "broker-1-master-0"},
        set(),
        id="host network",
    ),
    pytest.param(sample("rocketmq_cluster"), name_servers(1) | GROUP_0, set(), id="one file"),
]
TRANSFERS = sample("topictransfer_cr", "topictransfer_full")
"""They make nothing, and wait for clusters that are not there."""
MANUAL_CASES = [
    pytest.param("newest_nameservice_cr newest_broker_cr", "HostPath", GROUP_0),
    pytest.param("newest_nameservice_cr newest_broker_cr", "StorageClass", GROUP_0),
    pytest.param("manual_0.2.0_nameservice manual_0.2.0_broker", "HostPath", GROUP_0 | GROUP_1),
    pytest.param("manual_0.2.0_nameservice manual_0.2.0_broker", "NFS", GROUP_0 | GROUP_1),
]


def test_every_sample_is_tried_here() -> None:
    tried = {str(item) for case in SAMPLE_CASES for item in case.values[0]}
    tried |= {str(item) for item in TRANSFERS}
    for path in SAMPLES.glob("*.yaml"):
        assert {str(item) for item in documents(path)} <= tried, path.name


@pytest.mark.parametrize(("objects", "pods", "volumes"), SAMPLE_CASES)
def test_a_sample_becomes_ready_under_the_names_of_the_manual(
    objects: list[Object],
    pods: set[str],
    volumes: set[str],
    place: Place,
    operator: OperatorProcess,
    audit: AuditLog,
) -> None:
    resources = apply_all(place, objects)
    wait_ready(place, *resources)
    assert place.names("Pod") == pods
    assert place.names("PersistentVolumeClaim") == volumes
    _assert_untouched(place, resources, audit)


def test_the_samples_of_transfers_are_accepted_and_wait_for_their_clusters(
    place: Place, operator: OperatorProcess
) -> None:
    for kind, name in apply_all(place, TRANSFERS):
        waiting = wait_condition(place, kind, name, ("False", "NameServiceNotFound"))
        assert "NameService" in condition(waiting)["message"]


@pytest.mark.parametrize(("files", "storage_mode", "brokers"), MANUAL_CASES)
def test_resources_of_the_go_operators_manuals_are_served_as_they_are(
    files: str,
    storage_mode: str,
    brokers: set[str],
    place: Place,
    operator: OperatorProcess,
    audit: AuditLog,
) -> None:
    first, second = files.split()
    services = _with_storage(documents(MANUALS / f"{first}.yaml"), storage_mode)
    wait_ready(place, *apply_all(place, services))
    address = place.get("Pod", "name-service-0")["status"]["podIP"]
    groups = _with_storage(documents(MANUALS / f"{second}.yaml"), storage_mode)
    for item in groups:
        if item.get("spec", {}).get("nameServers"):
            # As the manual says: "change it to the real IP of the pod of the name server".
            item["spec"]["nameServers"] = f"{address}:9876"
    wait_ready(place, *apply_all(place, groups))
    pods = brokers | name_servers(1)
    assert place.names("Pod") == pods
    expected = set() if storage_mode == "HostPath" else claims(pods)
    assert place.names("PersistentVolumeClaim") == expected
    _assert_untouched(place, custom_resources([*services, *groups]), audit)


def test_the_newest_manuals_whole_cluster_in_one_file_becomes_ready(
    place: Place, operator: OperatorProcess
) -> None:
    # Its Console is a kind that does not exist yet.
    objects = [
        item
        for item in documents(MANUALS / "newest_rocketmq_cluster.yaml")
        if item["kind"] != "Console"
    ]
    wait_ready(place, *apply_all(place, objects))
    assert "name-service-0" in place.names("Pod")
    assert "broker-0-master-0" in place.names("Pod")


def test_a_host_path_has_the_layout_of_the_manual(place: Place, operator: OperatorProcess) -> None:
    wait_ready(place, *apply_all(place, sample("hostpath")))
    logs, store = (_host_directory(place, "broker-1-replica-1-0", part) for part in _PARTS)
    assert logs == Path("/data/rocketmq/broker/logs/broker-1-replica-1")
    assert store == Path("/data/rocketmq/broker/store/broker-1-replica-1")


_PARTS = ("logs", "store")


def _host_directory(place: Place, pod: str, part: str) -> Path:
    """The directory of the node that a container of the pod sees as `/home/rocketmq/<part>`."""
    spec = place.get("Pod", pod)["spec"]
    paths = {one["name"]: one["hostPath"]["path"] for one in spec["volumes"] if "hostPath" in one}
    (mount,) = (
        mount
        for mount in spec["containers"][0]["volumeMounts"]
        if mount["mountPath"] == f"/home/rocketmq/{part}"
    )
    return Path(paths[mount["name"]]) / mount.get("subPath", "")


def _with_storage(objects: list[Object], storage_mode: str) -> list[Object]:
    for item in objects:
        if "storageMode" in item.get("spec", {}):
            item["spec"]["storageMode"] = storage_mode
    return objects


def _assert_untouched(place: Place, resources: list[tuple[str, str]], audit: AuditLog) -> None:
    """Neither an annotation that means nothing nor a child's makes the operator write."""
    eventually(lambda: audit.settled(namespace=place.name, quiet_s=0.3))
    mark = audit.mark()
    note = {"metadata": {"annotations": {"example.com/note": "seen"}}}
    for kind, name in resources:
        place.patch(kind, name, note)
        for child in children(place, kind, name):
            place.patch(child["kind"], child["metadata"]["name"], note)
    audit.settled(namespace=place.name, quiet_s=0.5)
    writes = audit.writes(mark, user=OPERATOR, namespace=place.name)
    assert [str(one) for one in writes] == []
