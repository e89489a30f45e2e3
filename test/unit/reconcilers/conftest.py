"""Pods in every state that a status tells apart."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from reconcilers.api.kube import Pod

Make = Callable[..., Pod]


def container(**state: Any) -> dict[str, Any]:
    return {"name": "broker", **state}


STATES: dict[str, dict[str, Any]] = {
    "ready": {"conditions": [{"type": "Ready", "status": "True"}]},
    "starting": {"conditions": [{"type": "Ready", "status": "False"}]},
    "unschedulable": {
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/1 nodes are available: 1 Insufficient memory.",
            }
        ]
    },
    "creating": {
        "containerStatuses": [container(state={"waiting": {"reason": "ContainerCreating"}})]
    },
    "crashing": {
        "containerStatuses": [
            container(
                restartCount=4,
                state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                lastState={"terminated": {"exitCode": 1, "reason": "Error"}},
            )
        ]
    },
    "out of memory": {
        "containerStatuses": [
            container(
                restartCount=1,
                state={"waiting": {"reason": "CrashLoopBackOff"}},
                lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            )
        ]
    },
    "no image": {
        "containerStatuses": [
            container(state={"waiting": {"reason": "ImagePullBackOff", "message": "not found."}})
        ]
    },
    "no directories": {
        "initContainerStatuses": [
            container(state={"waiting": {"reason": "CreateContainerConfigError"}})
        ]
    },
}


@pytest.fixture
def pod() -> Make:
    def make(name: str, state: str, *, terminating: bool = False, **status: Any) -> Pod:
        metadata = {"name": name, "namespace": "shop"}
        if terminating:
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        given = {
            "metadata": metadata,
            "spec": {"nodeName": "node-1"},
            "status": {"phase": "Running", **STATES[state], **status},
        }
        return msgspec.convert(given, Pod)

    return make
