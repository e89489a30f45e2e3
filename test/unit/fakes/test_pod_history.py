from __future__ import annotations

from typing import Any

import pytest

from fakes.pod_history import Outage, Sighting, most_down_at_once, outages, restarts, sighting

MASTER, REPLICA = "broker-0-master-0", "broker-0-replica-1-0"


def seen(at: float, name: str = MASTER, uid: str = "a", **fact: Any) -> Sighting:
    group = name.rpartition("-master")[0] or name.partition("-replica")[0]
    is_ready = fact.get("ready", True) and not fact.get("gone", False)
    return Sighting(
        at, name, uid, group, is_ready, fact.get("restarts", 0), fact.get("gone", False)
    )


def restart(at: float, name: str = MASTER, uid: str = "a", *, takes_s: float = 4) -> list[Sighting]:
    """Deleted, gone, made, ready."""
    return [
        seen(at, name, uid, ready=False),
        seen(at + takes_s / 4, name, uid, gone=True),
        seen(at + takes_s / 2, name, uid + "+", ready=False),
        seen(at + takes_s, name, uid + "+"),
    ]


START = [seen(0), seen(0, REPLICA), seen(0, "broker-1-master-0")]


def pod(**changes: Any) -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/instance": "broker",
        "rocketmq.apache.org/broker-group": "broker-0",
    }
    metadata = {"name": MASTER, "uid": "a", "labels": changes.pop("labels", labels)}
    status = {
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": changes.pop("ready", "True")},
        ],
        "containerStatuses": [{"restartCount": 2}],
    }
    return {"metadata": {**metadata, **changes}, "status": status}


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (pod(), Sighting(1.5, MASTER, "a", "broker-0", True, 2)),
        (pod(ready="False"), Sighting(1.5, MASTER, "a", "broker-0", False, 2)),
        (pod(deletionTimestamp="soon"), Sighting(1.5, MASTER, "a", "broker-0", False, 2)),
        (
            pod(labels={"app.kubernetes.io/instance": "name-service"}),
            Sighting(1.5, MASTER, "a", "name-service", True, 2),
        ),
        (
            {"metadata": {"name": MASTER, "uid": "a"}, "status": {"phase": "Pending"}},
            Sighting(1.5, MASTER, "a", "", False, 0),
        ),
    ],
)
def test_a_pod_is_ready_when_the_kubelet_says_so_and_nobody_deletes_it(
    manifest: dict[str, Any], expected: Sighting
) -> None:
    assert sighting(1.5, manifest) == expected


def test_a_pod_that_was_ready_when_it_was_deleted_is_not_ready() -> None:
    gone = sighting(1.5, pod(), is_gone=True)
    assert (gone.is_gone, gone.is_ready) == (True, False)


def test_a_pod_is_down_from_its_deletion_until_its_successor_is_ready() -> None:
    assert outages([*START, *restart(10)]) == [Outage(MASTER, "broker-0", 10, 14)]


def test_a_pod_that_turns_unready_is_down_without_a_restart() -> None:
    history = [*START, seen(5, ready=False), seen(6, ready=False), seen(9)]
    assert outages(history) == [Outage(MASTER, "broker-0", 5, 9)]
    assert restarts(history, MASTER) == 0


def test_an_outage_that_lasts_has_no_end() -> None:
    assert outages([*START, seen(5, ready=False)]) == [Outage(MASTER, "broker-0", 5, None)]


def test_a_pod_that_joins_is_not_down_before_it_was_ready() -> None:
    joining = "broker-0-replica-2-0"
    history = [*START, seen(1, joining, ready=False), *restart(2), seen(8, joining)]
    assert most_down_at_once(history, "broker-0") == 1
    assert most_down_at_once([*history, seen(9, joining, ready=False)], "broker-0") == 1


def test_a_pod_that_is_gone_for_good_is_not_down_any_more() -> None:
    leaving = [seen(1, REPLICA, ready=False), seen(3, REPLICA, gone=True)]
    assert outages([*START, *leaving]) == [Outage(REPLICA, "broker-0", 1, 3)]
    assert most_down_at_once([*START, *leaving, *restart(4)]) == 1
    assert most_down_at_once([*START, *leaving[:1], *restart(2), *leaving[1:]]) == 2


@pytest.mark.parametrize(
    ("begin", "group", "most"),
    [
        (9.0, "broker-0", 2),
        (9.0, "broker-1", 0),
        (9.0, "", 2),
        # The other is ready at this very moment.
        (14.0, "broker-0", 1),
        (20.0, "broker-0", 1),
    ],
)
def test_pods_are_down_at_once_when_their_outages_overlap(
    begin: float, group: str, most: int
) -> None:
    events = sorted([*restart(10), *restart(begin, REPLICA)], key=lambda one: one.at)
    assert most_down_at_once([*START, *events], group) == most


def test_one_long_outage_beside_two_short_ones_is_two_at_once() -> None:
    long = restart(1, takes_s=40)
    short = [*restart(5, REPLICA), *restart(20, REPLICA, "a+")]
    history = sorted([*START, *long, *short], key=lambda one: one.at)
    assert most_down_at_once(history) == 2
    assert [one.name for one in outages(history)] == [MASTER, REPLICA, REPLICA]


def test_nothing_is_down_when_nothing_happens() -> None:
    assert most_down_at_once(START) == 0
    assert outages([]) == []


@pytest.mark.parametrize(
    ("history", "count"),
    [
        ([seen(0)], 0),
        ([seen(0), *restart(1)], 1),
        ([seen(0), *restart(1), *restart(9, uid="a+")], 2),
        # Starts of the container; those before the watch began do not count.
        ([seen(0, restarts=3), seen(1, restarts=3)], 0),
        ([seen(0, restarts=3), seen(1, ready=False, restarts=4), seen(2, restarts=4)], 1),
        ([seen(0, restarts=3), *restart(1), seen(9, uid="a+", restarts=2)], 3),
        # Another pod's.
        ([seen(0), seen(0, REPLICA), *restart(1, REPLICA)], 0),
    ],
)
def test_a_restart_is_another_pod_of_the_name_or_another_start_of_its_container(
    history: list[Sighting], count: int
) -> None:
    assert restarts(history, MASTER) == count


def test_a_pod_that_was_never_seen_has_no_number_of_restarts() -> None:
    with pytest.raises(LookupError, match="broker-9-master-0"):
        restarts(START, "broker-9-master-0")
