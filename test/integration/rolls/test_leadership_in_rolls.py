"""A roll whose leader goes away in the middle: the standby ends it, and nothing restarts twice.

Told to stop or killed it has the real durations of the Lease, frozen the short ones.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fakes.audit_log import AuditLog
from fakes.installation import ACCOUNT, OPERATOR
from fakes.leaders import ELECT, SHORT, both, leads, strangers, wait_acting
from fakes.operator_process import OperatorProcess, Operators
from fakes.rocketmq_world import World
from fakes.rolling_cluster import edit, made, settled
from fakes.waiting import eventually
from fakes.witness import Place

PODS = ("broker-0-master-0", "broker-0-replica-1-0")


def stop(leader: OperatorProcess) -> None:
    assert leader.terminate() == 0


def go_on(leader: OperatorProcess) -> None:
    leader.thaw()
    assert leader.wait_ended(within_s=5.0) == 1


def nothing(_leader: OperatorProcess) -> None:
    """It is gone already."""


@pytest.mark.allows_errors
@pytest.mark.parametrize(
    ("durations", "leave", "after_handover"),
    [
        pytest.param((), stop, nothing, id="SIGTERM"),
        pytest.param((), OperatorProcess.kill, nothing, id="SIGKILL"),
        pytest.param(SHORT, OperatorProcess.freeze, go_on, id="SIGSTOP"),
    ],
)
def test_a_standby_ends_the_roll_that_a_leader_began(
    durations: tuple[str, ...],
    leave: Callable[[OperatorProcess], None],
    after_handover: Callable[[OperatorProcess], None],
    *,
    operators: Operators,
    world: World,
    place: Place,
    audit: AuditLog,
) -> None:
    place.witness.delete("Lease", ACCOUNT, "rocketmq-operator")
    mark = audit.mark()
    pair = [operators.start(*ELECT, *durations, alongside=True) for _ in range(2)]
    made(place, size=1)
    leader, standby = both(*pair, audit, mark)
    since = world.now()
    edit(place, config={"defaultTopicQueueNums": "6"})
    eventually(lambda: _assert_begun(world))
    leave(leader)
    try:
        wait_acting(standby, audit, mark, within_s=60.0)
    finally:
        after_handover(leader)
    settled(place)
    assert {pod: world.starts(pod) for pod in PODS} == dict.fromkeys(PODS, 2)
    assert world.max_down(since=since) == 1
    assert leads(standby)
    assert strangers(audit.calls(mark, user=OPERATOR)) == []


def _assert_begun(world: World) -> None:
    assert 2 in {world.starts(pod) for pod in PODS}
