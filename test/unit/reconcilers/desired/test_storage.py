from collections.abc import Callable
from typing import Any

import pytest

from reconcilers.desired import names
from reconcilers.desired.storage import broker_storage, name_server_storage

Make = Callable[..., Any]

CLAIM = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "8Gi"}}}}
MODES: dict[str, dict[str, Any]] = {
    "EmptyDir": {},
    "HostPath": {"hostPath": "/data/rocketmq"},
    "StorageClass": {"volumeClaimTemplates": [CLAIM]},
    "NFS": {"volumeClaimTemplates": [CLAIM]},
}
VOLUMES = {
    "EmptyDir": {"emptyDir": {}},
    "HostPath": {"hostPath": {"path": "/data/rocketmq", "type": "DirectoryOrCreate"}},
}


@pytest.mark.parametrize("mode", MODES)
def test_a_brokers_directories_are_those_of_the_go_operator_in_every_mode(
    mode: str, broker: Make
) -> None:
    cr = broker(storageMode=mode, replicaPerGroup=1, **MODES[mode])
    master, replica = names.members(cr)
    volume = "data" if "volumeClaimTemplates" in MODES[mode] else "broker-storage"
    assert broker_storage(cr.spec, "broker", master).mounts == (
        {
            "name": volume,
            "mountPath": "/home/rocketmq/logs",
            "subPath": "logs/broker-0-master",
        },
        {
            "name": volume,
            "mountPath": "/home/rocketmq/store",
            "subPath": "store/broker-0-master",
        },
    )
    paths = [mount["subPath"] for mount in broker_storage(cr.spec, "broker", replica).mounts]
    assert paths == ["logs/broker-0-replica-1", "store/broker-0-replica-1"]


@pytest.mark.parametrize("mode", MODES)
def test_name_servers_on_one_host_path_do_not_meet(mode: str, name_service: Make) -> None:
    cr = name_service(storageMode=mode, **MODES[mode])
    mounts = name_server_storage(cr.spec, "name-service").mounts
    assert [mount["mountPath"] for mount in mounts] == [
        "/home/rocketmq/logs",
        "/home/rocketmq/namesrv",
    ]
    if mode == "HostPath":
        assert [mount["subPathExpr"] for mount in mounts] == [
            "logs/$(POD_NAME)",
            "namesrv/$(POD_NAME)",
        ]
    else:
        assert [mount["subPath"] for mount in mounts] == ["logs", "namesrv"]


@pytest.mark.parametrize("mode", MODES)
def test_there_is_either_a_volume_or_a_claim(mode: str, broker: Make) -> None:
    cr = broker(storageMode=mode, **MODES[mode])
    storage = broker_storage(cr.spec, "broker", next(names.members(cr)))
    if mode in VOLUMES:
        assert storage.volumes == ({"name": "broker-storage", **VOLUMES[mode]},)
        assert storage.claims == ()
    else:
        assert storage.volumes == ()
        assert [claim["metadata"]["name"] for claim in storage.claims] == ["data"]


def test_nfs_is_the_same_as_a_storage_class(broker: Make) -> None:
    nfs, storage_class = (
        broker(storageMode=mode, volumeClaimTemplates=[CLAIM]) for mode in ("NFS", "StorageClass")
    )
    member = next(names.members(nfs))
    assert broker_storage(nfs.spec, "b", member) == broker_storage(storage_class.spec, "b", member)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [({}, "rocketmq-storage"), ({"storageClassName": "fast"}, "fast")],
)
def test_the_beta_annotation_becomes_the_class(
    spec: dict[str, Any], expected: str, broker: Make
) -> None:
    annotations = {"volume.beta.kubernetes.io/storage-class": "rocketmq-storage", "a": "b"}
    template = {"metadata": {"annotations": annotations}, "spec": spec}
    cr = broker(storageMode="NFS", volumeClaimTemplates=[template])
    (claim,) = broker_storage(cr.spec, "broker", next(names.members(cr))).claims
    assert claim["metadata"]["name"] == "broker-storage"
    assert claim["metadata"]["annotations"] == {"a": "b"}
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "storageClassName": expected}


def test_the_root_layout_is_mounted_below_root(broker: Make) -> None:
    cr = broker(imageLayout="Root")
    mounts = broker_storage(cr.spec, "broker", next(names.members(cr))).mounts
    assert [mount["mountPath"] for mount in mounts] == ["/root/logs", "/root/store"]
