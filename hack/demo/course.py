"""The course of the demo, step by step."""

from __future__ import annotations

import re
import time
from pathlib import Path

from progress import Progress
from shell import DemoError, Kubectl, cluster_tool, run
from waiting import Lines, lines, news, ready

__all__ = ["Demo", "DemoError"]

SAMPLES = ("rocketmq_v1alpha1_nameservice_cr.yaml", "rocketmq_v1alpha1_broker_cr.yaml")
WAIT_S = 300.0
NAMESPACE = "default"
ROUTES_FROM = "name-service-0.name-service-headless:9876"

CLIENT = """\
apiVersion: v1
kind: Pod
metadata: {{name: message-client, labels: {{app: message-client}}}}
spec:
  restartPolicy: Never
  containers:
    - name: client
      image: {image}
      imagePullPolicy: IfNotPresent
      command: [sh, -c]
      args:
        - >-
          sh message-client send --namesrv "{name_servers}" --topic {topic}
          --count {count} --timeout 30 &&
          sh message-client receive --namesrv "{name_servers}" --topic {topic}
          --group {topic}-reader --count {count} --timeout 120
"""


class Demo:
    """From nothing to messages, or back."""

    def __init__(self, root: Path, name: str, mode: tuple[str, ...], *, messages: int) -> None:
        self._root = root
        self._name = name
        self._mode = mode
        self._messages = messages
        self._progress = Progress()

    def up(self) -> None:
        """Set everything up, send and receive; DemoError says what went wrong."""
        with self._progress.phase(f"cluster {self._name}"):
            cluster_tool(self._root, "up", "--name", self._name, *self._mode)
        kubectl = self._kubectl()
        with self._progress.phase("operator"):
            self._deploy(kubectl)
        with self._progress.phase("RocketMQ cluster of config/samples"):
            self._apply(kubectl)
        with self._progress.phase(f"{self._messages} messages"):
            result = self._messages_through(kubectl)
        self._show(kubectl)
        print(result)

    def down(self) -> None:
        """Remove the cluster with everything in it; of an existing cluster only what we made."""
        with self._progress.phase("removing the demo"):
            if "existing" in self._mode:
                self._remove(self._kubectl())
            cluster_tool(self._root, "down", "--name", self._name, *self._mode)

    def _kubectl(self) -> Kubectl:
        kubeconfig = cluster_tool(self._root, "kubeconfig", "--name", self._name)
        return Kubectl(cluster_tool(self._root, "binary", "kubectl"), kubeconfig)

    def _deploy(self, kubectl: Kubectl) -> None:
        environment = dict(kubectl.environment)
        if "existing" not in self._mode:  # there the user names an image of a registry in IMAGE
            image, archive = cluster_tool(self._root, "image", "working-tree").split()
            cluster_tool(self._root, "load", "--name", self._name, archive)
            environment["IMAGE"] = image
        run([self._root / "hack" / "deploy.sh", "deploy"], environment=environment)

    def _version(self, name: str) -> str:
        pinned = (self._root / "hack" / "versions.env").read_text(encoding="utf-8")
        found = re.search(rf"^{name}=(\S+)$", pinned, re.MULTILINE)
        if found is None:
            raise DemoError(f"{name} is missing in hack/versions.env")
        return found[1]

    def _apply(self, kubectl: Kubectl) -> None:
        for sample in SAMPLES:
            path = self._root / "config" / "samples" / sample
            kubectl("-n", NAMESPACE, "apply", "--server-side", "--force-conflicts", "-f", path)
        said: Lines = {}
        deadline = time.monotonic() + WAIT_S
        while True:
            resources = kubectl.json("-n", NAMESPACE, "get", "nameservices,brokers")["items"]
            pods = kubectl.json(
                "-n", NAMESPACE, "get", "pods", "-l", "app.kubernetes.io/name=rocketmq"
            )["items"]
            seen = lines(resources, pods)
            for line in news(said, seen):
                self._progress.say(f"  {line}")
            said = seen
            if len(resources) >= len(SAMPLES) and all(map(ready, resources)):
                return
            if time.monotonic() > deadline:
                raise DemoError(f"not ready after {WAIT_S:.0f} s; see the lines above")
            time.sleep(1)  # noqa: TID251 - a command-line tool without an event loop

    def _messages_through(self, kubectl: Kubectl) -> str:
        status = kubectl.json("-n", NAMESPACE, "get", "nameservice", "name-service")["status"]
        manifest = CLIENT.format(
            image=f"docker.io/rocketmq-operator/message-client:{self._version('ROCKETMQ_VERSION')}",
            name_servers=";".join(status["nameServers"]),
            topic=f"demo-{int(time.time())}",
            count=self._messages,
        )
        kubectl("-n", NAMESPACE, "delete", "pod", "message-client", "--ignore-not-found")
        kubectl("-n", NAMESPACE, "apply", "-f", "-", given=manifest)
        log = self._finished(kubectl, "message-client")
        sent = _figure(r"^sent (\d+) ", log)
        received = _figure(r"^received (\d+) ", log)
        result = f"{sent} sent, {received} received"
        if sent != self._messages or received != self._messages:
            raise DemoError(f"{result}; expected {self._messages} of both\n{log}")
        return result

    def _finished(self, kubectl: Kubectl, pod: str) -> str:
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            phase = kubectl.json("-n", NAMESPACE, "get", "pod", pod)["status"].get("phase")
            if phase in {"Succeeded", "Failed"}:
                return kubectl("-n", NAMESPACE, "logs", pod)
            time.sleep(1)  # noqa: TID251 - a command-line tool without an event loop
        raise DemoError(f"pod {pod} did not end in {WAIT_S:.0f} s")

    def _show(self, kubectl: Kubectl) -> None:
        export = f"export KUBECONFIG={kubectl.environment['KUBECONFIG']}"
        print(kubectl("-n", NAMESPACE, "get", "nameservices,brokers"))
        print(kubectl("-n", NAMESPACE, "get", "pods", "-o", "wide"))
        print("Routes, as a name server has them:")
        cluster_list = f'sh mqadmin clusterList -n "{ROUTES_FROM}" 2>/dev/null'
        print(kubectl("-n", NAMESPACE, "exec", "broker-0-master-0", "--", "sh", "-c", cluster_list))
        print("Look next:")
        print(f"  {export}")
        print("  kubectl describe broker broker                      # conditions and Events")
        print("  kubectl -n rocketmq-operator logs deploy/rocketmq-operator")
        print(
            "  kubectl -n rocketmq-operator port-forward deploy/rocketmq-operator 8080  # /metrics"
        )
        print("  make demo-down                                      # remove it all")

    def _remove(self, kubectl: Kubectl) -> None:
        for sample in reversed(SAMPLES):
            path = self._root / "config" / "samples" / sample
            kubectl("-n", NAMESPACE, "delete", "--ignore-not-found", "-f", path)
        kubectl("-n", NAMESPACE, "delete", "pod", "message-client", "--ignore-not-found")
        run([self._root / "hack" / "deploy.sh", "undeploy"], environment=kubectl.environment)


def _figure(pattern: str, text: str) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    return int(found[1]) if found else 0
