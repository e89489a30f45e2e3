"""The load client itself: its verdict on a cluster that loses nothing, and on one that does."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from e2e.cluster import RealCluster
from e2e.deployed_operator import Operator
from e2e.load import Setting, start_load
from e2e.resources import BROKER, NAME_SERVICE, apply, changed, name_servers, sample
from e2e.resources import with_little_memory as small
from e2e.waiting import is_ready, wait_ready, within
from fakes.load_verdict import Verdict
from fakes.pod_watch import Restarts
from fakes.waiting import pause
from fakes.witness import Place

RESOURCES = [NAME_SERVICE, BROKER]
MASTER = "broker-0-master-0"
LOAD_S = 20.0
RATE = 50
RESTART_S = 240.0


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Place:
    return make_namespace("load-client", restricted=True)


@pytest.fixture(scope="module")
def ready(place: Place) -> None:
    (name_service,), (broker,) = sample("nameservice_cr"), sample("broker_cr")
    apply(
        place,
        [
            changed(small(name_service), size=1),
            changed(small(broker), size=1, replicaPerGroup=0),
        ],
    )
    wait_ready(place, RESOURCES)


def _told(capsys: pytest.CaptureFixture[str], verdict: Verdict) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{verdict}\n")


@pytest.mark.parametrize("ordered", [False, True], ids=["any-queue", "ordered"])
def test_a_cluster_that_nobody_touches_loses_nothing(
    place: Place, ready: None, capsys: pytest.CaptureFixture[str], ordered: bool
) -> None:
    setting = Setting(topic=f"quiet-{ordered}", rate=RATE, ordered=ordered)
    with start_load(place, name_servers(place), setting) as load:
        pause(LOAD_S)
        verdict = load.stop()
    _told(capsys, verdict)
    assert verdict.lost == verdict.erased == verdict.lost_unconfirmed == frozenset()
    assert (verdict.failed, verdict.duplicates, verdict.reordered) == (0, 0, 0), verdict
    assert verdict.acked == verdict.sent == verdict.received
    assert LOAD_S * RATE / 2 < verdict.acked < verdict.duration_s * RATE * 1.1
    assert verdict.acked_by_broker.keys() == {"broker-0"}


def test_a_broker_that_comes_back_without_its_disk_is_convicted(
    cluster: RealCluster, place: Place, ready: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with Restarts(cluster.kubeconfig, place.name) as restarts:
        with start_load(place, name_servers(place), Setting(topic="wiped", rate=RATE)) as load:
            before = place.get("Pod", MASTER)["metadata"]["uid"]
            place.delete("Pod", MASTER)

            def made_again() -> None:
                found = place.get("Pod", MASTER)
                assert found["metadata"]["uid"] != before
                assert is_ready(found)

            within(RESTART_S, made_again)
            verdict = load.stop(within_s=15)
        _told(capsys, verdict)
        assert verdict.erased
        assert verdict.failed > 0
        assert sum(verdict.errors.values()) == verdict.failed
        assert verdict.longest_send_gap_s > 3
        assert restarts.restarts(MASTER) == 1
        assert restarts.most_down_at_once("broker-0") == 1
        (outage,) = restarts.outages()
        assert outage.end is not None
        assert outage.end - outage.begin > 3
