"""The operator behind a proxy that fails.

A watch that stays silent for good and a call without any answer at the end are tested in
test/unit/controller in virtual time: their limits are 75 s and 30 s, and no setting shortens them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakes.audit_log import AuditLog
from fakes.clusters import (
    CHILD_KINDS,
    apply_all,
    broker,
    children,
    identities,
    name_service,
    small_cluster,
    wait_ready,
)
from fakes.control_plane import ControlPlane
from fakes.fault_proxy import (
    Answer,
    CutMidLine,
    Fault,
    FaultProxy,
    Freeze,
    asking,
    fault_proxy,
)
from fakes.installation import OPERATOR
from fakes.operator_process import OperatorProcess, Operators
from fakes.waiting import eventually, holds, pause
from fakes.witness import Place

RESOURCES = (("NameService", "name-service"), ("Broker", "broker"))


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    with fault_proxy(control_plane.server, control_plane.authority) as running:
        yield running


@pytest.fixture
def operator(operators: Operators, proxy: FaultProxy) -> OperatorProcess:
    """An operator that knows the API server only through the proxy; its log may show errors."""
    return operators.start(server=proxy.url)


def all_children(place: Place) -> set[tuple[str, str]]:
    return {one for resource in RESOURCES for one in identities(children(place, *resource))}


def delete_a_child_of_each_kind(place: Place) -> None:
    for kind in CHILD_KINDS:
        name = min(name for name in place.names(kind) if name != "kube-root-ca.crt")
        place.delete(kind, name)


def wait_whole(place: Place, expected: set[tuple[str, str]]) -> None:
    """All children and pods are there, each once, and the resources are Ready."""

    def whole() -> None:
        assert all_children(place) == expected
        made = {(kind, name) for kind in CHILD_KINDS for name in place.names(kind)}
        assert made - {("ConfigMap", "kube-root-ca.crt")} == expected

    eventually(whole, within_s=40)
    wait_ready(place, *RESOURCES)
    assert place.names("Pod") == {"name-service-0", "broker-0-master-0", "broker-0-replica-1-0"}


@pytest.mark.allows_errors
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Answer(410, "Expired"), id="410"),
        pytest.param(Answer(500, "InternalError"), id="500"),
        pytest.param(Answer(429, "TooManyRequests", retry_after_s=1), id="429"),
        pytest.param(Freeze(), id="silence"),
        pytest.param(CutMidLine(), id="cut in mid-line"),
    ],
)
def test_what_was_deleted_while_the_watches_failed_is_noticed_afterwards(
    fault: Fault, operator: OperatorProcess, proxy: FaultProxy, place: Place
) -> None:
    small_cluster(place)
    expected = all_children(place)
    before = len(proxy.seen)
    proxy.inject(fault, asking("watch"))
    proxy.cut_watches()
    delete_a_child_of_each_kind(place)
    eventually(lambda: _assert_all_watched_since(proxy, before))
    proxy.heal()
    proxy.cut_watches()  # a silent one would be given up by itself, but only after 75 s
    wait_whole(place, expected)
    assert operator.is_alive()


def _assert_all_watched_since(proxy: FaultProxy, before: int) -> None:
    again = {one.path for one in proxy.seen[before:] if one.verb == "watch"}
    assert again == {one.path for one in proxy.seen if one.verb == "watch"}


@pytest.mark.allows_errors
def test_one_expired_watch_costs_one_list_and_leaves_the_others_alone(
    operator: OperatorProcess, proxy: FaultProxy, place: Place
) -> None:
    small_cluster(place)
    before = len(proxy.seen)
    proxy.inject(Answer(410, "Expired"), asking("watch", path="/services"), times=1)
    proxy.cut_watches()

    def watched_again() -> None:
        again = [one for one in proxy.seen[before:] if one.verb == "watch"]
        assert len([one for one in again if "/services" in one.path]) == 2

    eventually(watched_again)
    lists = [one.path for one in proxy.seen[before:] if one.verb == "list"]
    assert lists == ["/api/v1/services"]


@pytest.mark.allows_errors
def test_a_storm_of_errors_ends_with_everything_made_once(
    operator: OperatorProcess, proxy: FaultProxy, place: Place, audit: AuditLog
) -> None:
    small_cluster(place)
    expected = all_children(place)
    proxy.inject(Answer(500, "InternalError"), asking())
    proxy.cut_watches()
    before = len(proxy.seen)
    delete_a_child_of_each_kind(place)
    pause(2.0)
    asked = len(proxy.seen) - before
    proxy.heal()
    wait_whole(place, expected)
    assert operator.is_alive()
    # 8 watches that begin again after 0.8 s, and the changes that were under way.
    assert asked < 60, "it asks a server in trouble too often"


@pytest.mark.allows_errors
@pytest.mark.parametrize("skip", [0, 4])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Answer(409, "Conflict"), id="409"),
        pytest.param(Answer(500, "InternalError"), id="500"),
        pytest.param(CutMidLine(), id="answer lost"),
    ],
)
def test_a_write_that_fails_is_tried_again_until_all_is_made_once(
    fault: Fault, skip: int, operator: OperatorProcess, proxy: FaultProxy, place: Place
) -> None:
    proxy.inject(fault, asking("patch", "create"), times=3, skip=skip)
    apply_all(place, [name_service(), broker(replicaPerGroup=1)])
    wait_ready(place, *RESOURCES)
    wait_whole(place, all_children(place))


@pytest.mark.allows_errors
def test_a_server_that_asks_to_slow_down_is_left_alone_for_that_time(
    operator: OperatorProcess, proxy: FaultProxy, place: Place
) -> None:
    writes = asking("patch", path=f"/namespaces/{place.name}/")
    proxy.inject(Answer(429, "TooManyRequests", retry_after_s=2), writes)
    place.apply(name_service())

    def refused() -> int:
        count = len([one for one in proxy.seen if writes(one)])
        assert count
        return count

    count = eventually(refused)
    holds(lambda: _assert_equal(refused(), count), for_s=1.5)
    proxy.heal()
    wait_ready(place, ("NameService", "name-service"))


def _assert_equal(found: int, expected: int) -> None:
    assert found == expected


@pytest.mark.allows_errors
def test_an_operator_whose_watches_are_silent_still_ends_at_once(
    operator: OperatorProcess, proxy: FaultProxy, place: Place
) -> None:
    proxy.inject(Freeze(), asking("watch"))
    place.apply(name_service())
    assert operator.terminate(within_s=5) == 0


@pytest.mark.allows_errors
def test_an_operator_that_starts_without_a_server_waits_for_it(
    operators: Operators, proxy: FaultProxy, place: Place
) -> None:
    proxy.inject(Answer(503, "ServiceUnavailable"), asking())
    started = operators.start(server=proxy.url, wait=False)

    def waits() -> None:
        assert started.is_alive()
        assert not started.is_ready()

    eventually(waits)
    holds(waits, for_s=1.0)
    proxy.heal()
    started.wait_ready()
    small_cluster(place)


@pytest.mark.allows_errors
def test_edits_of_somebody_else_all_the_time_are_no_reason_to_give_up(
    operator: OperatorProcess, proxy: FaultProxy, place: Place, audit: AuditLog
) -> None:
    mark = audit.mark()
    apply_all(place, [name_service(), broker(replicaPerGroup=1)])
    for number in range(40):
        note = {"metadata": {"annotations": {"example.com/counter": str(number)}}}
        for kind, name in RESOURCES:
            place.patch(kind, name, note)
    wait_ready(place, *RESOURCES)
    audit.settled(namespace=place.name)
    statuses = [
        one
        for one in audit.writes(mark, user=OPERATOR, namespace=place.name)
        if one.what == "brokers/status"
    ]
    assert 1 <= len(statuses) < 20
