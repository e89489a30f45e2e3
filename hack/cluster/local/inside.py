"""The first process of a local node: makes its root and its network, then supervises."""

import json
import socket
import subprocess
import sys
from pathlib import Path

from base.commands import call, run
from base.errors import ClusterError
from base.folders import cache_folder
from base.progress import wait_for
from control_plane.components import parse_components
from control_plane.supervisor import Supervisor
from local.addresses import Plan
from local.node_files import CONTAINERD_ROOT, KUBELET_ROOT
from local.objects import VOLUMES

LINK_SECONDS = 10.0
NODE_INTERFACE = "eth0"

# What overlay and containerd write much to stays on the host's own file system.
DISKS = {"containerd": CONTAINERD_ROOT, "kubelet": KUBELET_ROOT, "volumes": VOLUMES}

# Where programs may be on a file system of their own, which an overlay of `/` does not show.
PROGRAM_FOLDERS = ("/usr", "/opt", "/home", "/root")


def main(folder: Path) -> None:
    """Become the node whose files are in `folder`; returns only when it is told to stop."""
    settings = json.loads((folder / "cluster.json").read_text(encoding="utf-8"))
    plan = Plan(settings["index"])
    components = parse_components((folder / "components.json").read_text(encoding="utf-8"))
    socket.sethostname(settings["name"])
    enter_root(folder)
    join_network(plan)
    Supervisor(folder, components).run()


def enter_root(folder: Path) -> None:
    """Make a root of our own: the host's, with all that is written kept in `folder`.

    So HostPath volumes, CNI and log folders of two clusters never meet, and `down` removes them.
    """
    root = folder / "root" / "merged"
    _mount("--make-rprivate", "/")
    _mount_overlay(folder / "root")
    _mount_kernel_folders(root)
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    for point in separate_folders(mounts):
        _mount("--rbind", point, f"{root}{point}")
    for name, target in DISKS.items():
        _bind(folder / "disk" / name, root, target)
    for kept in (folder, cache_folder()):
        _bind(kept, root, str(kept))
    _pivot(root)


def separate_folders(mounts: str) -> list[str]:
    """Return the program folders that are mounts of their own."""
    points = {line.split()[1] for line in mounts.splitlines()}
    return [path for path in PROGRAM_FOLDERS if path in points]


def _mount_overlay(layers: Path) -> None:
    try:
        _try_overlay(layers)
    except ClusterError:
        # The state folder is itself on an overlay, which cannot be an upper layer: use memory.
        print("node root: kept in memory, since the state folder is on an overlay", flush=True)
        _mount("-t", "tmpfs", "tmpfs", str(layers / "memory"))
        _try_overlay(layers / "memory", layers / "merged")


def _try_overlay(layers: Path, merged: Path | None = None) -> None:
    for name in ("upper", "work"):
        (layers / name).mkdir(exist_ok=True)
    options = f"lowerdir=/,upperdir={layers / 'upper'},workdir={layers / 'work'}"
    _mount("-t", "overlay", "-o", options, "overlay", str(merged or layers / "merged"))


def _mount_kernel_folders(root: Path) -> None:
    _mount("-t", "proc", "proc", f"{root}/proc")
    # A new sysfs shows this network namespace's interfaces; control groups are the host's.
    _mount("-t", "sysfs", "sysfs", f"{root}/sys")
    _mount("--rbind", "/sys/fs/cgroup", f"{root}/sys/fs/cgroup")
    _mount("--rbind", "/dev", f"{root}/dev")
    _mount("-t", "tmpfs", "tmpfs", f"{root}/dev/shm")  # noqa: S108 - the node's own
    for path in ("/run", "/tmp"):  # noqa: S108 - the node's own
        Path(f"{root}{path}").mkdir(exist_ok=True)
        _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{root}{path}")


def _pivot(root: Path) -> None:
    old = root / ".host"
    old.mkdir(exist_ok=True)
    run(call("pivot_root", root, old))
    run(call("umount", "-l", "/.host"))
    Path("/.host").rmdir()
    _mount("--make-rshared", "/")


def _bind(source: Path, root: Path, target: str) -> None:
    source.mkdir(parents=True, exist_ok=True)
    Path(f"{root}{target}").mkdir(parents=True, exist_ok=True)
    _mount("--bind", str(source), f"{root}{target}")


def _mount(*arguments: str) -> None:
    run(call("mount", *arguments))


def join_network(plan: Plan) -> None:
    """Set up loopback and the link that the host puts into this namespace."""
    run(call("ip", "link", "set", "lo", "up"))
    if not wait_for(_has_link, LINK_SECONDS):
        raise ClusterError("the host has not given the node its network link")
    run(call("ip", "address", "add", f"{plan.node}/{plan.link.prefixlen}", "dev", NODE_INTERFACE))
    run(call("ip", "link", "set", NODE_INTERFACE, "up"))
    # The node's own programs and pods on its network look for a route before the address is
    # translated. There is no default route: what is not in the cluster is refused at once.
    run(call("ip", "route", "add", str(plan.services), "via", str(plan.host)))
    _set_sysctl("net/ipv4/ip_forward", "1")
    # Without it, answers between two pods of the bridge pass by the Service's address translation.
    _set_sysctl("net/bridge/bridge-nf-call-iptables", "1")


def _has_link() -> bool:
    names = subprocess.run(
        ("ip", "-o", "link", "show"), capture_output=True, text=True, check=False
    )
    return f"{NODE_INTERFACE}@" in names.stdout


def _set_sysctl(name: str, value: str) -> None:
    path = Path("/proc/sys") / name
    if path.exists():
        path.write_text(value, encoding="ascii")
    else:
        print(f"sysctl {name} is not there: kernel module missing?", file=sys.stderr)
