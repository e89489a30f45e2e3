from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from fakes.clusters import documents
from fakes.control_plane import ROOT
from fakes.rocketmq_world_settings import (
    Definition,
    NoImageError,
    NoStartError,
    broker_settings,
    broker_text,
    changed_settings,
    default_settings,
    definition,
    image_version,
    server_container,
)
from fakes.witness import Object
from rocketmq.codes import MQVersion

GOLDEN = ROOT / "test" / "unit" / "golden"
V4, V5 = MQVersion.V4_9_7, MQVersion.V5_3_3
IDENTITY = {
    "BROKER_CLUSTER_NAME": "c",
    "BROKER_NAME": "c-0",
    "BROKER_ID": "0",
    "BROKER_IP1": "127.16.0.1",
    "BROKER_IP2": "127.16.0.1",
}


@cache
def golden(sample: str) -> list[Object]:
    return documents(GOLDEN / f"{sample}.yaml")


def rendered(sample: str, stateful_set: str) -> Definition:
    """What the world makes of a pod that the operator renders."""
    objects = golden(sample)
    maps = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    maps.setdefault("broker-config", {"broker-common.conf": "brokerRole=SYNC_MASTER\n"})
    found = next(
        one
        for one in objects
        if one["kind"] == "StatefulSet" and one["metadata"]["name"] == stateful_set
    )
    claims = {
        f"{one['metadata']['name']}-{stateful_set}-0": "uid-of-claim"
        for one in found["spec"].get("volumeClaimTemplates", ())
    }
    return definition(pod_of(found, claims), "127.16.0.1", "127.16.255.1", maps, claims)


def pod_of(stateful_set: Object, claims: dict[str, str]) -> Object:
    name = f"{stateful_set['metadata']['name']}-0"
    spec: Object = dict(stateful_set["spec"]["template"]["spec"])
    spec |= {"nodeName": "fake-node", "subdomain": stateful_set["spec"]["serviceName"]}
    spec["volumes"] = [
        *spec.get("volumes", ()),
        *(
            {
                "name": claim.removesuffix(f"-{name}"),
                "persistentVolumeClaim": {"claimName": claim},
            }
            for claim in claims
        ),
    ]
    metadata = {"name": name, "namespace": "default", "uid": f"uid-of-{name}"}
    return {"metadata": metadata, "spec": spec}


def test_a_broker_as_the_operator_renders_it_is_understood() -> None:
    found = rendered("rocketmq_v1alpha1_rocketmq_cluster", "broker-0-replica-1")
    assert (found.kind, found.version, found.port) == ("broker", V5, 10911)
    keys = ("brokerName", "brokerId", "brokerRole", "brokerIP1", "namesrvAddr", "inSyncReplicas")
    assert [found.settings[key] for key in keys] == [
        "broker-0",
        "1",
        "SLAVE",
        "broker-0-replica-1-0.broker-brokers.default.svc",
        "name-service-0.name-service-headless.default.svc:9876",
        "2",
    ]
    assert (found.storage, found.lasting) == ("pod uid-of-broker-0-replica-1-0", False)


def test_a_master_without_a_role_takes_it_from_the_users_file() -> None:
    found = rendered("rocketmq_v1alpha1_rocketmq_cluster", "broker-0-master")
    assert found.settings["brokerRole"] == "SYNC_MASTER"


def test_a_name_server_as_the_operator_renders_it_is_found_by_its_name_and_address() -> None:
    found = rendered("rocketmq_v1alpha1_rocketmq_cluster", "name-service")
    assert (found.kind, found.port) == ("name-server", 9876)
    assert {"127.16.0.1", "name-service-0.name-service-headless.default.svc"} <= found.hosts


@pytest.mark.parametrize(
    ("sample", "storage"),
    [
        ("rocketmq_v1alpha1_storageclass", "claim uid-of-claim store/broker-0-master"),
        (
            "rocketmq_v1alpha1_hostpath",
            "node fake-node /data/rocketmq/broker/store/broker-0-master",
        ),
    ],
)
def test_a_lasting_storage_is_told_by_its_claim_or_by_its_place_on_the_node(
    sample: str, storage: str
) -> None:
    found = rendered(sample, "broker-0-master")
    assert (found.storage, found.lasting) == (storage, True)


def test_on_the_host_network_a_broker_registers_the_address_of_its_node() -> None:
    found = rendered("rocketmq_v1alpha1_hostnetwork", "broker-0-master")
    assert found.settings["brokerIP1"] == "127.16.255.1"


def test_of_a_key_given_twice_the_later_part_counts_and_identity_is_last() -> None:
    config = {
        "defaults.conf": "inSyncReplicas=2\nfileReservedTime=1",
        "user.conf": "fileReservedTime=3\nlistenPort=1\nbrokerId=9",
        "operator.conf": "listenPort=10911",
    }
    common = {"broker-common.conf": "fileReservedTime=2\ndiskMaxUsedSpaceRatio=80\\"}
    text = broker_text([config, {}, common], IDENTITY)
    found = broker_settings(text, V5)
    keys = ("inSyncReplicas", "fileReservedTime", "diskMaxUsedSpaceRatio", "listenPort", "brokerId")
    assert [found[key] for key in keys] == ["2", "3", "80", "10911", "0"]


@pytest.mark.parametrize(
    "config",
    [
        {"defaults.conf": "", "operator.conf": ""},
        {"defaults.conf": "", "user.conf": "a=\\u12", "operator.conf": ""},
        {"defaults.conf": "", "user.conf": "messageDelayLevel=1s 2w", "operator.conf": ""},
    ],
    ids=["a file is missing", "no properties", "a key that ends the broker"],
)
def test_a_configuration_that_no_broker_starts_with(config: dict[str, str]) -> None:
    with pytest.raises(NoStartError):
        broker_settings(broker_text([config], IDENTITY), V5)


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("fileReservedTime", "48", "48"),
        ("fileReservedTime", "abc", "72"),
        ("autoCreateTopicEnable", "false", "false"),
        ("autoCreateTopicEnable", "no", "true"),
        ("brokerRole", "nonsense", "ASYNC_MASTER"),
        ("deleteWhen", "04;16", "04;16"),
        ("noSuchKey", "1", None),
    ],
)
def test_a_broker_takes_known_keys_and_values_of_their_kind(
    key: str, value: str, found: str | None
) -> None:
    assert changed_settings(default_settings(V4), {key: value}).get(key) == found


def test_newer_keys_are_unknown_to_older_versions() -> None:
    assert "inSyncReplicas" in default_settings(V5)
    assert "inSyncReplicas" not in default_settings(V4)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("apache/rocketmq:4.9.2", MQVersion.V4_9_2),
        ("docker.io/apache/rocketmq:5.3.3", V5),
        ("registry:5000/rocketmq:5.1.4-alpine", MQVersion.V5_1_4),
    ],
)
def test_the_tag_of_an_image_is_its_version(image: str, version: MQVersion) -> None:
    assert image_version(image) is version


@pytest.mark.parametrize("image", ["apache/rocketmq", "apache/rocketmq:5.99.0", "x:latest"])
def test_an_image_without_a_published_version_is_not_there(image: str) -> None:
    with pytest.raises(NoImageError):
        image_version(image)


def test_other_pods_have_no_server() -> None:
    container: dict[str, Any] = {"name": "main", "image": "web:1", "command": ["bash", "-c", "x"]}
    assert server_container({"spec": {"containers": [container]}}) is None
