"""Two operators, of which one acts: the holder of the Lease.

Who wrote what, and in which order, is read from the audit log: a line is written before the answer
is sent. A leader that stops, dies or freezes: see test_leadership_in_rolls.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fakes.audit_log import AuditLog
from fakes.clusters import apply_all, name_service
from fakes.control_plane import ControlPlane
from fakes.fault_proxy import FaultProxy, Freeze, asking, fault_proxy
from fakes.installation import ACCOUNT, OPERATOR
from fakes.leaders import (
    ELECT,
    LEASE_S,
    SHORT,
    both,
    stands_by,
    strangers,
    wait_acting,
    writes_of,
)
from fakes.operator_process import OperatorProcess, Operators
from fakes.waiting import eventually, holds, pause
from fakes.witness import Place, Witness

EVERYTHING = asking()


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
