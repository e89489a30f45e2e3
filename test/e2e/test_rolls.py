"""Edits of a running cluster under live load: nothing is lost, and one broker at a time is down."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from e2e.cluster import RealCluster
from e2e.deployed_operator import Operator
from e2e.load import Setting, start_load
from e2e.resources import BROKER, NAME_SERVICE, apply, changed, name_servers, sample
from e2e.versions import NEW, OLD, image
from e2e.waiting import wait_ready, within
from fakes.clusters import condition
from fakes.load_verdict import Verdict
from fakes.pod_watch import Restarts
from fakes.witness import Object, Place

RESOURCES = [NAME_SERVICE, BROKER]
PODS = ("broker-0-master-0", "broker-0-replica-1-0", "broker-1-master-0", "broker-1-replica-1-0")
ROLL_S = 780.0
"""Two groups, each quiet for half a minute, and four starts of a JVM."""
REFRESH_S = 35
"""A stock client looks for routes every 30 s."""
EXPLAINED = "RestartingPod"
SEED = 20261123


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Place:
    return make_namespace("rolls", restricted=True)


@pytest.fixture(scope="module")
def ready(place: Place) -> None:
    apply(place, map(_old, sample("storageclass")))
    wait_ready(place, RESOURCES)


def _old(resource: Object) -> Object:
    if resource["kind"] == "NameService":
        return changed(resource, nameServiceImage=image(OLD))
    return changed(
        resource,
        brokerImage=image(OLD),
        replicationMode="SYNC",
        routeRefreshSeconds=REFRESH_S,
        resources={"limits": {"memory": "900Mi"}},
    )


def _edit(place: Place, which: tuple[str, str], **spec: object) -> None:
    place.patch(*which, {"spec": spec})


def _settled(place: Place) -> None:
    """Both resources are Ready by their present spec, and no pod waits for a restart."""

    def settled() -> None:
        for kind, name in RESOURCES:
            resource = place.get(kind, name)
            for one in ("Ready", "UpToDate"):
                seen = condition(resource, one)
                assert seen["observedGeneration"] == resource["metadata"]["generation"], seen
                assert seen["status"] == "True", seen
            assert resource["status"]["step"] == "", resource["status"]["step"]

    within(ROLL_S, settled)


def _assert_gated(restarts: Restarts, verdict: Verdict, *, once: tuple[str, ...]) -> None:
    """Nothing is lost, never two brokers down, and each of these restarted once, no other."""
    assert verdict.lost == verdict.lost_unconfirmed == verdict.erased == frozenset(), verdict
    assert restarts.most_down_at_once() <= 1
    assert {pod: restarts.restarts(pod) for pod in PODS} == {pod: int(pod in once) for pod in PODS}


def _explained(place: Place, count: int) -> None:
    told = [one for one in place.list("Event") if one.get("reason") == EXPLAINED]
    of_brokers = [one for one in told if one["regarding"]["kind"] == "Broker"]
    assert sum(1 + one.get("series", {}).get("count", 1) - 1 for one in of_brokers) >= count


def _told(capsys: pytest.CaptureFixture[str], what: str, verdict: Verdict) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{what}: {verdict}\n")


def test_an_upgrade_from_4_9_to_5_3_loses_nothing(
    cluster: RealCluster, place: Place, ready: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with Restarts(cluster.kubeconfig, place.name) as restarts:
        with start_load(place, name_servers(place), Setting(topic="upgrade")) as load:
            _edit(place, NAME_SERVICE, nameServiceImage=image(NEW))
            _edit(place, BROKER, brokerImage=image(NEW))
            _settled(place)
            verdict = load.stop()
        _told(capsys, f"{OLD} to {NEW}", verdict)
        _assert_gated(restarts, verdict, once=PODS)
    versions = {row["version"] for row in place.get(*BROKER)["status"]["brokers"]}
    assert versions == {NEW}
    _explained(place, len(PODS))


def test_a_setting_that_works_at_once_restarts_nothing(
    cluster: RealCluster, place: Place, ready: None
) -> None:
    with Restarts(cluster.kubeconfig, place.name) as restarts:
        _edit(place, BROKER, config={"fileReservedTime": "47"})

        def pushed() -> None:
            told = [one for one in place.list("Event") if one.get("reason") == "SettingsPushed"]
            assert any("fileReservedTime=47" in one["note"] for one in told)

        within(90.0, pushed)
        _settled(place)
        assert {restarts.restarts(pod) for pod in PODS} == {0}


def test_a_roll_whose_operator_is_killed_again_and_again_ends(
    cluster: RealCluster,
    place: Place,
    ready: None,
    operator: Operator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Restarts(cluster.kubeconfig, place.name) as restarts:
        with start_load(place, name_servers(place), Setting(topic="killed")) as load:
            _edit(
                place,
                BROKER,
                config={"fileReservedTime": "47", "defaultTopicQueueNums": "6"},
                resources={"limits": {"memory": "1000Mi"}},
            )
            with _killing(operator):
                _settled(place)
            verdict = load.stop()
        _told(capsys, "configuration and memory, operator killed", verdict)
        _assert_gated(restarts, verdict, once=PODS)
    operator.wait_ready()


@contextmanager
def _killing(operator: Operator) -> Iterator[None]:
    """Meanwhile the operator that acts is killed, at random every 5 to 20 s (the seed is fixed)."""
    stopped = threading.Event()
    chance = random.Random(SEED)  # noqa: S311 - no secret

    def kill() -> None:
        while not stopped.wait(chance.uniform(5, 20)):
            # Nobody acts yet: the other one waits for the end of the Lease.
            with suppress(AssertionError):
                name = operator.leader()["metadata"]["name"]
                operator.place.delete("Pod", name, gracePeriodSeconds=0)

    thread = threading.Thread(target=kill, name="killer", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
