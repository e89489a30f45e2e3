"""Messages through the cluster under test, by the project's message client in a pod.

The client is the stock Java library with a small `main` (hack/images/client): what it says it has
sent was acknowledged by a broker, and what it received is compared key by key.
"""

from __future__ import annotations

import re

import msgspec

from e2e.waiting import is_ready, within
from fakes.witness import Object, Place

POD = "message-client"
PROGRAM = ("sh", "/home/rocketmq/client/message-client")
_SENT = re.compile(r"^\S+ (\S+) OK$", re.MULTILINE)
_START_S = 60.0


class MessageClient(msgspec.Struct, frozen=True):
    """A pod that sends and receives."""

    place: Place
    name_servers: str

    def send(self, topic: str, count: int = 100) -> set[str]:
        """The keys that brokers acknowledged; AssertionError unless there are `count` of them."""
        # The first send makes the topic, which takes more than 5 s where others use the machine.
        said = self._run("send", "--topic", topic, "--count", str(count), "--timeout", "30")
        sent = set(_SENT.findall(said))
        assert len(sent) == count, said
        return sent

    def receive(self, topic: str, count: int = 100, *, group: str = "reader") -> set[str]:
        """The keys of the first `count` messages that this group has not read yet."""
        said = self._run(
            *("receive", "--topic", topic, "--group", f"{topic}-{group}"),
            *("--count", str(count), "--timeout", "90"),
        )
        return {line for line in said.splitlines() if not line.startswith("received ")}

    def _run(self, command: str, *arguments: str) -> str:
        options = ("--namesrv", self.name_servers, *arguments)
        return self.place.kubectl("exec", POD, "--", *PROGRAM, command, *options)


def start_client(place: Place, name_servers: str, version: str) -> MessageClient:
    """A client of this RocketMQ version, as soon as its pod runs."""
    start_pod(place, POD, version)
    return MessageClient(place, name_servers)


def start_pod(place: Place, name: str, version: str, *, memory: str = "512Mi") -> None:
    """A pod that has the client's program and does nothing, as soon as it runs."""
    place.create(_pod(name, version, memory))

    def running() -> None:
        assert is_ready(place.get("Pod", name))

    within(_START_S, running)


def _pod(name: str, version: str, memory: str) -> Object:
    container = {
        "name": "client",
        "image": f"docker.io/rocketmq-operator/message-client:{version}",
        "imagePullPolicy": "Never",
        "command": ["sleep", "infinity"],
        "resources": {"limits": {"memory": memory}, "requests": {"cpu": "10m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 3000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
