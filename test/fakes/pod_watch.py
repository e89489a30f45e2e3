"""A watch on pods by the official client, from a thread of its own, kept as a history.

The watch goes on where it was when a connection ends. A version that the API server no longer has
would leave a hole: the history is then refused.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from kubernetes import client, watch
from urllib3.exceptions import HTTPError

from fakes import pod_history
from fakes.pod_history import Outage, Sighting, sighting
from fakes.witness import api_client

BROKERS = "app.kubernetes.io/component=broker"
NAME_SERVERS = "app.kubernetes.io/component=name-server"
_WATCH_S = 60
_TIMEOUTS_S = (5, _WATCH_S + 15)
_PAUSE_S = 0.5


class Restarts:
    """The pods of a namespace that a label selector means, from the start of this context on."""

    def __init__(self, kubeconfig: str | Path, namespace: str, selector: str = BROKERS) -> None:
        self._client = api_client(kubeconfig, "pod-watch")
        self._list = client.CoreV1Api(self._client).list_namespaced_pod
        self._arguments: dict[str, Any] = {"namespace": namespace, "label_selector": selector}
        self._watch = watch.Watch()
        self._thread = threading.Thread(target=self._run, name="pod-watch", daemon=True)
        self._stopped = threading.Event()
        self._history: list[Sighting] = []
        self._version: str | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> Restarts:
        first = self._list(**self._arguments)
        for pod in self._client.sanitize_for_serialization(first)["items"]:
            self._history.append(sighting(time.time(), pod))
        assert first.metadata is not None
        self._version = first.metadata.resource_version
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._watch.stop()
        self._thread.join(_TIMEOUTS_S[1])
        self._client.close()

    def history(self) -> tuple[Sighting, ...]:
        """What was seen until now; AssertionError when the watch ended before its time."""
        assert self._error is None, f"the watch on pods has failed: {self._error!r}"
        return tuple(self._history)

    def restarts(self, pod: str) -> int:
        """How often this pod was made again or its containers started again."""
        return pod_history.restarts(self.history(), pod)

    def outages(self, group: str = "") -> list[Outage]:
        """Every outage of the pods of a group (a brokerName), or of all of them."""
        return pod_history.outages(self.history(), group)

    def most_down_at_once(self, group: str = "") -> int:
        """The largest number of pods of a group, or of all, that were down at the same time."""
        return pod_history.most_down_at_once(self.history(), group)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._follow()
        except Exception as error:  # noqa: BLE001 - whoever asks for the history is told
            self._error = error

    def _follow(self) -> None:
        """Take events until the connection ends."""
        try:
            for event in self._watch.stream(
                self._list,
                **self._arguments,
                resource_version=self._version,
                timeout_seconds=_WATCH_S,
                _request_timeout=_TIMEOUTS_S,
            ):
                pod = event["raw_object"]
                seen = sighting(time.time(), pod, is_gone=event["type"] == "DELETED")
                self._history.append(seen)
                self._version = pod["metadata"]["resourceVersion"]
        except HTTPError:
            self._stopped.wait(_PAUSE_S)
