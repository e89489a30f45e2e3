"""Groups leave under live load when nothing of theirs is left for anybody, and not before."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from e2e.deployed_operator import Operator
from e2e.load import Load, Reader, Setting, start_load
from e2e.resources import BROKER, NAME_SERVICE, apply, changed, name_servers, sample
from e2e.routes import registered_brokers
from e2e.waiting import wait_ready, within
from fakes.clusters import condition
from fakes.waiting import holds
from fakes.witness import Object, Place

RESOURCES = [NAME_SERVICE, BROKER]
ALL = {"broker-0", "broker-1", "broker-2"}
LEAVING = {"broker-1", "broker-2"}
REFRESH_S = 10
"""For clients that look for routes every five seconds."""
MOVED_S = 180.0
LATELY_S = 4.0
BLOCKED_S = 20.0
LEFT_S = 600.0
LOAD = Setting(
    topic="shrinking",
    poll_s=5,
    # A minute: those are still to come when writes have gone off.
    delayed=25,
    delay_level=5,
    timed=25,
    timer_s=40,
    transactions=25,
    # What was consumed on the groups that left has gone with them.
    audited=False,
)


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Place:
    return make_namespace("scale-in", restricted=True)


def _three_groups(resource: Object) -> Object:
    if resource["kind"] == "NameService":
        return changed(resource, size=1)
    return changed(
        resource,
        size=3,
        replicaPerGroup=0,
        routeRefreshSeconds=REFRESH_S,
        pvcRetentionPolicy="Delete",
        config={"transactionCheckInterval": "5000"},
    )


@pytest.fixture(scope="module")
def ready(place: Place) -> None:
    apply(place, map(_three_groups, sample("storageclass")))
    wait_ready(place, RESOURCES)


def _resize(place: Place, size: int) -> None:
    place.patch(*BROKER, {"spec": {"size": size}})


def _leaving(place: Place) -> dict[str, Object]:
    """What the status says of each group that leaves, by its name."""
    return {row["group"]: row for row in place.get(*BROKER)["status"].get("scaleIn", ())}


def _wait_sent_to(load: Load, groups: set[str]) -> None:
    """Wait until messages go to exactly these groups."""

    def sent() -> None:
        assert load.sent_to(time.time() - LATELY_S) == groups

    within(MOVED_S, sent)


def _wait_blocked(place: Place, reader: Reader) -> None:
    """Wait until both groups tell that only this reader's group, which is away, is waited for."""

    def blocked() -> None:
        rows = _leaving(place)
        assert rows.keys() == LEAVING, rows
        for row in rows.values():
            waiting = {one.get("group"): one.get("online", False) for one in row["topics"]}
            assert waiting == {reader.group: False}, row

    within(LEFT_S, blocked)


def _assert_there(place: Place) -> None:
    names = {f"{group}-master" for group in ALL}
    assert place.names("StatefulSet") >= names
    assert {f"{name}-0" for name in names} <= place.names("Pod")


def test_raising_the_size_again_keeps_groups_that_were_about_to_leave(
    place: Place, ready: None, tell: Callable[[str], None]
) -> None:
    setting = Setting(topic="undecided", poll_s=5)
    with start_load(place, name_servers(place), setting) as load:
        away = load.read_along("away")
        _wait_sent_to(load, ALL)
        away.leave()
        _resize(place, 1)
        _wait_sent_to(load, {"broker-0"})
        _wait_blocked(place, away)
        _resize(place, 3)
        _wait_sent_to(load, ALL)
        away.come()
        verdict = load.stop()
    tell(f"3 to 1 groups and back half-way: {verdict}")
    assert verdict.lost == verdict.erased == frozenset(), verdict
    assert verdict.missed == {}
    assert _leaving(place) == {}
    _assert_there(place)


def test_three_groups_become_one_and_no_message_is_lost(
    place: Place, ready: None, tell: Callable[[str], None]
) -> None:
    with start_load(place, name_servers(place), LOAD) as load:
        load.read_along("slow", slow_ms=15)
        away = load.read_along("away")
        _wait_sent_to(load, ALL)
        away.leave()
        begun = time.monotonic()
        _resize(place, 1)
        _wait_sent_to(load, {"broker-0"})
        _wait_blocked(place, away)
        holds(lambda: _assert_there(place), for_s=BLOCKED_S)
        away.come()
        within(LEFT_S, lambda: _assert_gone(place))
        took_s = time.monotonic() - begun
        verdict = load.stop()
    tell(f"3 to 1 groups in {took_s:.0f} s: {verdict}")
    assert verdict.lost == verdict.lost_unconfirmed == frozenset(), verdict
    assert (verdict.missed, verdict.revived, verdict.early) == ({}, frozenset(), frozenset())
    assert verdict.acked_by_kind.keys() == {"delayed", "timed", "committed", "undecided"}
    server = place.get("Pod", "name-service-0")["status"]["podIP"]
    assert {one.broker_name for one in registered_brokers(server)} == {"broker-0"}


def _assert_gone(place: Place) -> None:
    assert place.names("StatefulSet") == {"name-service", "broker-0-master"}
    brokers = {name for name in place.names("Pod") if name.startswith("broker-")}
    assert brokers == {"broker-0-master-0"}
    claims = {name for name in place.names("PersistentVolumeClaim") if "broker" in name}
    assert claims == {"broker-storage-broker-0-master-0"}
    resource = place.get(*BROKER)
    assert condition(resource)["status"] == "True", condition(resource)
    assert resource["status"]["step"] == "", resource["status"]["step"]
    assert _leaving(place) == {}
