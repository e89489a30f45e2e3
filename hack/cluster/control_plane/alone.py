"""`control-plane up`: an API server without nodes, on loopback, for integration tests."""

import dataclasses
import json
import shutil
import signal
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from base.commands import Runner
from base.folders import cluster_folder, lock, state_folder
from base.progress import phase, say
from control_plane import processes
from control_plane.audit import render_audit_policy
from control_plane.certificates import identities, make_certificates
from control_plane.components import (
    Component,
    Place,
    api_server,
    controller_manager,
    etcd,
    render_components,
)
from control_plane.kubeconfig import write_kubeconfig
from control_plane.supervisor import read_states
from products.binaries import CONTROL_PLANE, binary
from products.packages import CONTROL_PLANE_NEEDS, install_missing

READY_SECONDS = 60.0
SERVICE_RANGE = "10.0.0.0/16"
LOOPBACK = "127.0.0.1"
# Nobody sends anything to a Service here, and these write with every change of a pod.
NO_ENDPOINTS = (
    "*,-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller"
)
# The garbage of many short tests costs more than the memory that it would take.
GO_SETTINGS = {"GOGC": "300"}


def folder_of(name: str) -> Path:
    """Return the folder of the control plane `name`; a cluster may have the same name."""
    return state_folder() / "control-planes" / cluster_folder(name).name


def up(name: str, versions: Mapping[str, str], run: Runner, *, audit: bool) -> dict[str, object]:
    """Start a control plane, or return the one of that name which runs already."""
    folder = folder_of(name)
    with lock(_lock_file(name), name):
        if not processes.is_healthy(folder):
            _remove(folder)
            _start(folder, versions, run, audit=audit)
    return describe(name)


def down(name: str) -> None:
    """End a control plane and delete its folder; one that is not there is no error."""
    with lock(_lock_file(name), name):
        _remove(folder_of(name))
        _lock_file(name).unlink()


def _lock_file(name: str) -> Path:
    return state_folder() / "locks" / f"control-plane-{name}"


def _remove(folder: Path) -> None:
    supervisor = processes.recorded(folder, "supervisor")
    if supervisor is not None and not processes.end(supervisor, signal.SIGTERM, 20):
        processes.end(supervisor, signal.SIGKILL, 5)
    shutil.rmtree(folder, ignore_errors=True)


def describe(name: str) -> dict[str, object]:
    """Return what a caller needs to use the control plane."""
    folder = folder_of(name)
    pids = {name: state.pid for name, state in read_states(folder).items()}
    supervisor = processes.recorded(folder, "supervisor")
    return {
        **json.loads((folder / "control-plane.json").read_text(encoding="utf-8")),
        "directory": str(folder),
        "pids": {**pids, "supervisor": supervisor.pid if supervisor else 0},
    }


def _start(folder: Path, versions: Mapping[str, str], run: Runner, *, audit: bool) -> None:
    install_missing(CONTROL_PLANE_NEEDS, run)
    programs = {program: binary(program, versions, run) for program in CONTROL_PLANE}
    with phase("control plane", "starting", "ready"):
        place = _write_files(folder, run)
        parts = _components(place, programs, audit=audit)
        (folder / "components.json").write_text(render_components(parts), encoding="utf-8")
        _write_description(folder, place, audit=audit)
        supervisor = processes.start_in_background(folder, "supervise")
        processes.record(folder, "supervisor", supervisor)
        processes.wait_until_ready(folder, supervisor, READY_SECONDS)
    say(f"control plane: KUBECONFIG={place.kubeconfig('admin')}")


def _components(place: Place, programs: Mapping[str, Path], *, audit: bool) -> list[Component]:
    # Without a node there is nobody whose address the Service `kubernetes` could name.
    extra: dict[str, object] = {"endpoint-reconciler-type": "none"}
    controllers: dict[str, object] = {"controllers": NO_ENDPOINTS}
    parts = [
        etcd(programs["etcd"], place),
        api_server(programs["kube-apiserver"], place, SERVICE_RANGE, audit=audit, extra=extra),
        controller_manager(programs["kube-controller-manager"], place, controllers),
    ]
    return [dataclasses.replace(part, environment=GO_SETTINGS) for part in parts]


def _write_files(folder: Path, run: Runner) -> Place:
    folder.mkdir(parents=True)
    place = Place(folder, LOOPBACK, *free_ports(4))
    make_certificates(place.keys, identities("control-plane", (LOOPBACK, "10.0.0.1")), run)
    for identity in ("admin", "controller-manager"):
        write_kubeconfig(place.kubeconfig(identity), place.server, place.keys, identity)
    (folder / "audit-policy.json").write_text(render_audit_policy(), encoding="utf-8")
    return place


def _write_description(folder: Path, place: Place, *, audit: bool) -> None:
    description = {
        "kubeconfig": str(place.kubeconfig("admin")),
        "audit_log": str(place.audit_log) if audit else "",
        "server": place.server,
    }
    text = json.dumps(description) + "\n"
    (folder / "control-plane.json").write_text(text, encoding="utf-8")


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody uses; for a minute the kernel offers them to nobody.

    A connection that its server has closed first keeps the port in TIME_WAIT: who asks for it by
    its number may listen on it, who asks for just any port gets another one.
    """
    with ExitStack() as held:
        return [_reserved_port(held) for _ in range(count)]


def _reserved_port(held: ExitStack) -> int:
    server = held.enter_context(socket.create_server((LOOPBACK, 0)))
    port = int(server.getsockname()[1])
    held.enter_context(socket.create_connection((LOOPBACK, port)))
    accepted, _ = server.accept()
    held.enter_context(accepted)  # the last one in is the first to be closed
    return port
