from collections.abc import Callable
from typing import Any

import pytest

from reconcilers.desired import broker as broker_children
from reconcilers.desired import name_service as name_service_children
from reconcilers.facts import BrokerFacts, NameServerProblem, NameServers

Make = Callable[..., Any]

FACTS = BrokerFacts(name_servers=NameServers(addresses=("ns:9876",)))


def stateful_set(cr: Any) -> dict[str, Any]:
    """The first StatefulSet's spec."""
    if hasattr(cr.spec, "broker_image"):
        children = broker_children.desired(cr, FACTS)
    else:
        children = name_service_children.desired(cr, cr.spec.size)
    assert children is not None
    found = next(one for one in children if one.resource.kind == "StatefulSet")
    spec: dict[str, Any] = found.manifest["spec"]
    return spec


def pod(cr: Any) -> dict[str, Any]:
    spec: dict[str, Any] = stateful_set(cr)["template"]["spec"]
    return spec


def container(cr: Any) -> dict[str, Any]:
    (found,) = pod(cr)["containers"]
    result: dict[str, Any] = found
    return result


def env(cr: Any) -> dict[str, Any]:
    entries = container(cr)["env"]
    assert len({entry["name"] for entry in entries}) == len(entries)
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}


def meets_restricted(spec: dict[str, Any]) -> bool:
    """The restricted Pod Security Standard, as far as these pods touch it."""
    security = spec["securityContext"]
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    return (
        not spec.get("hostNetwork")
        and all("hostPath" not in volume for volume in spec["volumes"])
        and security.get("runAsNonRoot") is True
        and security.get("runAsUser") != 0
        and security["seccompProfile"]["type"] == "RuntimeDefault"
        and all(
            one["securityContext"].get("allowPrivilegeEscalation") is False
            and one["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            and one["securityContext"].get("runAsUser") != 0
            for one in containers
        )
    )


@pytest.mark.parametrize(
    ("spec", "restricted"),
    [
        ({}, True),
        ({"storageMode": "NFS", "volumeClaimTemplates": [{}]}, True),
        ({"securityContext": {"fsGroup": 5, "runAsUser": 5}}, True),
        ({"hostNetwork": True}, False),
        ({"storageMode": "HostPath", "hostPath": "/data"}, False),
        ({"imageLayout": "Root"}, False),
        ({"securityContext": {"runAsUser": 0}}, False),
        ({"containerSecurityContext": {"allowPrivilegeEscalation": True}}, False),
    ],
)
def test_pods_are_restricted_unless_the_spec_asks_for_more(
    spec: dict[str, Any], restricted: bool, broker: Make, name_service: Make
) -> None:
    for cr in (broker(**spec), name_service(**spec)):
        assert meets_restricted(pod(cr)) == restricted


def test_no_pod_holds_a_token_of_the_api_server(broker: Make, name_service: Make) -> None:
    for cr in (broker(), name_service()):
        assert pod(cr)["automountServiceAccountToken"] is False


def test_the_users_security_replaces_ours_field_by_field(broker: Make) -> None:
    cr = broker(
        securityContext={"runAsUser": 0, "fsGroup": None, "supplementalGroups": [7]},
        containerSecurityContext={"readOnlyRootFilesystem": True},
    )
    assert pod(cr)["securityContext"] == {
        "seccompProfile": {"type": "RuntimeDefault"},
        "runAsUser": 0,
        "runAsGroup": 3000,
        "fsGroupChangePolicy": "OnRootMismatch",
        "supplementalGroups": [7],
    }
    assert container(cr)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


@pytest.mark.parametrize(
    ("spec", "owner"),
    [
        ({}, "3000:3000"),
        ({"securityContext": {"runAsUser": 1000, "runAsGroup": 1001}}, "1000:1001"),
        ({"containerSecurityContext": {"runAsUser": 7}}, "7:3000"),
        ({"imageLayout": "Root"}, None),
        ({"securityContext": {"runAsUser": 0}}, None),
    ],
)
def test_on_a_host_path_the_server_is_given_its_own_directories(
    spec: dict[str, Any], owner: str | None, broker: Make
) -> None:
    spec = pod(broker(storageMode="HostPath", hostPath="/data", **spec))
    first, *others = spec["initContainers"]
    if owner is None:
        assert first["name"] == "store-guard"
        return
    assert [one["name"] for one in others] == ["store-guard"]
    assert first["command"][2:] == [owner, "/home/rocketmq/logs", "/home/rocketmq/store"]
    assert first["securityContext"]["capabilities"] == {
        "drop": ["ALL"],
        "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"],
    }
    mounts = {mount["mountPath"]: mount.get("subPath") for mount in first["volumeMounts"]}
    assert mounts["/home/rocketmq/store"] == "store/broker-0-master"


@pytest.mark.parametrize(
    ("spec", "store"),
    [({}, "/home/rocketmq/store"), ({"imageLayout": "Root"}, "/root/store")],
)
def test_a_masters_store_is_looked_at_before_it_starts(
    spec: dict[str, Any], store: str, broker: Make
) -> None:
    (guard,) = pod(broker(**spec))["initContainers"]
    main = container(broker(**spec))
    assert guard["command"][-1] == store
    assert store in {mount["mountPath"] for mount in guard["volumeMounts"]}
    assert guard["env"] == [{"name": "BROKER_NAME", "value": "broker-0"}]
    assert guard["image"] == main["image"]
    assert guard["securityContext"] == main["securityContext"]


def test_a_replica_starts_empty_at_any_time(broker: Make, name_service: Make) -> None:
    cr = broker(replicaPerGroup=1)
    found = next(
        one.manifest
        for one in broker_children.desired(cr, FACTS) or []
        if one.manifest["metadata"]["name"] == "broker-0-replica-1"
    )
    assert "initContainers" not in found["spec"]["template"]["spec"]
    assert "initContainers" not in pod(name_service())


def test_more_replicas_change_no_pod_that_runs(broker: Make) -> None:
    few = stateful_set(broker(replicaPerGroup=1, replicationMode="ASYNC"))
    assert stateful_set(broker(replicaPerGroup=3, replicationMode="ASYNC")) == few


def test_only_the_operator_restarts_pods(broker: Make, name_service: Make) -> None:
    for cr in (broker(), name_service()):
        assert stateful_set(cr)["updateStrategy"] == {"type": "OnDelete"}


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_claims_go_with_the_resource_only_on_request_and_never_with_a_smaller_size(
    policy: str, broker: Make
) -> None:
    spec = stateful_set(broker(pvcRetentionPolicy=policy))
    assert spec["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": policy,
        "whenScaled": "Retain",
    }


DNS = "broker-0-master-0.broker-brokers.shop.svc"


@pytest.mark.parametrize(
    ("spec", "ip1", "ip2"),
    [
        ({}, DNS, DNS),
        ({"addressMode": "PodIP"}, "$(POD_IP)", "$(POD_IP)"),
        ({"addressMode": "HostIP"}, "$(HOST_IP)", "$(HOST_IP)"),
        ({"hostNetwork": True}, "$(HOST_IP)", "$(HOST_IP)"),
        ({"addresses": {"broker-0-master-0": "a.example.com"}}, "a.example.com", DNS),
        ({"addresses": {"broker-1-master-0": "a.example.com"}}, DNS, DNS),
    ],
)
def test_addresses_that_a_broker_registers(
    spec: dict[str, Any], ip1: str, ip2: str, broker: Make
) -> None:
    found = env(broker(**spec))
    assert (found["BROKER_IP1"], found["BROKER_IP2"]) == (ip1, ip2)


def test_an_address_of_the_pod_is_known_before_it_is_named(broker: Make) -> None:
    order = [entry["name"] for entry in container(broker(addressMode="PodIP"))["env"]]
    assert order.index("POD_IP") < order.index("BROKER_IP1")


@pytest.mark.parametrize(
    ("spec", "role"),
    [
        ({}, None),
        ({"replicationMode": "ASYNC"}, "ASYNC_MASTER"),
        ({"replicationMode": "SYNC"}, "SYNC_MASTER"),
    ],
)
def test_a_masters_role_is_fixed_by_the_replication_mode_only(
    spec: dict[str, Any], role: str | None, broker: Make
) -> None:
    assert env(broker(**spec)).get("BROKER_ROLE") == role


def test_replicas_are_slaves_with_ids_of_their_own(broker: Make) -> None:
    children = broker_children.desired(broker(size=2, replicaPerGroup=2), FACTS)
    assert children is not None
    sets = [one.manifest for one in children if one.resource.kind == "StatefulSet"]
    identities = [
        {
            entry["name"]: entry.get("value")
            for entry in one["spec"]["template"]["spec"]["containers"][0]["env"]
        }
        for one in sets
    ]
    assert [(i["BROKER_NAME"], i["BROKER_ID"], i.get("BROKER_ROLE")) for i in identities] == [
        ("broker-0", "0", None),
        ("broker-0", "1", "SLAVE"),
        ("broker-0", "2", "SLAVE"),
        ("broker-1", "0", None),
        ("broker-1", "1", "SLAVE"),
        ("broker-1", "2", "SLAVE"),
    ]


@pytest.mark.parametrize(("per_group", "cluster"), [(False, "broker"), (True, "broker-0")])
def test_a_group_may_be_a_cluster_of_its_own(per_group: bool, cluster: str, broker: Make) -> None:
    assert env(broker(clusterPerGroup=per_group))["BROKER_CLUSTER_NAME"] == cluster


def test_the_users_variables_are_added_but_cannot_say_who_a_broker_is(broker: Make) -> None:
    given = [{"name": "BROKER_ID", "value": "9"}, {"name": "JAVA_OPT_EXT", "value": "-Da=b"}]
    found = env(broker(env=given))
    assert found["BROKER_ID"] == "0"
    assert found["JAVA_OPT_EXT"] == "-Da=b"


def test_no_variable_is_sent_with_an_empty_value(broker: Make, name_service: Make) -> None:
    for cr in (broker(), name_service()):
        assert all(env(cr).values())


def test_the_users_file_is_mounted_as_a_whole_volume(broker: Make) -> None:
    volumes = [{"name": "conf", "secret": {"secretName": "s"}}, {"name": "more", "emptyDir": {}}]
    cr = broker(volumes=volumes)
    assert container(cr)["command"][-1] == "/opt/rocketmq-operator/common"
    assert {
        "name": "conf",
        "mountPath": "/opt/rocketmq-operator/common",
        "readOnly": True,
    } in container(cr)["volumeMounts"]
    assert pod(cr)["volumes"][-2:] == volumes


def test_members_of_a_group_prefer_different_nodes(broker: Make, name_service: Make) -> None:
    for cr, group in ((broker(), "broker-0"), (name_service(), None)):
        rule = pod(cr)["affinity"]["podAntiAffinity"]
        (term,) = rule["preferredDuringSchedulingIgnoredDuringExecution"]
        selector = term["podAffinityTerm"]["labelSelector"]["matchLabels"]
        assert selector.get("rocketmq.apache.org/broker-group") == group
        assert selector.items() <= stateful_set(cr)["template"]["metadata"]["labels"].items()


def test_the_users_affinity_replaces_ours(broker: Make) -> None:
    assert pod(broker(affinity={}))["affinity"] == {}


@pytest.mark.parametrize(
    ("spec", "policy"),
    [
        ({}, None),
        ({"hostNetwork": True}, "ClusterFirstWithHostNet"),
        ({"dnsPolicy": "Default"}, "Default"),
        ({"dnsPolicy": "ClusterFirst", "hostNetwork": True}, "ClusterFirst"),
    ],
)
def test_name_servers_resolve_names_in_the_cluster_also_from_a_nodes_network(
    spec: dict[str, Any], policy: str | None, name_service: Make
) -> None:
    assert pod(name_service(**spec)).get("dnsPolicy") == policy


def test_a_store_has_half_an_hour_to_recover(broker: Make) -> None:
    probe = container(broker())["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 1800


def test_the_grace_period_is_the_specs(broker: Make) -> None:
    cr = broker(terminationGracePeriodSeconds=600)
    assert pod(cr)["terminationGracePeriodSeconds"] == 600


def test_nothing_is_decided_while_the_name_servers_are_not_known(broker: Make) -> None:
    problem = NameServerProblem(reason="NameServiceNotFound", message="none")
    assert broker_children.desired(broker(), BrokerFacts(name_servers=problem)) is None


def test_equal_input_gives_equal_output(broker: Make, name_service: Make) -> None:
    config = {"b": "1", "a": "2"}
    first, second = (
        broker(config=dict(order)) for order in (config.items(), [*config.items()][::-1])
    )
    assert broker_children.desired(first, FACTS) == broker_children.desired(second, FACTS)
    one, other = (name_service_children.desired(name_service(), 1) for _ in range(2))
    assert one == other


def test_the_name_servers_change_the_config_map_and_no_pod(broker: Make) -> None:
    other = BrokerFacts(name_servers=NameServers(addresses=("other:9876",)))
    before, after = (broker_children.desired(broker(), facts) for facts in (FACTS, other))
    assert before is not None
    assert after is not None
    changed = [b.resource.kind for a, b in zip(before, after, strict=True) if a != b]
    assert changed == ["ConfigMap"]
