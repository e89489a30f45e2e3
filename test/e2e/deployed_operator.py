"""The operator as users have it: its image in two pods, installed by hack/deploy.sh."""

from __future__ import annotations

import json
import urllib.request

import msgspec

from e2e.cluster import RealCluster, run
from e2e.waiting import is_ready, within
from fakes.control_plane import ROOT
from fakes.witness import Object, Place, Witness

NAMESPACE = "rocketmq-operator"
USER = f"system:serviceaccount:{NAMESPACE}:rocketmq-operator"
"""The user that the audit log shows for it."""
START_S = 120.0
METRICS_PORT = 8080
LEASE = "rocketmq-operator"
REPLICAS = 2

LogLine = dict[str, object]


class Operator(msgspec.Struct, frozen=True):
    """The operator of the cluster, and the script that installs it."""

    cluster: RealCluster
    place: Place
    image: str

    def script(self, command: str, **environment: str) -> str:
        """Run `hack/deploy.sh COMMAND`; what it printed, standard error included."""
        words = ("sh", "-c", 'exec "$@" 2>&1', "sh", str(ROOT / "hack" / "deploy.sh"), command)
        own = {"NAMESPACE": self.place.name, "IMAGE": self.image, "TIMEOUT": "60s"}
        return run(words, environment={**self.cluster.environment(), **own, **environment})

    def pods(self) -> list[Object]:
        """Its pods, also those that are going."""
        return [
            pod
            for pod in self.place.list("Pod")
            if pod["metadata"]["labels"].get("app.kubernetes.io/name") == "rocketmq-operator"
        ]

    def leader(self) -> Object:
        """Its pod that acts, ready or not; AssertionError if that of the Lease is gone."""
        holder = self.place.get("Lease", LEASE)["spec"].get("holderIdentity") or ""
        found = [pod for pod in self.pods() if holder.startswith(f"{pod['metadata']['name']}_")]
        assert len(found) == 1, f"{holder} holds the Lease"
        return found[0]

    def pod(self) -> Object:
        """Its pod that acts; AssertionError unless all of its pods are there and ready."""
        pods = self.pods()
        assert len(pods) == REPLICAS, [pod["metadata"]["name"] for pod in pods]
        assert all(is_ready(pod) for pod in pods), [pod["status"] for pod in pods]
        return self.leader()

    def wait_ready(self) -> Object:
        """Its pod that acts, as soon as all of its pods are ready."""
        return within(START_S, self.pod)

    def restart(self) -> Object:
        """Delete the pod that acts and wait for all to be ready; the one that acts then.

        AssertionError if one of them has logged an error.
        """
        assert self.errors() == []
        self.place.delete("Pod", self.pod()["metadata"]["name"])
        return self.wait_ready()

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its name and labels."""
        url = f"http://{self.pod()['status']['podIP']}:{METRICS_PORT}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
        lines = (line for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in (one.rpartition(" ") for one in lines)}

    def reconciled(self) -> float:
        """How many reconciles the process that acts has finished."""
        samples = self.metrics().items()
        return sum(
            value
            for name, value in samples
            if name.startswith("controller_runtime_reconcile_total")
        )

    def errors(self) -> list[LogLine]:
        """What its pods logged as errors; so is a line that is no JSON, such as a traceback's."""
        names = [pod["metadata"]["name"] for pod in self.pods()]
        text = "".join(self.place.kubectl("logs", name, "--tail=-1") for name in names)
        lines = (_log_line(line) for line in text.splitlines() if line.strip())
        return [line for line in lines if line.get("level") in ("error", "critical")]


def operator_in(cluster: RealCluster, witness: Witness, image: str, namespace: str) -> Operator:
    """The operator of a namespace, whether it is installed there or not."""
    return Operator(cluster, Place(witness, namespace, cluster.kubectl_in(namespace)), image)


def _log_line(line: str) -> LogLine:
    try:
        decoded = json.loads(line)
    except ValueError:
        decoded = None
    return decoded if isinstance(decoded, dict) else {"level": "error", "event": line}
