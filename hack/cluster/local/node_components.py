"""The programs of a local node, in the order in which they need each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from control_plane.components import (
    Component,
    Place,
    api_server,
    controller_manager,
    etcd,
    flags,
)
from local.node_files import CONTAINERD_SOCKET, KUBELET_ROOT, Node
from local.objects import (
    PROVISIONER,
    STORAGE_ACCOUNT,
    STORAGE_CONFIG,
    STORAGE_NAMESPACE,
)

Programs = Mapping[str, Path]

# Debian keeps iptables and runc where a user's PATH may not look.
NODE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def control_plane(programs: Programs, place: Place, node: Node) -> list[Component]:
    """Return etcd, the API server, the controller manager and the scheduler."""
    services = str(node.plan.services)
    api_flags: dict[str, object] = {
        "advertise-address": place.address,
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-certificate-authority": place.keys / "ca.crt",
        "kubelet-client-certificate": place.keys / "apiserver-kubelet.crt",
        "kubelet-client-key": place.keys / "apiserver-kubelet.key",
    }
    manager_flags: dict[str, object] = {
        "cluster-cidr": node.plan.pods,
        "service-cluster-ip-range": services,
    }
    return [
        etcd(programs["etcd"], place),
        api_server(programs["kube-apiserver"], place, services, audit=True, extra=api_flags),
        controller_manager(programs["kube-controller-manager"], place, manager_flags),
        _scheduler(programs["kube-scheduler"], place),
    ]


def _scheduler(program: Path, place: Place) -> Component:
    kubeconfig = place.kubeconfig("scheduler")
    values: dict[str, object] = {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "tls-cert-file": place.keys / "scheduler.crt",
        "tls-private-key-file": place.keys / "scheduler.key",
        "leader-elect": "false",
    }
    ready = "https://127.0.0.1:10259/readyz"
    return Component("kube-scheduler", (str(program), *flags(values)), ("kube-apiserver",), ready)


def node_programs(programs: Programs, place: Place, node: Node) -> list[Component]:
    """Return containerd, kubelet, kube-proxy, DNS and the volume provisioner."""
    containerd = ("containerd", "--config", str(node.folder / "containerd.toml"))
    path = {"PATH": NODE_PATH}
    return [
        Component("containerd", containerd, ready=CONTAINERD_SOCKET, environment=path),
        _kubelet(programs["kubelet"], place, node),
        _kube_proxy(programs["kube-proxy"], node),
        Component(
            "coredns",
            (str(programs["coredns"]), "-conf", str(node.folder / "Corefile")),
            ("objects",),
            "http://127.0.0.1:8181/ready",
        ),
        _provisioner(programs["local-path-provisioner"], place, node),
    ]


def _kubelet(program: Path, place: Place, node: Node) -> Component:
    values: dict[str, object] = {
        "config": node.folder / "kubelet.json",
        "kubeconfig": place.kubeconfig("kubelet"),
        "root-dir": KUBELET_ROOT,
        "hostname-override": node.name,
        "node-ip": node.plan.node,
    }
    after = ("kube-apiserver", "image pause")
    arguments = (str(program), *flags(values))
    ready = "http://127.0.0.1:10248/healthz"
    return Component("kubelet", arguments, after, ready, environment={"PATH": NODE_PATH})


def _kube_proxy(program: Path, node: Node) -> Component:
    arguments = (str(program), f"--config={node.folder / 'kube-proxy.json'}")
    # It asks for its node's address when it starts, and waits long when there is none yet.
    after = ("kubelet", "node")
    ready = "http://127.0.0.1:10256/healthz"
    return Component("kube-proxy", arguments, after, ready, environment={"PATH": NODE_PATH})


def _provisioner(program: Path, place: Place, node: Node) -> Component:
    values: dict[str, object] = {
        "config": node.folder / "provisioner.json",
        "kubeconfig": place.kubeconfig("provisioner"),
        "namespace": STORAGE_NAMESPACE,
        "configmap-name": STORAGE_CONFIG,
        "service-account-name": STORAGE_ACCOUNT,
        "provisioner-name": PROVISIONER,
        "helper-image": "given by the helper pod file",
        "helper-pod-file": node.folder / "provisioner-pod.json",
    }
    arguments = (str(program), "start", *flags(values))
    return Component("local-path-provisioner", arguments, ("objects",))


def first_steps(kubectl: Path, place: Place, node: Node) -> list[Component]:
    """Return what is done once: the first objects, and waiting for the node."""
    command = (str(kubectl), f"--kubeconfig={place.kubeconfig('admin')}")
    objects = (*command, "apply", "--server-side", "-f", str(node.folder / "objects.json"))
    wait = (*command, "wait", "--for=condition=Ready", f"node/{node.name}", "--timeout=60s")
    # kubectl would otherwise keep its discovery cache in a home that is not there.
    home = {"HOME": "/run"}
    return [
        Component("objects", objects, ("kube-apiserver",), once=True, environment=home),
        Component("node", wait, ("kubelet",), once=True, environment=home),
    ]


def image_imports(archives: Mapping[str, Path], snapshotter: str) -> Sequence[Component]:
    """Return one import for each archive; they run beside the start of everything else."""
    return [
        Component(
            f"image {name}",
            import_command(str(archive), snapshotter),
            ("containerd",),
            once=True,
        )
        for name, archive in archives.items()
    ]


def import_command(archive: str, snapshotter: str) -> tuple[str, ...]:
    """Return the command that brings an archive into the node's containerd."""
    containerd = ("ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io")
    return (*containerd, "images", "import", "--snapshotter", snapshotter, archive)
