from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from controller.apply import Line, Outcome
from controller.objects import ObjectRef
from reconcilers.api.kube import STATEFUL_SET, Pod
from reconcilers.api.name_service import NameService, NameServiceStatus
from reconcilers.facts import NameServiceFacts
from reconcilers.status.name_service import invalid_status, name_service_status

Make = Callable[..., Pod]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)
DONE = Outcome(())
REFUSED = Outcome(
    (
        Line(
            ObjectRef(STATEFUL_SET, "shop", "ns"),
            "refused",
            reason="ImmutableField",
            message="spec.volumeClaimTemplates cannot be changed",
        ),
    )
)


def a_name_service(size: int = 2, **more: Any) -> NameService:
    spec = {"size": size, "nameServiceImage": "i", "storageMode": "EmptyDir", **more}
    metadata = {"name": "ns", "namespace": "shop", "generation": 3}
    return msgspec.convert({"metadata": metadata, "spec": spec}, NameService)


def conditions(status: NameServiceStatus) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in status.conditions}


def message(status: NameServiceStatus, type_: str) -> str:
    return next(one.message for one in status.conditions if one.type == type_)


@pytest.mark.parametrize(
    ("states", "outcome", "ready", "progressing", "degraded"),
    [
        (
            ["ready", "ready"],
            DONE,
            ("True", "AllReady"),
            ("False", "Settled"),
            ("False", "Healthy"),
        ),
        (
            ["ready"],
            DONE,
            ("False", "PodsNotReady"),
            ("True", "CreatingPods"),
            ("False", "Healthy"),
        ),
        (
            ["ready", "starting"],
            DONE,
            ("False", "PodsNotReady"),
            ("True", "StartingPods"),
            ("False", "Healthy"),
        ),
        (
            ["ready", "crashing"],
            DONE,
            ("False", "PodCrashing"),
            ("False", "Settled"),
            ("True", "PodCrashing"),
        ),
        (
            ["starting", "no image"],
            DONE,
            ("False", "ImageNotPulled"),
            ("True", "StartingPods"),
            ("True", "ImageNotPulled"),
        ),
        (
            ["ready", "ready"],
            REFUSED,
            ("False", "WriteRefused"),
            ("False", "Settled"),
            ("True", "WriteRefused"),
        ),
        (
            ["ready", "ready", "ready"],
            DONE,
            ("True", "AllReady"),
            ("True", "RemovingPods"),
            ("False", "Healthy"),
        ),
    ],
)
def test_conditions_follow_the_pods_and_the_writes(
    states: list[str],
    outcome: Outcome,
    ready: tuple[str, str],
    progressing: tuple[str, str],
    degraded: tuple[str, str],
    pod: Make,
) -> None:
    pods = tuple(pod(f"ns-{index}", state) for index, state in enumerate(states))
    status = name_service_status(a_name_service(), NameServiceFacts(pods=pods), outcome, None, NOW)
    found = conditions(status)
    assert (found["Ready"], found["Progressing"], found["Degraded"]) == (
        ready,
        progressing,
        degraded,
    )


def test_what_there_is(pod: Make) -> None:
    facts = NameServiceFacts(pods=(pod("ns-0", "ready"), pod("ns-1", "starting")))
    status = name_service_status(a_name_service(), facts, DONE, None, NOW)
    assert status.observed_generation == 3
    assert (status.replicas, status.ready_replicas) == (2, 1)
    assert status.name_servers == (
        "ns-0.ns-headless.shop.svc:9876",
        "ns-1.ns-headless.shop.svc:9876",
    )
    assert "app.kubernetes.io/instance=ns" in status.selector.split(",")
    assert message(status, "Ready") == "1 of 2 name servers are ready; waiting for ns-1"


def test_a_refused_write_is_said_in_the_servers_words() -> None:
    status = name_service_status(a_name_service(), NameServiceFacts(), REFUSED, None, NOW)
    assert message(status, "Degraded") == (
        "StatefulSet shop/ns was refused: spec.volumeClaimTemplates cannot be changed"
    )


def test_a_long_list_of_pods_is_cut() -> None:
    status = name_service_status(a_name_service(size=100), NameServiceFacts(), DONE, None, NOW)
    assert message(status, "Progressing").endswith("ns-0, ns-1, ns-2, ns-3, ns-4 and 95 more")


def test_nothing_changes_in_a_status_when_nothing_has_changed(pod: Make) -> None:
    facts = NameServiceFacts(pods=(pod("ns-0", "ready"), pod("ns-1", "crashing")))
    cr = a_name_service()
    first = name_service_status(cr, facts, DONE, None, NOW)
    cr = msgspec.structs.replace(cr, status=first)
    assert name_service_status(cr, facts, DONE, None, LATER) == first


def test_a_condition_that_moves_says_when(pod: Make) -> None:
    cr = a_name_service(size=1)
    first = name_service_status(cr, NameServiceFacts(), DONE, None, NOW)
    cr = msgspec.structs.replace(cr, status=first)
    second = name_service_status(
        cr, NameServiceFacts(pods=(pod("ns-0", "ready"),)), DONE, None, LATER
    )
    since = {one.type: one.last_transition_time for one in second.conditions}
    assert since == {
        "Ready": "2026-01-02T00:00:00Z",
        "Progressing": "2026-01-02T00:00:00Z",
        "Degraded": "2026-01-01T00:00:00Z",
        "ConfigurationAccepted": "2026-01-01T00:00:00Z",
    }


def test_ignored_keys_are_named() -> None:
    cr = a_name_service(config={"listenPort": "1", "orderMessageEnable": "true"})
    status = name_service_status(cr, NameServiceFacts(), DONE, None, NOW)
    assert conditions(status)["ConfigurationAccepted"] == ("True", "IdentityKeysIgnored")
    assert message(status, "ConfigurationAccepted").endswith(": listenPort")


def test_a_resource_with_a_problem_is_told_what_runs_and_what_is_wrong(pod: Make) -> None:
    facts = NameServiceFacts(pods=(pod("ns-0", "ready"),))
    status = invalid_status(a_name_service(), facts, "InvalidName", "another name", NOW)
    assert status.ready_replicas == 1
    assert conditions(status) == {
        "Ready": ("False", "InvalidName"),
        "Progressing": ("False", "InvalidName"),
        "Degraded": ("True", "InvalidName"),
    }
    assert message(status, "Ready") == "another name"
