"""`up`, `down`, `status` and `load` of a local cluster."""

import json
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from base.commands import Call, Runner, call
from base.errors import ClusterError
from base.folders import cluster_folder, clusters_folder, lock, state_folder
from base.progress import phase, say, wait_for
from control_plane import processes
from control_plane.components import Place, render_components
from control_plane.supervisor import read_states
from local import host
from local.addresses import Plan, choose_plan, parse_routes
from local.files import write_files
from local.node_components import (
    control_plane,
    first_steps,
    image_imports,
    import_command,
    node_programs,
)
from local.node_files import Node
from products.archives import merge_archives
from products.binaries import PROGRAMS, binary
from products.images import Images
from products.packages import CONTROL_PLANE_NEEDS, NODE_NEEDS, install_missing

READY_SECONDS = 180.0
SETTINGS = "cluster.json"

# Small, and needed before anything else: the pods' sandboxes and the volume provisioner run them.
NODE_IMAGES = ("pause", "busybox")

# IPC and UTS too: a pod on the host's network would otherwise have the machine's name.
NAMESPACES = ("unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child")


def up(
    name: str, images: Sequence[str], versions: Mapping[str, str], run: Runner
) -> dict[str, object]:
    """Start a cluster, or return the healthy one of that name; one that died is made anew."""
    folder = cluster_folder(name)
    with lock(_lock_file(name), name):
        if processes.is_healthy(folder):
            _load_missing(name, images, versions, run)
        else:
            if folder.exists():
                say(f"{name}: was not healthy: it is removed and made anew")
                remove(name, run)
            programs, archives = prepare(images, versions, run)
            _start(name, programs, archives, versions, run)
            loaded = [str(archives[image]) for image in images]
            _write_settings(folder, {**_settings(folder), "images": loaded})
    return describe(name)


def _load_missing(
    name: str, images: Sequence[str], versions: Mapping[str, str], run: Runner
) -> None:
    """Load what is not there as it would be built now: sources may have changed since."""
    settings = _settings(cluster_folder(name))
    loaded = settings.get("images", [])
    for archive in map(Images(versions, run).named, images):
        if str(archive) not in loaded:
            load(name, [archive], run)
            loaded = [*loaded, str(archive)]
            _write_settings(cluster_folder(name), {**settings, "images": loaded})


def _settings(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    return settings


def _write_settings(folder: Path, settings: dict[str, Any]) -> None:
    unfinished = folder / f"{SETTINGS}.unfinished"
    unfinished.write_text(json.dumps(settings) + "\n", encoding="utf-8")
    unfinished.rename(folder / SETTINGS)


def prepare(
    images: Sequence[str], versions: Mapping[str, str], run: Runner
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Build what is missing: programs on one side, packages and images on the other."""
    with ThreadPoolExecutor(2) as pool:
        programs = pool.submit(lambda: {name: binary(name, versions, run) for name in PROGRAMS})
        archives = pool.submit(_prepare_images, images, versions, run)
        return programs.result(), archives.result()


def _prepare_images(
    images: Sequence[str], versions: Mapping[str, str], run: Runner
) -> dict[str, Path]:
    install_missing({**CONTROL_PLANE_NEEDS, **NODE_NEEDS}, run)
    maker = Images(versions, run)
    archives = {"pause": maker.pause(), "busybox": maker.busybox()}
    return archives | {image: maker.named(image) for image in images}


def _start(
    name: str,
    programs: Mapping[str, Path],
    archives: Mapping[str, Path],
    versions: Mapping[str, str],
    run: Runner,
) -> None:
    with phase(name, "starting", "ready"):
        plan = _reserve(name, run)
        folder = cluster_folder(name)
        node = Node(name, plan, folder, host.cgroup_name(name), snapshotter(folder))
        place = place_of(node.folder, plan)
        write_files(node, place, versions, run)
        components = [
            *control_plane(programs, place, node),
            *node_programs(programs, place, node),
            *image_imports(_joined(node, archives), node.snapshotter),
            *first_steps(programs["kubectl"], place, node),
        ]
        file = node.folder / "components.json"
        file.write_text(render_components(components), encoding="utf-8")
        supervisor = _enter_namespaces(node, run)
        processes.wait_until_ready(node.folder, supervisor, READY_SECONDS)
        _joined_file(node).unlink(missing_ok=True)
    say(f"{name}: KUBECONFIG={place.kubeconfig('admin')}")


def _joined_file(node: Node) -> Path:
    return node.folder / "images.tar"


def _joined(node: Node, archives: Mapping[str, Path]) -> dict[str, Path]:
    """Return the imports to make: the node's own images at once, all others together."""
    own = {name: archives[name] for name in NODE_IMAGES}
    asked = [archive for name, archive in archives.items() if name not in NODE_IMAGES]
    if not asked:
        return own
    # An import costs by the size of the archive, whether the layers are there already or not.
    merge_archives(asked, _joined_file(node))
    return {**own, "images": _joined_file(node)}


def _reserve(name: str, run: Runner) -> Plan:
    """Choose addresses and write them down, so that a second `up` does not take the same."""
    with lock(state_folder() / "locks" / "addresses", "addresses"):
        taken = [settings["index"] for settings in all_settings()]
        plan = choose_plan(taken, parse_routes(host.host_routes(run)))
        folder = cluster_folder(name)
        folder.mkdir(parents=True)
        _write_settings(folder, {"name": name, "mode": "local", "index": plan.index})
    return plan


def _enter_namespaces(node: Node, run: Runner) -> processes.Process:
    host.make_cgroups(node.name)
    outer = processes.start_in_background(node.folder, "node", NAMESPACES)
    processes.record(node.folder, "outer", outer)
    if not wait_for(lambda: host.child_of(outer.pid) is not None, 5):
        raise ClusterError("unshare failed", node.folder / "logs" / "supervisor.log")
    supervisor = processes.identify(host.child_of(outer.pid) or 0)
    if supervisor is None:
        raise ClusterError("the node ended at once", node.folder / "logs" / "supervisor.log")
    processes.record(node.folder, "supervisor", supervisor)
    host.add_link(node.plan, node.name, supervisor.pid, run)
    return supervisor


def all_settings() -> list[dict[str, Any]]:
    """Return the settings of every local cluster of this user."""
    found = [_settings(file.parent) for file in sorted(clusters_folder().glob(f"*/{SETTINGS}"))]
    return [settings for settings in found if settings["mode"] == "local"]


def down(name: str, run: Runner) -> None:
    """End a cluster and remove all that it left; one that is not there is no error."""
    with lock(_lock_file(name), name):
        remove(name, run)
        _lock_file(name).unlink()


def _lock_file(name: str) -> Path:
    return state_folder() / "locks" / f"cluster-{name}"


def remove(name: str, run: Runner) -> None:
    """End the node's first process, and with it all others; remove link, groups and folder."""
    folder = cluster_folder(name)
    # The data go too, so nobody has to be asked to stop in order. The outer process takes the
    # other with it: an `up` that was interrupted may have written down only that one.
    for role in ("supervisor", "outer"):
        process = processes.recorded(folder, role)
        if process is not None and not processes.end(process, signal.SIGKILL, 20):
            raise ClusterError(f"process {process.pid} of {name} does not end")
    if (folder / SETTINGS).exists():
        host.remove_link(Plan(_settings(folder)["index"]), run)
    host.remove_cgroups(name)
    host.remove_folder(folder, run)


def describe(name: str) -> dict[str, object]:
    """Return what a caller needs to use the cluster."""
    folder = cluster_folder(name)
    plan = Plan(_settings(folder)["index"])
    place = place_of(folder, plan)
    supervisor = processes.recorded(folder, "supervisor")
    return {
        "name": name,
        "mode": "local",
        "kubeconfig": str(place.kubeconfig("admin")),
        "audit_log": str(place.audit_log),
        "server": place.server,
        "directory": str(folder),
        "node": name,
        # HostPath volumes, as this machine sees them, while the node lives.
        "node_root": f"/proc/{supervisor.pid}/root" if supervisor else "",
        "pods": str(plan.pods),
        "services": str(plan.services),
        "pids": {"supervisor": supervisor.pid if supervisor else 0},
    }


def place_of(folder: Path, plan: Plan) -> Place:
    """Return where the control plane of a cluster is; ports are its own network's."""
    return Place(folder, str(plan.node), 6443, 2379, 2380, 10257)


def status(name: str) -> dict[str, str]:
    """Return the state of each part, and of the whole under the empty name."""
    folder = cluster_folder(name)
    if not folder.exists():
        return {"": "absent"}
    supervisor = processes.recorded(folder, "supervisor")
    if supervisor is None or not processes.is_alive(supervisor):
        return {"": "dead"}
    parts = {part: state.state for part, state in read_states(folder).items()}
    return {"": "healthy" if processes.is_healthy(folder) else "not ready", **parts}


def load(name: str, archives: Sequence[Path], run: Runner) -> None:
    """Bring image archives into a running cluster."""
    for archive in archives:
        with phase(name, f"loading {archive.name}", "loaded"):
            command = import_command("-", snapshotter(cluster_folder(name)))
            run(_fed_from(archive, inside(name, command)))


def snapshotter(folder: Path) -> str:
    """Return how containerd keeps layers: an overlay cannot lie on another one."""
    return "native" if host.file_system_of(folder, host.read_mounts()) == "overlay" else "overlayfs"


def _fed_from(file: Path, command: Call) -> Call:
    # The node need not see the folder that the file is in.
    script = 'file=$1; shift; exec "$@" < "$file"'
    return call("sh", "-c", script, "load", file, *command.arguments)


def inside(name: str, command: Sequence[str]) -> Call:
    """Return a call that runs in the namespaces of the node."""
    supervisor = processes.recorded(cluster_folder(name), "supervisor")
    if supervisor is None or not processes.is_alive(supervisor):
        raise ClusterError(f"there is no running cluster {name!r}; start it with `up`")
    target = ("nsenter", "--target", str(supervisor.pid), "--mount", "--net", "--pid", "--ipc")
    return call(*target, "--", *command)
