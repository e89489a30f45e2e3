from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.objects import ObjectMeta
from reconcilers.api.broker import Broker, BrokerSpec, name_limit
from reconcilers.api.meta import ClaimTemplate, LocalObjectReference
from reconcilers.api.name_service import NameService, NameServiceSpec
from reconcilers.api.validation import ignored_config_keys, problems

CLAIM = ClaimTemplate(spec={"resources": {"requests": {"storage": "8Gi"}}})


def broker(name: str = "broker", **spec: Any) -> Broker:
    settings = {"size": 2, "brokerImage": "i", "storageMode": "EmptyDir"}
    base = msgspec.convert(settings, BrokerSpec)
    spec_ = msgspec.structs.replace(base, **spec)
    return Broker(metadata=ObjectMeta(name=name), spec=spec_)


def name_service(name: str = "name-service", **spec: Any) -> NameService:
    settings = {"size": 2, "nameServiceImage": "i", "storageMode": "EmptyDir"}
    base = msgspec.convert(settings, NameServiceSpec)
    spec_ = msgspec.structs.replace(base, **spec)
    return NameService(metadata=ObjectMeta(name=name), spec=spec_)


@pytest.mark.parametrize(
    "cr",
    [
        broker(),
        name_service(),
        name_service("n" * 52),
        broker("b" * 40, size=10, replica_per_group=9),
        broker("b" * 43, size=10, replica_per_group=0),
        broker(storage_mode="HostPath", host_path="/data/rocketmq/..a"),
        broker(storage_mode="NFS", volume_claim_templates=(CLAIM,)),
        broker(storage_mode="EmptyDir", host_path="not used"),
        broker(cluster_mode="STATIC"),
        broker(name_servers="10.0.0.1:9876;10.0.0.2:9876;"),
        broker(name_servers="[fd00::1]:9876;ns-0.ns_1.svc:65535"),
        broker(name_service_ref=LocalObjectReference(name="ns")),
        broker(env=({"name": "A"}, {"name": "B"})),
        broker(addresses={"broker-0-master-0": "a", "broker-9-replica-2-0": "b"}),
    ],
    ids=lambda cr: f"{cr.metadata.name[:12]} {cr.spec.storage_mode}",
)
def test_a_sound_resource_has_no_problems(cr: NameService | Broker) -> None:
    assert problems(cr) == ()


@pytest.mark.parametrize(
    ("cr", "reason", "where", "advice"),
    [
        (name_service("1ns"), "InvalidName", "metadata.name", "start with a letter"),
        (name_service("ns\n"), "InvalidName", "metadata.name", "start with a letter"),
        (name_service("n" * 53), "InvalidName", "53 characters", "at most 52"),
        (broker("b" * 44), "InvalidName", "44 characters", "at most 43"),
        (
            broker("b" * 41, size=10, replica_per_group=1),
            "InvalidName",
            "41 characters",
            "at most 40",
        ),
        (
            broker(storage_mode="HostPath"),
            "InvalidStorage",
            "spec.hostPath",
            "e.g. /data/rocketmq",
        ),
        (
            name_service(storage_mode="HostPath", host_path="/data/../etc"),
            "InvalidStorage",
            "spec.hostPath",
            "write the directory",
        ),
        (
            broker(storage_mode="StorageClass"),
            "InvalidStorage",
            "spec.volumeClaimTemplates",
            "e.g. 8Gi",
        ),
        (
            broker(storage_mode="NFS", volume_claim_templates=(ClaimTemplate(), CLAIM)),
            "InvalidStorage",
            "volumeClaimTemplates[0]",
            "e.g. 8Gi",
        ),
        (
            name_service(
                storage_mode="NFS",
                volume_claim_templates=(ClaimTemplate(spec={"resources": None}),),
            ),
            "InvalidStorage",
            "volumeClaimTemplates[0]",
            "e.g. 8Gi",
        ),
        (
            broker(env=({"name": "A"}, {"name": "B"}, {"name": "A"})),
            "InvalidEnv",
            "spec.env: 'A'",
            "leave one",
        ),
        (broker(env=({}, {})), "InvalidEnv", "spec.env", "give each one a name"),
        (broker(cluster_mode="CONTROLLER"), "UnsupportedClusterMode", "CONTROLLER", "write STATIC"),
        (broker(cluster_mode="CONTAINER"), "UnsupportedClusterMode", "CONTAINER", "write STATIC"),
        (
            broker(name_servers="10.0.0.1"),
            "InvalidNameServers",
            "'10.0.0.1'",
            "10.0.0.1:9876;10.0.0.2:9876",
        ),
        (
            broker(name_servers="a:9876,b:9876"),
            "InvalidNameServers",
            "'a:9876,b:9876'",
            "10.0.0.1:9876;10.0.0.2:9876",
        ),
        (broker(name_servers="a:9876;;b:9876"), "InvalidNameServers", "''", "host:port"),
        (broker(name_servers="fd00::1:9876"), "InvalidNameServers", "'fd00::1:9876'", "brackets"),
        (broker(name_servers="a:0"), "InvalidNameServers", "'a:0'", "between 1 and 65535"),
        (broker(name_servers="a:65536"), "InvalidNameServers", "'a:65536'", "between 1 and 65535"),
        (
            broker(name_servers="a:9876;b:9876;A:9876"),
            "InvalidNameServers",
            "'a:9876'",
            "leave one of them",
        ),
        (
            broker(name_servers="a:1", name_service_ref=LocalObjectReference(name="ns")),
            "InvalidNameServers",
            "spec.nameServiceRef",
            "leave one of the two",
        ),
        (
            broker(addresses={"broker-0-master": "a"}),
            "InvalidAddresses",
            "'broker-0-master'",
            "broker-<group>-master-0",
        ),
        (
            broker(addresses={"other-0-master-0": "a"}),
            "InvalidAddresses",
            "'other-0-master-0'",
            "broker-<group>-master-0",
        ),
        (
            broker(addresses={"broker-0-replica-0-0": "a"}),
            "InvalidAddresses",
            "'broker-0-replica-0-0'",
            "broker-<group>-replica-<n>-0",
        ),
    ],
)
def test_a_problem_says_what_is_wrong_where_and_what_to_write(
    cr: NameService | Broker, reason: str, where: str, advice: str
) -> None:
    (problem,) = problems(cr)
    assert problem.reason == reason
    assert where in problem.message
    assert advice in problem.message


def test_all_problems_are_told_at_once_and_in_a_fixed_order() -> None:
    cr = broker("1b", storage_mode="HostPath", cluster_mode="CONTROLLER", name_servers="a;b")
    assert [problem.reason for problem in problems(cr)] == [
        "InvalidName",
        "InvalidStorage",
        "UnsupportedClusterMode",
        "InvalidNameServers",
        "InvalidNameServers",
    ]


@given(size=st.integers(1, 1000), replicas=st.integers(0, 16))
def test_the_longest_name_allowed_just_fits_its_longest_stateful_set(
    size: int, replicas: int
) -> None:
    spec = broker(size=size, replica_per_group=replicas).spec
    name = "b" * name_limit(spec)
    groups = range(size)
    members = ["master", *(f"replica-{n}" for n in range(1, replicas + 1))]
    assert max(len(f"{name}-{group}-{member}") for group in groups for member in members) == 52


def test_keys_that_follow_from_the_spec_are_ignored_and_named() -> None:
    keys = ["flushDiskType", "brokerName", "brokerId", "brokerRole", "namesrvAddr"]
    assert ignored_config_keys(broker(), keys) == ("brokerId", "brokerName", "namesrvAddr")
    assert ignored_config_keys(name_service(), [*keys, "listenPort"]) == ("listenPort",)
    assert problems(broker(config={"brokerName": "mine"})) == ()
