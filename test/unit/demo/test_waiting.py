from typing import Any

from waiting import lines, news, ready


def resource(*, generation: int = 1, observed: int = 1, status: str = "True") -> dict[str, Any]:
    condition = {"type": "Ready", "status": status, "reason": "AllReady", "message": "fine"}
    return {
        "kind": "Broker",
        "metadata": {"name": "b", "generation": generation},
        "status": {"observedGeneration": observed, "conditions": [condition]},
    }


def pod(phase: str, ready_status: str, waiting: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    return {
        "metadata": {"name": "p"},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": ready_status}],
            "containerStatuses": [{"state": state}],
        },
    }


def test_a_resource_is_ready_only_for_the_spec_that_was_seen() -> None:
    assert ready(resource())
    assert not ready(resource(generation=2))
    assert not ready(resource(status="False"))
    assert not ready({"kind": "Broker", "metadata": {"name": "b", "generation": 1}})


def test_a_pod_that_waits_says_for_what() -> None:
    assert lines([], [pod("Pending", "False", "ImagePullBackOff")]) == {
        "pod p": "Pending, ImagePullBackOff"
    }
    assert lines([], [pod("Running", "True")]) == {"pod p": "Running, ready"}


def test_only_news_is_told() -> None:
    before = lines([resource(status="False")], [pod("Running", "False")])
    after = lines([resource(status="False")], [pod("Running", "True")])
    assert news({}, before) == ["Broker b: Ready=False AllReady: fine", "pod p: Running, not ready"]
    assert news(before, after) == ["pod p: Running, ready"]
    assert news(after, after) == []
