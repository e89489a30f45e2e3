"""Edits of a running cluster under live load: nothing is lost, and one broker at a time is down."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import pytest

from e2e.cluster import RealCluster
from e2e.deployed_operator import Operator
from e2e.faults import signal_servers
from e2e.load import Setting, start_load
from e2e.resources import BROKER, NAME_SERVICE, apply, changed, name_servers, sample
from e2e.versions import NEW, OLD, image
from e2e.waiting import wait_ready, within
from fakes.clusters import condition
from fakes.load_verdict import Verdict
from fakes.pod_watch import Restarts
from fakes.waiting import holds
from fakes.witness import Object, Place

RESOURCES = [NAME_SERVICE, BROKER]
PODS = ("broker-0-master-0", "broker-0-replica-1-0", "broker-1-master-0", "broker-1-replica-1-0")
ROLL_S = 780.0
"""Two groups, each quiet for half a minute, and four starts of a JVM."""
REFRESH_S = 35
"""A stock client looks for routes every 30 s."""
EXPLAINED = "RestartingPod"
SEED = 20261123
STOPS_S = 180.0
"""Until the kubelet has given up on an image, or on a broker that ends at once."""
QUIET_S = 8.0
"""Less than the half minute after which a pod counts as not ready."""
BROKEN = (
    ("ImageNotPulled", {"brokerImage": "localhost:9/none:1"}, {"brokerImage": image(NEW)}),
    (
        "PodCrashing",
        {"config": {"messageStorePlugIn": "no.such.Store"}},
        {"config": {"messageStorePlugIn": None}},
    ),
)
"""The reason that is told, an edit that no broker survives, and the one that corrects it."""


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
    _assert_lossless(verdict)
    assert restarts.most_down_at_once() <= 1
    assert {pod: restarts.restarts(pod) for pod in PODS} == {pod: int(pod in once) for pod in PODS}


def _assert_lossless(verdict: Verdict) -> None:
    assert verdict.lost == verdict.lost_unconfirmed == verdict.erased == frozenset(), verdict


def _explained(place: Place, count: int) -> None:
    told = [one for one in place.list("Event") if one.get("reason") == EXPLAINED]
    of_brokers = [one for one in told if one["regarding"]["kind"] == "Broker"]
    assert sum(1 + one.get("series", {}).get("count", 1) - 1 for one in of_brokers) >= count


def test_an_upgrade_from_4_9_to_5_3_loses_nothing(
    cluster: RealCluster, place: Place, ready: None, tell: Callable[[str], None]
) -> None:
    with Restarts(cluster.kubeconfig, place.name) as restarts:
        with start_load(place, name_servers(place), Setting(topic="upgrade")) as load:
            _edit(place, NAME_SERVICE, nameServiceImage=image(NEW))
            _edit(place, BROKER, brokerImage=image(NEW))
            _settled(place)
            verdict = load.stop()
        tell(f"{OLD} to {NEW}: {verdict}")
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
    tell: Callable[[str], None],
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
        tell(f"configuration and memory, operator killed: {verdict}")
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


def test_broken_edits_stop_after_one_pod_and_corrected_ones_heal(
    cluster: RealCluster, place: Place, ready: None, tell: Callable[[str], None]
) -> None:
    first = PODS[1]
    with Restarts(cluster.kubeconfig, place.name) as restarts:
        with start_load(place, name_servers(place), Setting(topic="broken")) as load:
            for reason, broken, corrected in BROKEN:
                _edit(place, BROKER, routeRefreshSeconds=10, **broken)
                within(STOPS_S, partial(_assert_degraded, place, reason, first))
                holds(partial(_assert_untouched, restarts, but=first), for_s=QUIET_S)
                _edit(place, BROKER, **corrected)
                _settled(place)
            verdict = load.stop()
        tell(f"broken edits: {verdict}")
        _assert_lossless(verdict)
        _assert_untouched(restarts, but=first)
        assert restarts.most_down_at_once() == 1


def test_name_servers_and_brokers_that_hang_keep_a_roll_waiting(
    cluster: RealCluster, place: Place, ready: None, tell: Callable[[str], None]
) -> None:
    hung = PODS[3]
    servers = ("name-service-0", "name-service-1")
    with Restarts(cluster.kubeconfig, place.name) as restarts:
        with start_load(place, name_servers(place), Setting(topic="hung")) as load:
            signal_servers(place, "STOP", *servers)
            _edit(place, BROKER, config={"defaultTopicQueueNums": "7"}, routeRefreshSeconds=10)
            _waits(place, restarts, "does not answer")
            signal_servers(place, "STOP", hung)
            signal_servers(place, "CONT", *servers)
            _waits(place, restarts, hung)
            signal_servers(place, "CONT", hung)
            _settled(place)
            verdict = load.stop()
        tell(f"name servers and a replica that hang: {verdict}")
        _assert_lossless(verdict)
        assert {pod: restarts.restarts(pod) for pod in PODS} == dict.fromkeys(PODS, 1)


def _assert_degraded(place: Place, reason: str, pod: str) -> None:
    seen = condition(place.get(*BROKER), "Degraded")
    assert (seen["status"], seen["reason"]) == ("True", reason), seen
    assert pod in seen["message"]


def _assert_untouched(restarts: Restarts, *, but: str = "") -> None:
    assert [pod for pod in PODS if pod != but and restarts.restarts(pod)] == []


def _waits(place: Place, restarts: Restarts, words: str) -> None:
    """Wait until the step says so; nothing restarts for a while then."""

    def waits() -> None:
        step = place.get(*BROKER)["status"]["step"]
        assert words in step, step

    within(60.0, waits)
    holds(partial(_assert_untouched, restarts), for_s=QUIET_S)
