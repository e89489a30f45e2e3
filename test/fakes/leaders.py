"""Several operators that elect a leader: who leads, and what each of them wrote."""

from __future__ import annotations

import re

from fakes.audit_log import WRITING, AuditLog, Call
from fakes.installation import ACCOUNT, OPERATOR
from fakes.operator_process import OperatorProcess
from fakes.waiting import eventually

ELECT = ("--leader-elect", f"--lease-namespace={ACCOUNT}")
LEASE_S = 5
SHORT = (
    f"--leader-elect-lease-duration={LEASE_S}",
    "--leader-elect-renew-deadline=3.5",
    "--leader-elect-retry-period=0.5",
)
MASTER_STATUS = 'leader_election_master_status{name="rocketmq-operator"}'


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
