"""What to tell somebody who waits for the clusters: resources and pods -> lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Lines = dict[str, str]
"""What is looked at -> how it is, in words."""


def ready(resource: dict[str, Any]) -> bool:
    """Whether the operator says, of the spec as it is now, that the resource is ready."""
    status = resource.get("status", {})
    condition = _condition(resource, "Ready")
    current = status.get("observedGeneration") == resource["metadata"].get("generation")
    return current and condition.get("status") == "True"


def lines(resources: Iterable[dict[str, Any]], pods: Iterable[dict[str, Any]]) -> Lines:
    """One line for each resource and pod."""
    said = {f"{item['kind']} {item['metadata']['name']}": _resource(item) for item in resources}
    said.update({f"pod {pod['metadata']['name']}": _pod(pod) for pod in pods})
    return said


def news(before: Lines, after: Lines) -> list[str]:
    """The lines that are new or changed."""
    return [f"{name}: {text}" for name, text in after.items() if before.get(name) != text]


def _condition(item: dict[str, Any], kind: str) -> dict[str, Any]:
    for condition in item.get("status", {}).get("conditions", ()):
        if condition["type"] == kind:
            return dict(condition)
    return {}


def _resource(item: dict[str, Any]) -> str:
    condition = _condition(item, "Ready")
    if not condition:
        return "not seen by the operator yet"
    return f"Ready={condition['status']} {condition['reason']}: {condition.get('message', '')}"


def _pod(pod: dict[str, Any]) -> str:
    state = "ready" if _condition(pod, "Ready").get("status") == "True" else "not ready"
    for container in pod.get("status", {}).get("containerStatuses", ()):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason"):
            state = str(waiting["reason"])
    return f"{pod.get('status', {}).get('phase', 'Pending')}, {state}"
