"""The files of a node: what each program is told."""

import json
import tomllib
from pathlib import Path

from control_plane.audit import render_audit_policy
from control_plane.certificates import extensions, identities, subject
from control_plane.components import Component, Place, parse_components, render_components
from control_plane.kubeconfig import render_kubeconfig
from local import node_files
from local.addresses import Plan
from local.cluster import place_of
from local.node_components import control_plane, first_steps, image_imports, node_programs
from local.node_files import Node
from local.objects import initial_objects, render_provisioner_config, render_provisioner_pod
from products.binaries import PROGRAMS, linker_flags

PLAN = Plan(2)
NODE = Node("demo", PLAN, Path("/state/demo"), "/rocketmq-operator-demo", "overlayfs")
PLACE: Place = place_of(NODE.folder, PLAN)
PROGRAM_PATHS = {name: Path("/cache") / name for name in PROGRAMS}


def all_components() -> dict[str, tuple[str, ...]]:
    return {component.name: component.after for component in _components()}


def _components() -> list[Component]:
    return [
        *control_plane(PROGRAM_PATHS, PLACE, NODE),
        *node_programs(PROGRAM_PATHS, PLACE, NODE),
        *image_imports({"pause": Path("/p"), "busybox": Path("/b")}, NODE.snapshotter),
        *first_steps(PROGRAM_PATHS["kubectl"], PLACE, NODE),
    ]


def test_containerd_bears_hosts_without_the_right_to_lower_oom_scores() -> None:
    text = node_files.render_containerd(Path("/cni"), Path("/conf"), "pause:1", "native")
    plugin = tomllib.loads(text)["plugins"]["io.containerd.grpc.v1.cri"]
    assert plugin["restrict_oom_score_adj"] is True
    assert plugin["sandbox_image"] == "pause:1"
    assert plugin["containerd"]["snapshotter"] == "native"
    runc = plugin["containerd"]["runtimes"]["runc"]
    assert runc["options"]["SystemdCgroup"] is False


def test_the_kubelet_keeps_to_its_own_control_group_and_bears_both_versions() -> None:
    config = json.loads(node_files.render_kubelet(NODE))
    assert config["cgroupRoot"] == "/rocketmq-operator-demo"
    assert config["cgroupDriver"] == "cgroupfs"
    assert config["failCgroupV1"] is False
    assert config["maxPods"] == 200
    assert config["clusterDNS"] == ["10.216.8.10"]


def test_the_pod_network_has_room_for_all_pods() -> None:
    network = json.loads(node_files.render_cni(PLAN, "1.0.0"))
    assert [plugin["type"] for plugin in network["plugins"]] == ["bridge", "portmap"]
    assert PLAN.pods.num_addresses > 2 * node_files.MAX_PODS


def test_kube_proxy_leaves_the_hosts_connection_table_alone() -> None:
    config = json.loads(node_files.render_kube_proxy(NODE, Path("/k")))
    assert config["mode"] == "iptables"
    assert (config["conntrack"]["maxPerCore"], config["conntrack"]["min"]) == (0, 0)


def test_names_outside_the_cluster_are_refused_at_once() -> None:
    assert "rcode NXDOMAIN" in node_files.render_corefile(Path("/k"))


def test_components_survive_being_written_and_read() -> None:
    assert parse_components(render_components(_components())) == _components()


def test_every_component_waits_only_for_components_that_there_are() -> None:
    after = all_components()
    assert {name for names in after.values() for name in names} <= after.keys()


def test_the_start_order_has_no_circle() -> None:
    after, ready = all_components(), set[str]()
    while len(ready) < len(after):
        more = {name for name, needs in after.items() if set(needs) <= ready} - ready
        assert more, f"never started: {sorted(after.keys() - ready)}"
        ready |= more


def test_the_kubelet_starts_when_sandboxes_can_be_made() -> None:
    assert "image pause" in all_components()["kubelet"]


def test_the_dns_service_has_no_selector_and_leads_to_the_node() -> None:
    by_kind = {str(item["kind"]): item for item in initial_objects(PLAN)}
    service = by_kind["Service"]["spec"]
    assert isinstance(service, dict)
    assert "selector" not in service
    assert service["clusterIP"] == str(PLAN.dns_service)
    endpoints = by_kind["EndpointSlice"]["endpoints"]
    assert endpoints == [{"addresses": ["10.213.2.2"], "conditions": {"ready": True}}]


def test_the_storage_class_binds_where_the_pod_goes() -> None:
    storage = next(item for item in initial_objects(PLAN) if item["kind"] == "StorageClass")
    assert storage["metadata"] == {
        "name": "rocketmq-storage",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    }
    assert storage["volumeBindingMode"] == "WaitForFirstConsumer"
    assert "rocketmq-operator-volumes" in render_provisioner_config()
    assert json.loads(render_provisioner_pod("b:1"))["spec"]["containers"][0]["image"] == "b:1"


def test_writes_of_anyone_but_the_clusters_machinery_are_audited() -> None:
    policy = json.loads(render_audit_policy())
    *ignored, rest = policy["rules"]
    assert rest == {"level": "Metadata"}
    for rule in ignored:
        about_machinery = {"users", "userGroups"} & rule.keys()
        assert about_machinery or rule == {"level": "None", "nonResourceURLs": ["/*"]}


def test_a_kubeconfig_holds_all_that_it_needs() -> None:
    config = json.loads(
        render_kubeconfig("https://x", "me", {"ca": b"a", "crt": b"b", "key": b"c"})
    )
    assert config["clusters"][0]["cluster"]["server"] == "https://x"
    assert config["users"][0]["user"]["client-key-data"] == "Yw=="
    assert config["current-context"] == config["contexts"][0]["name"] == "me"


def test_the_kubelet_is_known_to_the_node_authorizer() -> None:
    by_file = {item.file: item for item in identities("demo", ("10.213.2.2",))}
    assert subject(by_file["kubelet"]) == "/O=system:nodes/CN=system:node:demo"
    assert "subjectAltName=DNS:demo,IP:10.213.2.2" in extensions(by_file["kubelet"])
    assert "extendedKeyUsage=clientAuth" in extensions(by_file["admin"])


def test_kubernetes_is_told_its_version() -> None:
    flags = linker_flags("1.36.3")
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "-X k8s.io/component-base/version.gitMinor=36" in flags
