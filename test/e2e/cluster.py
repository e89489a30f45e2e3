"""A real one-node cluster of one test run: its node's files and volumes, and kubectl.

`hack/cluster` makes it and takes it down. Of the control plane nothing is faked here: kubelet,
containerd, DNS and a volume provisioner run, and pods are reachable by their IP.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from fakes.control_plane import ROOT
from fakes.witness import Object, Place, Witness

_TOOL = (sys.executable, str(ROOT / "hack" / "cluster"))
_BUILD_S = 1800.0
"""A machine without any cache compiles Kubernetes first."""
_COMMAND_S = 300.0
_MADE_HERE = "example.com/e2e"


class RealCluster(msgspec.Struct, frozen=True, kw_only=True):
    """Where the cluster is, and ways into it."""

    name: str
    kubeconfig: Path
    audit_log: Path
    node_root: Path
    """The root directory of the node, as this machine sees it."""
    kubectl: Path

    def environment(self) -> dict[str, str]:
        """What scripts need that call kubectl."""
        return {"KUBECONFIG": str(self.kubeconfig), "KUBECTL": str(self.kubectl)}

    def kubectl_in(self, namespace: str) -> Callable[..., str]:
        """`kubectl` as people use it, in one namespace; AssertionError when it fails."""

        def kubectl(*arguments: str) -> str:
            command = (str(self.kubectl), f"--namespace={namespace}", *arguments)
            return run(command, environment=self.environment())

        return kubectl

    def load(self, archive: str) -> None:
        """Bring an image into the node."""
        cluster_tool("load", "--name", self.name, archive)

    def on_node(self, path: str) -> Path:
        """A file of the node."""
        return self.node_root / path.removeprefix("/")

    def volume(self, place: Place, claim: str) -> Path:
        """The directory of a claim's volume, which the provisioner made on the node."""
        bound = place.get("PersistentVolumeClaim", claim)["spec"]["volumeName"]
        spec = place.witness.request("GET", f"/api/v1/persistentvolumes/{bound}")["spec"]
        source: Object = spec.get("hostPath") or spec["local"]
        return self.on_node(source["path"])


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    within_s: float = _COMMAND_S,
) -> str:
    """What a program prints on standard output; AssertionError, with all it said, if it fails."""
    ended = subprocess.run(  # noqa: S603 - programs of this repository
        command,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
        timeout=within_s,
    )
    said = f"`{' '.join(command)}` ended with {ended.returncode}\n{ended.stdout}{ended.stderr}"
    assert ended.returncode == 0, said
    return ended.stdout


def cluster_tool(*arguments: str) -> str:
    """The last line of `python3 hack/cluster ARGUMENTS`; its progress goes to standard error."""
    ended = subprocess.run(  # noqa: S603 - a program of this repository
        [*_TOOL, *arguments], check=True, stdout=subprocess.PIPE, text=True, timeout=_BUILD_S
    )
    lines = ended.stdout.splitlines()
    return lines[-1] if lines else ""


@contextmanager
def real_cluster(name: str, images: Sequence[str], *, keep: bool) -> Iterator[RealCluster]:
    """Start the cluster (or find it running) and, unless it is kept, take it down in any case."""
    try:
        told = json.loads(
            cluster_tool(
                *("up", "--name", name, "--mode", "local", "--json"),
                *("--images", ",".join(images)),
            )
        )
        yield RealCluster(
            name=name,
            kubeconfig=Path(told["kubeconfig"]),
            audit_log=Path(told["audit_log"]),
            node_root=Path(told["node_root"]),
            kubectl=Path(cluster_tool("binary", "kubectl")),
        )
    finally:
        if not keep:
            cluster_tool("down", "--name", name)


def make_place(cluster: RealCluster, witness: Witness, name: str, *, restricted: bool) -> Place:
    """A new namespace; a restricted one takes no pod that the restricted Pod Security forbids."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"} if restricted else {}
    metadata = {"name": name, "labels": {_MADE_HERE: "true", **labels}}
    witness.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    return Place(witness, name, cluster.kubectl_in(name))


def remove_places(witness: Witness) -> None:
    """Delete the namespaces that an earlier run left in a cluster that was kept."""
    for namespace in witness.list("Namespace"):
        if _MADE_HERE in namespace["metadata"].get("labels", {}):
            witness.delete("Namespace", "", namespace["metadata"]["name"])
