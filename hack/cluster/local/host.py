"""What a local cluster has outside its namespaces: its link, its control groups, its folder."""

import json
import os
import shutil
from pathlib import Path

from base.commands import Runner, call
from base.errors import ClusterError, CommandError
from base.progress import wait_for
from local.addresses import Plan

CONTROL_GROUPS = Path("/sys/fs/cgroup")
CGROUP_SECONDS = 10.0


def cgroup_name(cluster: str) -> str:
    """Return the control group that holds all pods of a cluster."""
    return f"/rocketmq-operator-{cluster}"


def host_routes(run: Runner) -> list[dict[str, object]]:
    """Return the routes of every table of this machine."""
    command = ("ip", "-json", "-4", "route", "show", "table", "all")
    routes: list[dict[str, object]] = json.loads(run(call(*command)) or "[]")
    return routes


def add_link(plan: Plan, cluster: str, pid: int, run: Runner) -> None:
    """Put a link between this machine and the network namespace of process `pid`."""
    name = plan.interface
    remove_link(plan, run)
    peer = ("peer", "name", "eth0", "netns", str(pid))
    run(call("ip", "link", "add", name, "type", "veth", *peer))
    run(call("ip", "link", "set", name, "alias", f"rocketmq-operator cluster {cluster}"))
    run(call("ip", "address", "add", f"{plan.host}/{plan.link.prefixlen}", "dev", name))
    run(call("ip", "link", "set", name, "up"))
    # So that tests on this machine reach pods and Services by their addresses.
    for network in (plan.pods, plan.services):
        run(call("ip", "route", "add", str(network), "via", str(plan.node), "dev", name))


def remove_link(plan: Plan, run: Runner) -> None:
    """Remove the host's end; it is gone already when the kernel ended the namespace."""
    if interface_exists(plan):
        try:
            run(call("ip", "link", "delete", plan.interface))
        except CommandError:
            if interface_exists(plan):
                raise


def interface_exists(plan: Plan) -> bool:
    """Tell whether the host's end of the link is there."""
    return Path("/sys/class/net", plan.interface).exists()


def hierarchies(root: Path = CONTROL_GROUPS) -> list[Path]:
    """Return the control group trees: one for version 2, one for each controller for version 1."""
    if (root / "cgroup.controllers").exists():
        return [root]
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())


def make_cgroups(cluster: str) -> None:
    """Make the group under which kubelet keeps the pods; kubelet refuses one that is not there."""
    for tree in hierarchies():
        group = tree / cgroup_name(cluster).lstrip("/")
        group.mkdir(exist_ok=True)
        # In version 1 a new cpuset is empty, and takes no process until it is not.
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (tree / setting).exists() and (group / setting).exists():
                (group / setting).write_text((tree / setting).read_text("ascii"), "ascii")
    if (CONTROL_GROUPS / "cgroup.controllers").exists():
        _delegate_controllers(CONTROL_GROUPS)
        _delegate_controllers(CONTROL_GROUPS / cgroup_name(cluster).lstrip("/"))
    for group in existing_cgroups(cluster):
        _weigh(group, os.cpu_count() or 1)


def _weigh(group: Path, processors: int) -> None:
    """Let all pods together count as a process for each processor, not as a single one.

    With the weight of one, broker after broker fails its probes as soon as this machine has
    anything else to do: the processes of the node itself are not in the group.
    """
    for setting, one in (("cpu.shares", 1024), ("cpu.weight", 100)):
        if (group / setting).exists():
            (group / setting).write_text(str(min(one * processors, 10_000)), encoding="ascii")


def _delegate_controllers(group: Path) -> None:
    for controller in (group / "cgroup.controllers").read_text(encoding="ascii").split():
        try:
            (group / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")
        except OSError as error:
            raise ClusterError(
                f"cannot hand the {controller} controller to children of {group}: {error.strerror};"
                " inside a container, move its processes out of the root group first"
            ) from error


def existing_cgroups(cluster: str) -> list[Path]:
    """Return the groups of a cluster that are there."""
    groups = [tree / cgroup_name(cluster).lstrip("/") for tree in hierarchies()]
    return [group for group in groups if group.is_dir()]


def remove_cgroups(cluster: str) -> None:
    """Remove the groups of a cluster, children first; the last process may take a moment to go."""
    if not wait_for(lambda: all(map(_remove_group, existing_cgroups(cluster))), CGROUP_SECONDS):
        left = ", ".join(map(str, existing_cgroups(cluster)))
        raise ClusterError(f"these control groups still have processes: {left}")


def _remove_group(group: Path) -> bool:
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            return False
    return True


def mounts_below(folder: Path, mounts: str) -> list[str]:
    """Return the mount points at or below `folder`, the deepest first."""
    points = [line.split()[1].replace("\\040", " ") for line in mounts.splitlines()]
    inside = [p for p in points if p == str(folder) or p.startswith(f"{folder}/")]
    return sorted(inside, key=len, reverse=True)


def file_system_of(folder: Path, mounts: str) -> str:
    """Return the type of the file system that `folder` is on."""
    found = "", ""
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split()
        covers = f"{folder}/".startswith(point.rstrip("/") + "/")
        if covers and len(point) >= len(found[0]):
            found = point, kind
    return found[1]


def remove_folder(folder: Path, run: Runner) -> None:
    """Delete the folder of a cluster, after a look that nothing is mounted in it."""
    for point in mounts_below(folder, read_mounts()):
        run(call("umount", "--lazy", point))
    if mounts_below(folder, read_mounts()):
        raise ClusterError(f"something is still mounted below {folder}: not deleted")
    if folder.exists():
        shutil.rmtree(folder)


def read_mounts() -> str:
    """Return this machine's mounts, as this process sees them."""
    return Path("/proc/self/mounts").read_text(encoding="utf-8")


def child_of(pid: int) -> int | None:
    """Return the first child of a process."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    return next((int(word) for word in text.split()), None)


def command_lines() -> dict[int, str]:
    """Return the command line of each process but this one."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return {pid: _command_line(pid) for pid in sorted(pids) if pid != os.getpid()}


def _command_line(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return b" ".join(words).decode(errors="replace").strip()
