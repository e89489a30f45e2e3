"""A real kube-apiserver, etcd and kube-controller-manager of one test run, with an audit log."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
_CLUSTER = (sys.executable, str(ROOT / "hack" / "cluster"))


class ControlPlane(msgspec.Struct, frozen=True):
    """Where it is."""

    server: str
    kubeconfig: Path
    authority: Path
    """The certificate that the server's own is signed with."""
    audit_log: Path
    kubectl: Path


@contextmanager
def control_plane(name: str) -> Iterator[ControlPlane]:
    """Start a control plane and take it down again, whatever happens in between."""
    try:
        told = json.loads(_cluster("control-plane", "up", "--name", name, "--audit"))
        yield ControlPlane(
            server=told["server"],
            kubeconfig=Path(told["kubeconfig"]),
            authority=Path(told["directory"]) / "keys" / "ca.crt",
            audit_log=Path(told["audit_log"]),
            kubectl=Path(_cluster("binary", "kubectl")),
        )
    finally:
        _cluster("control-plane", "down", "--name", name)


def kubectl_in(plane: ControlPlane, namespace: str) -> Callable[..., str]:
    """`kubectl` as people use it, in one namespace; raises CalledProcessError."""

    def kubectl(*arguments: str) -> str:
        command = [
            str(plane.kubectl),
            f"--kubeconfig={plane.kubeconfig}",
            f"--namespace={namespace}",
        ]
        ended = subprocess.run(  # noqa: S603 - a program that this repository builds
            [*command, *arguments], check=True, capture_output=True, text=True
        )
        return ended.stdout

    return kubectl


def kubeconfig(server: str, token: str, authority: Path | None) -> dict[str, Any]:
    """A kubeconfig of one user who shows a token; without an authority, for plain HTTP."""
    trust = {"certificate-authority": str(authority)} if authority else {}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server} | trust}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "operator"}}],
        "current-context": "test",
    }


def _cluster(*arguments: str) -> str:
    """The last line that hack/cluster printed; its progress stays visible on standard error."""
    ended = subprocess.run(  # noqa: S603 - a program of this repository
        [*_CLUSTER, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    lines = ended.stdout.splitlines()
    return lines[-1] if lines else ""
