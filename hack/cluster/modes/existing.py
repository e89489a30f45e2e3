"""Mode existing: the cluster that KUBECONFIG names; nothing of it is ever made or deleted here."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from base.commands import Runner, call
from base.errors import ClusterError


@dataclass(frozen=True)
class ExistingCluster:
    """Somebody's cluster: it can be looked at, and that is all."""

    name: str
    run: Runner
    environment: Mapping[str, str]

    @property
    def kubeconfig(self) -> Path:
        """Return the kubeconfig that the user's own kubectl would read."""
        chosen = self.environment.get("KUBECONFIG", "")
        if os.pathsep in chosen:
            raise ClusterError("KUBECONFIG names several files; name one for --mode existing")
        return Path(chosen) if chosen else Path.home() / ".kube" / "config"

    def up(self) -> dict[str, object]:
        """Check that the cluster answers; nothing is changed in it."""
        if not self.kubeconfig.is_file():
            raise ClusterError(f"there is no kubeconfig at {self.kubeconfig}; set KUBECONFIG")
        self.run(call("kubectl", "--kubeconfig", self.kubeconfig, "get", "--raw", "/readyz"))
        known = {"name": self.name, "mode": "existing", "directory": "", "audit_log": ""}
        return {**known, "kubeconfig": str(self.kubeconfig)}

    def status(self) -> dict[str, str]:
        """Return whether the cluster answers, under the empty name."""
        try:
            self.up()
        except ClusterError:
            return {"": "does not answer"}
        return {"": "healthy"}

    def load(self, archives: Sequence[Path]) -> None:
        """Refuse: only a registry brings images into a cluster that is not ours."""
        names = ", ".join(archive.name for archive in archives)
        raise ClusterError(
            f"images cannot be loaded into an existing cluster ({names}): push them to a registry "
            "that it can pull from, and name them there in your manifests"
        )

    def down(self) -> None:
        """Refuse: whoever made the cluster ends it."""
        raise ClusterError("an existing cluster is not ours to end: nothing was deleted")
