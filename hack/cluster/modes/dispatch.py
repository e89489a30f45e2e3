"""One handle on a cluster of whichever mode."""

import json
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from base.commands import call, run
from base.errors import ClusterError
from base.folders import cluster_folder, clusters_folder
from base.versions import read_versions
from local import cluster as local
from local.leftovers import leftovers
from modes.choice import EXISTING, KIND, Machine, choose_mode
from modes.existing import ExistingCluster
from modes.kind import KindCluster
from products.images import Images


@dataclass(frozen=True)
class Cluster:
    """A cluster by name; `asked` is the mode that the user named, if any."""

    name: str
    asked: str | None

    def mode(self) -> str:
        """Return the mode of the cluster."""
        return choose_mode(self.asked, recorded_mode(cluster_folder(self.name)), this_machine())

    def up(self, images: Sequence[str]) -> dict[str, object]:
        """Start the cluster, or find it running."""
        mode = self.mode()
        if mode == EXISTING:
            return self._existing().up()
        if mode == KIND:
            maker = Images(read_versions(), run)
            return self._kind().up([maker.named(image) for image in images])
        return local.up(self.name, images, read_versions(), run)

    def status(self) -> dict[str, str]:
        """Return the state of the parts, and of the whole under the empty name."""
        mode = self.mode()
        if mode == EXISTING:
            return self._existing().status()
        return self._kind().status() if mode == KIND else local.status(self.name)

    def load(self, archives: Sequence[Path]) -> None:
        """Bring image archives into the cluster."""
        mode = self.mode()
        if mode == EXISTING:
            self._existing().load(archives)
        elif mode == KIND:
            self._kind().load(archives)
        else:
            local.load(self.name, archives, run)

    def down(self) -> None:
        """End the cluster."""
        mode = self.mode()
        if mode == EXISTING:
            self._existing().down()
        elif mode == KIND:
            self._kind().down()
        else:
            local.down(self.name, run)

    def kubeconfig(self) -> str:
        """Return the path of the kubeconfig."""
        mode = self.mode()
        if mode == EXISTING:
            return str(self._existing().kubeconfig)
        if not cluster_folder(self.name).exists():
            raise ClusterError(f"there is no cluster {self.name!r}; start it with `up`")
        described = self._kind().describe() if mode == KIND else local.describe(self.name)
        return str(described["kubeconfig"])

    def leftovers(self) -> list[str]:
        """Return what a local cluster left on this machine."""
        return leftovers(self.name, run)

    def _kind(self) -> KindCluster:
        return KindCluster(self.name, run)

    def _existing(self) -> ExistingCluster:
        return ExistingCluster(self.name, run, os.environ)


def recorded_mode(folder: Path) -> str | None:
    """Return the mode of the cluster that has this folder."""
    if (folder / "cluster.json").exists():
        settings = json.loads((folder / "cluster.json").read_text(encoding="utf-8"))
        return str(settings["mode"])
    return KIND if (folder / "kubeconfig").exists() else None


def this_machine() -> Machine:
    """Return what this machine offers; docker is asked only where it could matter."""
    linux, root = platform.system() == "Linux", os.geteuid() == 0
    kind = shutil.which("kind") is not None
    needs_docker = kind and not (linux and root)
    return Machine(linux, root, needs_docker and _docker_answers(), kind)


def _docker_answers() -> bool:
    try:
        run(call("docker", "info"))
    except ClusterError:
        return False
    return True


def all_clusters() -> Iterator[tuple[str, str, str]]:
    """Return name, mode and state of each cluster that was made here."""
    for folder in sorted(clusters_folder().glob("*")):
        mode = recorded_mode(folder)
        if mode is not None:
            yield folder.name, mode, Cluster(folder.name, mode).status()[""]
