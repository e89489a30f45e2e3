"""A kubelet without containers: makes the pods of a control plane run, fail and go.

It binds every pod to its node, gives it an address and reports what a kubelet would report. What to
report is a pure function of the pod and of what the test asked for (`wanted_state`, `pod_status`);
the threads below only watch, wait and write. Something may run in the pods of a namespace
(`serving`): it is started and stopped with them and says whether they are ready.
PersistentVolumeClaims stay Pending: neither the StatefulSet controller nor a kubelet without
volumes looks at them. Pods of the host network whose ports collide get a node each.
"""

from __future__ import annotations

import fnmatch
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

import msgspec
from kubernetes import client, watch

from fakes.pod_network import PodNetwork, pod_network
from fakes.witness import MERGE_PATCH, Object, Refused, Witness, api_client, path_of

NODE = "fake-node"
AGENT = "fake-kubelet"
HEARTBEAT_S = 10.0
TICK_S = 0.02

Mood = Literal["well", "unready", "crash-loop", "no-image"]
State = Literal["unbound", "starting", "ready", "unready", "crash-loop", "no-image", "gone"]


class Behaviour(msgspec.Struct, frozen=True):
    """How pods fare: `well` ones become ready after a while."""

    mood: Mood = "well"
    ready_after_s: float = 0.02


class Runtime(Protocol):
    """What runs in the pods of a namespace; asked from one thread of the kubelet's."""

    def start(self, pod: Object, address: str, host_ip: str) -> None:
        """Start the pod's containers, once for each pod. Raises Refused: try again."""

    def state(self, pod: Object) -> State:
        """How they are: any but "unbound" and "gone"."""

    def stop(self, pod: Object, *, removed: bool) -> bool:
        """Tell them to end, because the pod is removed or else to be started again; whether they
        have ended."""


def wanted_state(pod: Object, behaviour: Behaviour, age_s: float) -> State:
    """What a pod that was bound `age_s` ago should be by now."""
    if pod["metadata"].get("deletionTimestamp"):
        return "gone"
    if not pod["spec"].get("nodeName"):
        return "unbound"
    if behaviour.mood != "well":
        return behaviour.mood
    return "ready" if age_s >= behaviour.ready_after_s else "starting"


def pod_status(pod: Object, state: State, pod_ip: str, host_ip: str, now: str) -> Object:
    """The status that a kubelet reports of a pod in this state."""
    ready, running = state == "ready", state != "no-image"
    address = {"podIP": pod_ip, "podIPs": [{"ip": pod_ip}]} if running else {}
    spec = pod["spec"]
    return {
        "phase": "Running" if running else "Pending",
        "hostIP": host_ip,
        "startTime": now,
        "conditions": [
            _condition("PodScheduled", True, now),
            _condition("Initialized", True, now),
            _condition("ContainersReady", ready, now),
            _condition("Ready", ready, now),
        ],
        "initContainerStatuses": [
            _container(one, False, _DONE) for one in spec.get("initContainers", ())
        ],
        "containerStatuses": [
            _container(one, ready, _CONTAINER_STATES.get(state, _RUNNING))
            for one in spec["containers"]
        ],
        **address,
    }


def host_ports(pod: Object) -> set[int]:
    """The ports of its node that a pod takes."""
    if not pod["spec"].get("hostNetwork"):
        return set()
    containers = pod["spec"]["containers"]
    return {port["containerPort"] for one in containers for port in one.get("ports", ())}


def node_name(number: int) -> str:
    """The name of a node; the first is for all pods that share one."""
    return f"{NODE}-{number + 1}" if number else NODE


_LIVELY = frozenset({"starting", "ready", "unready"})
_RUNNING: Object = {"state": {"running": {}}, "restartCount": 0}
_DONE: Object = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}, "restartCount": 0}
_CRASHED = {"terminated": {"exitCode": 1, "reason": "Error"}}
_CONTAINER_STATES: Mapping[State, Object] = {
    "crash-loop": {
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        "lastState": _CRASHED,
        "restartCount": 3,
    },
    "no-image": {
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}},
        "restartCount": 0,
    },
}


def _condition(kind: str, holds: bool, now: str) -> Object:
    return {"type": kind, "status": "True" if holds else "False", "lastTransitionTime": now}


def _container(container: Object, ready: bool, details: Object) -> Object:
    image = container["image"]
    identity = {"name": container["name"], "image": image, "imageID": f"fake://{image}"}
    return {**identity, "ready": ready, "started": ready, **details}


class Kubelet:
    """The running one; `behave` may be called at any time, for pods that are or will be."""

    def __init__(self, kubeconfig: Path, network: PodNetwork) -> None:
        self._api = Witness(kubeconfig, AGENT)
        self._watching = api_client(kubeconfig, AGENT)
        self._watch = watch.Watch()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._pods: dict[str, Object] = {}
        self._bound_at: dict[str, float] = {}
        self._addresses: dict[str, str] = {}
        self._reported: dict[str, State] = {}
        self._behaviours: list[tuple[str, str, Behaviour]] = []
        self._network = network
        self._given = 0
        self._nodes: dict[str, str] = {}
        self._homes: dict[str, str] = {}
        self._runtimes_lock = threading.Lock()
        self._runtimes: dict[str, Runtime] = {}
        self._started: dict[str, Object] = {}

    def behave(self, namespace: str, pods: str, behaviour: Behaviour) -> None:
        """From now on the pods of this namespace whose names match the pattern fare like this."""
        with self._lock:
            self._behaviours.insert(0, (namespace, pods, behaviour))

    @contextmanager
    def serving(self, namespace: str, runtime: Runtime) -> Iterator[None]:
        """Meanwhile this runs in the pods of this namespace that shall be well or unready."""
        with self._runtimes_lock:
            self._runtimes[namespace] = runtime
        try:
            yield
        finally:
            with self._runtimes_lock:
                del self._runtimes[namespace]

    def new_address(self) -> str:
        """An address of the pods' network that no pod has."""
        with self._lock:
            self._given += 1
            return self._network.pod(self._given)

    def host_ip(self, number: int = 0) -> str:
        """The address of a node: of the first, that all pods share as long as their ports allow."""
        return self._network.node(number)

    def start(self) -> None:
        """Make the first node; the threads are the caller's (`kubelet`)."""
        self._add_node()

    def _add_node(self) -> None:
        name, host_ip = node_name(len(self._nodes)), self.host_ip(len(self._nodes))
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
        self._api.apply(node, manager=AGENT)
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        addresses = [{"type": "InternalIP", "address": host_ip}]
        status = {"status": {"conditions": [ready], "addresses": addresses}}
        path = path_of("Node", name=name, subresource="status")
        self._api.request("PATCH", path, body=status, content_type=MERGE_PATCH)
        self._nodes[name] = host_ip

    def stop(self) -> None:
        """Let both threads end."""
        self._stopping.set()
        self._watch.stop()

    def close(self) -> None:
        """Close the connections, after the threads have ended."""
        self._api.close()
        self._watching.close()

    def watch_pods(self) -> None:
        """Keep `_pods` current until `stop`: list, watch, and the same again after any error."""
        core = client.CoreV1Api(self._watching)
        while not self._stopping.is_set():
            # A watch that is cut breaks in whatever its library comes upon first: half a line is a
            # ValueError, a closed response an AttributeError. Listing again heals each.
            with suppress(Exception):
                self._list_and_watch(core)

    def _list_and_watch(self, core: client.CoreV1Api) -> None:
        listed = self._api.request("GET", path_of("Pod"))
        with self._lock:
            self._pods = {pod["metadata"]["uid"]: pod for pod in listed["items"]}
        version = listed["metadata"]["resourceVersion"]
        stream = self._watch.stream(
            core.list_pod_for_all_namespaces,
            resource_version=version,
            timeout_seconds=300,
            deserialize=False,
        )
        for event in stream:
            with self._lock:
                self._note(event["type"], event["object"])

    def _note(self, kind: str, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if kind == "DELETED":
            for known in (
                self._pods,
                self._bound_at,
                self._homes,
                self._addresses,
                self._reported,
            ):
                known.pop(uid, None)
        else:
            self._pods[uid] = pod

    def run_pods(self) -> None:
        """Bring every pod to its wanted state, until `stop`."""
        heartbeat_at = time.monotonic()
        while not self._stopping.wait(TICK_S):
            if time.monotonic() >= heartbeat_at:
                self._heartbeat()
                heartbeat_at = time.monotonic() + HEARTBEAT_S
            with self._lock:
                pods = list(self._pods.values())
            self._stop_vanished({pod["metadata"]["uid"] for pod in pods})
            for pod in pods:
                with suppress(Refused):  # it changed or went meanwhile: the watch will tell
                    self._advance(pod)

    def _advance(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        age_s = time.monotonic() - self._bound_at.get(uid, time.monotonic())
        state = self._run(pod, wanted_state(pod, self._behaviour(pod), age_s))
        if state is None or self._reported.get(uid) == state:
            return
        if state == "unbound":
            self._bind(pod)
            self._bound_at[uid] = time.monotonic()
        elif state == "gone":
            self._remove(pod)
        else:
            self._report(pod, state)
        self._reported[uid] = state

    def _run(self, pod: Object, wanted: State) -> State | None:
        """Start or stop what runs in the pod; its state, None while it is ending."""
        uid = pod["metadata"]["uid"]
        with self._runtimes_lock:
            runtime = self._runtimes.get(pod["metadata"]["namespace"])
            if runtime is None:
                self._started.pop(uid, None)
                return wanted
            if wanted in _LIVELY:
                if uid not in self._started:
                    host_ip = self._nodes[pod["spec"]["nodeName"]]
                    runtime.start(pod, self._address(pod), host_ip)
                    self._started[uid] = pod
                actual = runtime.state(pod)
                return actual if wanted == "ready" or actual not in _LIVELY else wanted
            if uid in self._started:
                if not runtime.stop(pod, removed=wanted == "gone"):
                    return None
                del self._started[uid]
            return wanted

    def _stop_vanished(self, uids: set[str]) -> None:
        """Stop what runs in pods that were deleted by force."""
        for uid, pod in list(self._started.items()):
            if uid not in uids:
                with self._runtimes_lock:
                    runtime = self._runtimes.get(pod["metadata"]["namespace"])
                    if runtime is None or runtime.stop(pod, removed=True):
                        del self._started[uid]

    def _behaviour(self, pod: Object) -> Behaviour:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        with self._lock:
            behaviours = list(self._behaviours)
        for place, pattern, behaviour in behaviours:
            if place == namespace and fnmatch.fnmatchcase(name, pattern):
                return behaviour
        return Behaviour()

    def _bind(self, pod: Object) -> None:
        metadata = pod["metadata"]
        path = path_of("Pod", metadata["namespace"], metadata["name"], "binding")
        node = self._node_for(pod)
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        identity = {"name": metadata["name"], "uid": metadata["uid"]}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": identity, "target": target}
        self._api.request("POST", path, body=binding)
        self._homes[metadata["uid"]] = node

    def _node_for(self, pod: Object) -> str:
        """The first node whose ports are free, as the scheduler sees it."""
        with self._lock:
            others = list(self._pods.values())
        for number in range(len(others) + 1):
            name = node_name(number)
            there = (one for one in others if self._homes.get(one["metadata"]["uid"]) == name)
            if not any(host_ports(one) & host_ports(pod) for one in there):
                break
        if name not in self._nodes:
            self._add_node()
        return name

    def _remove(self, pod: Object) -> None:
        metadata = pod["metadata"]
        path = path_of("Pod", metadata["namespace"], metadata["name"])
        same = {"uid": metadata["uid"]}
        body = {"gracePeriodSeconds": 0, "preconditions": same}
        self._api.request("DELETE", path, body=body)

    def _report(self, pod: Object, state: State) -> None:
        metadata = pod["metadata"]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        host_ip = self._nodes[pod["spec"]["nodeName"]]
        status = pod_status(pod, state, self._address(pod), host_ip, now)
        identity = {"uid": metadata["uid"]}  # a successor of the same name is left alone
        path = path_of("Pod", metadata["namespace"], metadata["name"], "status")
        body = {"metadata": identity, "status": status}
        self._api.request("PATCH", path, body=body, content_type=MERGE_PATCH)

    def _address(self, pod: Object) -> str:
        if pod["spec"].get("hostNetwork"):
            return self._nodes[pod["spec"]["nodeName"]]
        uid = pod["metadata"]["uid"]
        if uid not in self._addresses:
            self._addresses[uid] = self.new_address()
        return self._addresses[uid]

    def _heartbeat(self) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        for name in self._nodes:
            spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now}
            metadata = {"name": name, "namespace": "kube-node-lease"}
            with suppress(Refused):  # the namespace is made by the API server, soon after its start
                self._api.apply({**lease, "metadata": metadata, "spec": spec}, manager=AGENT)


@contextmanager
def kubelet(kubeconfig: Path) -> Iterator[Kubelet]:
    """A kubelet for all pods of a control plane."""
    with pod_network(os.getpid()) as network:
        running = Kubelet(kubeconfig, network)
        running.start()
        threads = [
            threading.Thread(target=work, name=f"{AGENT} {work.__name__}", daemon=True)
            for work in (running.watch_pods, running.run_pods)
        ]
        for thread in threads:
            thread.start()
        try:
            yield running
        finally:
            running.stop()
            for thread in threads:
                thread.join(10)
            running.close()
