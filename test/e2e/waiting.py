"""Waiting for real servers: seconds and minutes instead of the moments of a fake kubelet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from fakes.clusters import condition
from fakes.waiting import pause
from fakes.witness import Object, Place

T = TypeVar("T")

POLL_S = 0.5
READY_S = 420.0
"""Six servers that start on two cores which others use as well take minutes."""


def within(seconds: float, check: Callable[[], T]) -> T:
    """What `check` returns, as soon as no assertion of it fails and nothing it reads is missing."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return check()
        except (AssertionError, LookupError, OSError):
            if time.monotonic() >= deadline:
                raise
        pause(POLL_S)


def wait_ready(
    place: Place, resources: Iterable[tuple[str, str]], *, within_s: float = READY_S
) -> None:
    """Wait until all of these are Ready, by their present spec, and all their pods are."""
    wanted = list(resources)

    def ready() -> None:
        for kind, name in wanted:
            assert_ready(place.get(kind, name))
        not_ready = [pod["metadata"]["name"] for pod in servers(place) if not is_ready(pod)]
        assert not_ready == []

    within(within_s, ready)


def assert_ready(resource: Object) -> None:
    """The operator says so of this very spec."""
    seen = condition(resource)
    assert seen["status"] == "True", seen
    assert seen["observedGeneration"] == resource["metadata"]["generation"], seen


def servers(place: Place) -> list[Object]:
    """The pods of RocketMQ, also those that are going."""
    label = "app.kubernetes.io/name"
    return [
        pod
        for pod in place.list("Pod")
        if pod["metadata"].get("labels", {}).get(label) == "rocketmq"
    ]


def is_ready(pod: Object) -> bool:
    """Whether the kubelet says so, and the pod is not being deleted."""
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def delete_resources(place: Place, resources: Iterable[tuple[str, str]]) -> None:
    """Delete them as people do, and wait until none of their pods is left."""
    place.kubectl("delete", *(f"{kind.lower()}/{name}" for kind, name in resources))

    def gone() -> None:
        assert [pod["metadata"]["name"] for pod in servers(place)] == []

    within(READY_S, gone)
