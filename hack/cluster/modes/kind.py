"""Mode kind: a cluster in docker, where docker and kind are there."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from base.commands import Runner, call
from base.errors import ClusterError
from base.folders import cluster_folder
from base.progress import phase


@dataclass(frozen=True)
class KindCluster:
    """A cluster that kind makes; its kubeconfig is ours, so that the user's is not touched."""

    name: str
    run: Runner

    @property
    def kubeconfig(self) -> Path:
        """Return the path of the cluster's kubeconfig."""
        return cluster_folder(self.name) / "kubeconfig"

    def exists(self) -> bool:
        """Tell whether kind knows the cluster."""
        return self.name in self.run(call("kind", "get", "clusters")).split()

    def up(self, archives: Sequence[Path]) -> dict[str, object]:
        """Create the cluster if it is not there, and load images into it."""
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        kubeconfig = ("--kubeconfig", self.kubeconfig)
        with phase(self.name, "starting by kind", "ready"):
            if self.exists():
                self.run(call("kind", "export", "kubeconfig", "--name", self.name, *kubeconfig))
            else:
                wait = ("--wait", "180s")
                self.run(call("kind", "create", "cluster", "--name", self.name, *wait, *kubeconfig))
            self.run(call("kubectl", *kubeconfig, "apply", "-f", "-", stdin=STORAGE_CLASS))
        self.load(archives)
        return self.describe()

    def describe(self) -> dict[str, object]:
        """Return what a caller needs to use the cluster."""
        folder = str(self.kubeconfig.parent)
        known = {"name": self.name, "mode": "kind", "directory": folder}
        return {**known, "kubeconfig": str(self.kubeconfig), "audit_log": ""}

    def load(self, archives: Sequence[Path]) -> None:
        """Bring image archives into the cluster's node."""
        for archive in archives:
            with phase(self.name, f"loading {archive.name}", "loaded"):
                self.run(call("kind", "load", "image-archive", archive, "--name", self.name))

    def down(self) -> None:
        """Delete the cluster and our folder of it."""
        if self.exists():
            self.run(call("kind", "delete", "cluster", "--name", self.name))
        shutil.rmtree(cluster_folder(self.name), ignore_errors=True)

    def status(self) -> dict[str, str]:
        """Return the state of the cluster, under the empty name."""
        if not self.exists():
            return {"": "absent"}
        nodes = ("kubectl", "--kubeconfig", self.kubeconfig, "wait", "--for=condition=Ready")
        try:
            self.run(call(*nodes, "node", "--all", "--timeout=5s"))
        except ClusterError:
            return {"": "not ready"}
        return {"": "healthy"}


# kind brings a local-path provisioner; only our class's name is missing.
STORAGE_CLASS = """\
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: rocketmq-storage
provisioner: rancher.io/local-path
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Delete
"""
