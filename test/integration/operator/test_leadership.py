"""Two operators, of which one acts: the holder of the Lease.

Who wrote what, and in which order, is read from the audit log: a line is written before the answer
is sent. Most tests shorten the durations; two (a stop, a kill) have the real ones.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby

import pytest

from fakes.audit_log import WRITING, AuditLog, Call
from fakes.clusters import apply_all, name_service
from fakes.control_plane import ControlPlane
from fakes.fault_proxy import FaultProxy, Freeze, asking, fault_proxy
from fakes.installation import ACCOUNT, OPERATOR
from fakes.operator_process import OperatorProcess, Operators
from fakes.waiting import eventually, holds, pause
from fakes.witness import Place, Witness

ELECT = ("--leader-elect", f"--lease-namespace={ACCOUNT}")
LEASE_S = 5
SHORT = (
    f"--leader-elect-lease-duration={LEASE_S}",
    "--leader-elect-renew-deadline=3.5",
    "--leader-elect-retry-period=0.5",
)
EVERYTHING = asking()
MASTER_STATUS = 'leader_election_master_status{name="rocketmq-operator"}'


@pytest.fixture(autouse=True)
def no_lease(witness: Witness) -> None:
    """Nobody waits for the end of a lease of the test before."""
    witness.delete("Lease", ACCOUNT, "rocketmq-operator")


@pytest.fixture
def start(operators: Operators) -> Callable[..., OperatorProcess]:
    def start(*arguments: str, server: str | None = None) -> OperatorProcess:
        return operators.start(*ELECT, *arguments, server=server, alongside=True)

    return start


@pytest.fixture
def busy(place: Place) -> Iterator[Place]:
    """A NameService whose Service somebody deletes all the time: whoever leads has to write."""
    apply_all(place, [name_service()])
    with _deleting(place, "Service", "name-service-headless"):
        yield place


@contextmanager
def _deleting(place: Place, kind: str, name: str) -> Iterator[None]:
    over = threading.Event()

    def delete() -> None:
        while not over.wait(0.1):
            place.delete(kind, name)

    thread = threading.Thread(target=delete, name="vandal")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def leads(operator: OperatorProcess) -> bool:
    return operator.metrics().get(MASTER_STATUS) == 1.0


def stands_by(operator: OperatorProcess) -> None:
    assert operator.metrics().get(MASTER_STATUS) == 0.0
    assert operator.is_ready()


def wait_led(*operators: OperatorProcess) -> None:
    def led() -> None:
        assert [leads(one) for one in operators].count(True) == 1

    eventually(led, within_s=20.0)


def name_of(call: Call) -> str:
    """The operator that a call is of: it says so in its agent."""
    found = re.search(r"\((operator-\d+)\)", call.agent)
    assert found, call.agent
    return found.group(1)


def writes_of(operator: OperatorProcess, calls: list[Call]) -> list[str]:
    return [str(one) for one in calls if one.is_write and name_of(one) == operator.name]


def strangers(calls: list[Call]) -> list[str]:
    """The writes of whoever was not the last one to write the Lease; Events are writes, too."""
    holder, found = "", []
    for one in calls:
        if one.verb not in WRITING:
            continue
        if one.resource == "leases":
            holder = name_of(one) if one.code < 300 else holder
        elif name_of(one) != holder:
            found.append(f"{name_of(one)} while {holder} leads: {one}")
    return found


def wait_acting(operator: OperatorProcess, audit: AuditLog, since: int, within_s: float) -> None:
    """Wait until it has written something (but the Lease)."""

    def acting() -> None:
        assert writes_of(operator, audit.calls(since, user=OPERATOR))

    eventually(acting, within_s=within_s)


def both(
    first: OperatorProcess, second: OperatorProcess, audit: AuditLog, since: int
) -> tuple[OperatorProcess, OperatorProcess]:
    """The one that leads, in the midst of its work, and the one that stands by."""
    wait_led(first, second)
    leader, standby = (first, second) if leads(first) else (second, first)
    wait_acting(leader, audit, since, within_s=20.0)
    return leader, standby


def test_of_two_operators_one_acts_and_both_are_ready(
    start: Callable[..., OperatorProcess], busy: Place, audit: AuditLog, witness: Witness
) -> None:
    mark = audit.mark()
    first, second = both(start(*SHORT), start(*SHORT), audit, mark)
    holds(lambda: stands_by(second), for_s=2.0)
    calls = audit.calls(mark, user=OPERATOR)
    assert writes_of(first, calls)
    assert writes_of(second, calls) == []
    assert strangers(calls) == []
    lease = witness.get("Lease", ACCOUNT, "rocketmq-operator")
    assert lease["spec"]["holderIdentity"].startswith(f"{first.name}_")
    assert lease["spec"]["leaseDurationSeconds"] == LEASE_S
    eventually(lambda: _assert_told(witness, lease["metadata"]["uid"], first))


def _assert_told(witness: Witness, uid: str, leader: OperatorProcess) -> None:
    events = witness.list("Event", ACCOUNT)
    notes = [one["note"] for one in events if one["regarding"].get("uid") == uid]
    assert len(notes) == 1
    assert re.fullmatch(rf"{leader.name}_\S+ became leader", notes[0])


def test_a_leader_that_is_told_to_stop_hands_over_at_once(
    start: Callable[..., OperatorProcess],
    busy: Place,
    audit: AuditLog,
) -> None:
    """With the real durations: without a release this would take 15 seconds and more."""
    mark = audit.mark()
    first, second = both(start(), start(), audit, mark)
    assert first.terminate() == 0
    wait_acting(second, audit, mark, within_s=12.0)
    calls = audit.calls(mark, user=OPERATOR)
    assert strangers(calls) == []
    holders = [name_of(one) for one in calls if one.resource == "leases" and one.verb != "get"]
    assert [one for one, _ in groupby(holders)] == [first.name, second.name]


def test_a_killed_leader_is_followed_when_its_lease_is_over(
    start: Callable[..., OperatorProcess],
    busy: Place,
    audit: AuditLog,
) -> None:
    """With the real durations."""
    mark = audit.mark()
    first, second = both(start(), start(), audit, mark)
    first.kill()
    wait_acting(second, audit, mark, within_s=60.0)
    assert strangers(audit.calls(mark, user=OPERATOR)) == []


@pytest.mark.allows_errors
def test_a_leader_that_was_frozen_writes_nothing_when_it_goes_on(
    start: Callable[..., OperatorProcess], busy: Place, audit: AuditLog
) -> None:
    mark = audit.mark()
    first, second = both(start(*SHORT), start(*SHORT), audit, mark)
    first.freeze()
    try:
        wait_acting(second, audit, mark, within_s=30.0)
    finally:
        first.thaw()
    assert first.wait_ended(within_s=5.0) == 1
    pause(0.5)
    calls = audit.calls(mark, user=OPERATOR)
    assert strangers(calls) == []
    assert leads(second)


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    with fault_proxy(control_plane.server, control_plane.authority) as running:
        yield running


@pytest.mark.allows_errors
def test_a_leader_that_is_cut_off_ends_and_stands_by_when_it_is_started_again(
    start: Callable[..., OperatorProcess], proxy: FaultProxy, busy: Place, audit: AuditLog
) -> None:
    mark = audit.mark()
    first, second = both(start(*SHORT, server=proxy.url), start(*SHORT), audit, mark)
    proxy.inject(Freeze(), EVERYTHING)
    proxy.cut_watches()
    assert first.wait_ended(within_s=30.0) == 1
    wait_acting(second, audit, mark, within_s=30.0)
    proxy.heal()
    again = start(*SHORT, server=proxy.url)
    holds(lambda: stands_by(again), for_s=1.0)
    assert strangers(audit.calls(mark, user=OPERATOR)) == []


@pytest.mark.allows_errors
def test_after_an_outage_that_outlasts_the_lease_somebody_leads_again(
    start: Callable[..., OperatorProcess], proxy: FaultProxy, busy: Place, audit: AuditLog
) -> None:
    mark = audit.mark()
    through_proxy = [start(*SHORT, server=proxy.url) for _ in range(2)]
    first, second = both(*through_proxy, audit, mark)
    proxy.inject(Freeze(), EVERYTHING)
    proxy.cut_watches()
    assert first.wait_ended(within_s=30.0) == 1
    pause(2.0)
    assert second.is_alive()
    proxy.heal()
    proxy.cut_watches()  # a silent one would be given up by itself, but only after 75 s
    wait_acting(second, audit, mark, within_s=30.0)
    assert strangers(audit.calls(mark, user=OPERATOR)) == []
