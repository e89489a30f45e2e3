"""The load client itself: its verdict on a cluster that loses nothing, and on one that does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.cluster import RealCluster
from e2e.deployed_operator import Operator
from e2e.load import Load, Setting, start_load
from e2e.resources import BROKER, NAME_SERVICE, apply, changed, name_servers, sample
from e2e.resources import with_little_memory as small
from e2e.versions import OLD
from e2e.waiting import wait_ready, within
from fakes.load_journal import Ack
from fakes.pod_watch import Restarts
from fakes.waiting import pause
from fakes.witness import Place

RESOURCES = [NAME_SERVICE, BROKER]
MASTER = "broker-0-master-0"
LOAD_S = 20.0
RATE = 50
RESTART_S = 240.0
RESUME_S = 120.0
"""Clients resolve a broker's name anew after the 30 s for which the JVM keeps an answer."""
DRAIN_S = 15.0


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Place:
    return make_namespace("load-client", restricted=True)


@pytest.fixture(scope="module")
def ready(place: Place) -> None:
    (name_service,), (broker,) = sample("nameservice_cr"), sample("broker_cr")
    # An undecided transaction is asked about after seconds instead of half a minute.
    config = {"transactionCheckInterval": "3000"}
    apply(
        place,
        [
            changed(small(name_service), size=1),
            changed(small(broker), size=1, replicaPerGroup=0, config=config),
        ],
    )
    wait_ready(place, RESOURCES)


def test_a_cluster_that_nobody_touches_loses_nothing(
    place: Place, ready: None, tell: Callable[[str], None]
) -> None:
    """Two loads at once: of messages of every kind, and of some by the library of 4.9, in order."""
    anyhow = Setting(
        topic="anyhow", rate=RATE, delayed=10, timed=10, timer_s=8, transactions=10, poll_s=5
    )
    in_order = Setting(topic="in-order", rate=RATE, ordered=True, version=OLD)
    with (
        start_load(place, name_servers(place), anyhow, pod="anyhow") as one,
        start_load(place, name_servers(place), in_order, pod="in-order") as other,
    ):
        one.read_along("slow", slow_ms=10)
        away = one.read_along("away")
        away.leave()
        pause(LOAD_S)
        away.come()
        verdicts = one.stop(), other.stop()
    for verdict in verdicts:
        tell(str(verdict))
        assert verdict.lost == verdict.erased == verdict.lost_unconfirmed == frozenset()
        assert verdict.reordered == 0
        assert (verdict.missed, verdict.revived, verdict.early) == ({}, set(), set())
        # A broker that waits for the processor answers "busy", and the library may send again.
        assert verdict.failed + verdict.duplicates < verdict.sent / 10
        assert verdict.acked <= verdict.sent - verdict.failed
        assert verdict.acked <= verdict.received
        assert LOAD_S * RATE / 2 < verdict.acked < verdict.duration_s * RATE * 1.1
        assert verdict.acked_by_broker.keys() == {"broker-0"}
    kinds = verdicts[0].acked_by_kind
    assert kinds.keys() == {"delayed", "timed", "committed", "undecided"}
    assert min(kinds.values()) > LOAD_S * RATE / 2 / 30 - 1
    assert verdicts[1].acked_by_kind == {}


def test_a_broker_that_comes_back_without_its_disk_is_convicted(
    cluster: RealCluster, place: Place, ready: None, tell: Callable[[str], None]
) -> None:
    setting = Setting(topic="wiped", rate=RATE)
    with (
        Restarts(cluster.kubeconfig, place.name) as restarts,
        start_load(place, name_servers(place), setting) as load,
    ):
        place.delete("Pod", MASTER)
        outage_s = within(RESTART_S, lambda: _outage_s(restarts))
        gone = next(one.at for one in restarts.history() if one.is_gone)
        within(RESUME_S, lambda: _acked(load, since=gone)[RATE])
        verdict = load.stop(within_s=DRAIN_S)
        before = set(_acked(load)) - set(_acked(load, since=gone))
    tell(str(verdict))
    assert verdict.erased == before != set()
    assert verdict.failed == sum(verdict.errors.values()) > 0
    assert verdict.longest_send_gap_s > outage_s / 2
    assert restarts.restarts(MASTER) == restarts.most_down_at_once("broker-0") == 1


def _outage_s(restarts: Restarts) -> float:
    """How long the first one took that is over."""
    outage = restarts.outages()[0]
    assert outage.end is not None
    return outage.end - outage.begin


def _acked(load: Load, *, since: float = 0.0) -> list[int]:
    return [
        line.sequence
        for line in load.journals().produced
        if isinstance(line, Ack) and line.at_ms > since * 1000
    ]
