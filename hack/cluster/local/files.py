"""Writes all files of a local cluster into its folder: keys, configurations, objects."""

from collections.abc import Mapping

from base.commands import Runner
from base.errors import ClusterError
from control_plane.audit import render_audit_policy
from control_plane.certificates import identities, make_certificates
from control_plane.components import Place
from control_plane.kubeconfig import write_kubeconfig
from local.node_files import (
    Node,
    render_cni,
    render_containerd,
    render_corefile,
    render_kube_proxy,
    render_kubelet,
)
from local.objects import render_objects, render_provisioner_config, render_provisioner_pod
from products.images import Images
from products.packages import cni_folder

# Whose kubeconfig each program has; the certificates have the same names.
CLIENTS = ("admin", "controller-manager", "scheduler", "kubelet", "proxy", "dns", "provisioner")


def write_files(node: Node, place: Place, versions: Mapping[str, str], run: Runner) -> None:
    """Write everything that the components read."""
    addresses = (str(node.plan.node), "127.0.0.1", str(node.plan.api_service))
    make_certificates(place.keys, identities(node.name, addresses), run)
    for client in CLIENTS:
        write_kubeconfig(place.kubeconfig(client), place.server, place.keys, client)
    for name, text in rendered(node, place, Images(versions, run), versions).items():
        file = node.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for folder in ("root/merged", "root/memory"):
        (node.folder / folder).mkdir(parents=True)


def rendered(
    node: Node, place: Place, images: Images, versions: Mapping[str, str]
) -> dict[str, str]:
    """Return each configuration file's name and text."""
    programs = cni_folder()
    if programs is None:
        raise ClusterError("the CNI plugins are missing")
    pause = images.pause_name()
    network = node.folder / "cni"
    return {
        "audit-policy.json": render_audit_policy(),
        "containerd.toml": render_containerd(programs, network, pause, node.snapshotter),
        "cni/pods.conflist": render_cni(node.plan, versions["CNI_VERSION"]),
        "kubelet.json": render_kubelet(node),
        "kube-proxy.json": render_kube_proxy(node, place.kubeconfig("proxy")),
        "Corefile": render_corefile(place.kubeconfig("dns")),
        "provisioner.json": render_provisioner_config(),
        "provisioner-pod.json": render_provisioner_pod(images.busybox_name()),
        "objects.json": render_objects(node.plan),
        # For pods with dnsPolicy Default: the host's own servers cannot be reached from here.
        "resolv.conf": f"nameserver {node.plan.node}\n",
    }
