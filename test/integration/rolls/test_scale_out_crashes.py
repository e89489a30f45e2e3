"""An operator that is killed at any write to new groups: the next one goes on where it stopped."""

from __future__ import annotations

import os
import threading

import pytest

from fakes.growing_cluster import NEW, assert_equal_to_the_source, filled
from fakes.operator_process import Operators
from fakes.rocketmq_world import World
from fakes.rolling_cluster import edit, settled
from fakes.witness import Place
from rocketmq.codes import RequestCode

KILL_S = 60.0
WRITES = {
    RequestCode.UPDATE_AND_CREATE_TOPIC,
    RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
    RequestCode.UPDATE_AND_CREATE_TOPIC_LIST,
    RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
    RequestCode.UPDATE_BROKER_CONFIG,
}
ALL = os.environ.get("ROCKETMQ_EVERY_CALL", "") not in ("", "0")
OLD = "apache/rocketmq:4.9.7"


@pytest.mark.allows_errors
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("image", "number"),
    [
        *(("apache/rocketmq:5.3.3", number) for number in (range(1, 7) if ALL else (2,))),
        *((OLD, number) for number in (range(1, 40, 4) if ALL else (17,))),
    ],
)
def test_an_operator_killed_at_any_write_to_new_groups_is_continued(
    image: str, number: int, done: bool, world: World, place: Place, operators: Operators
) -> None:
    first = operators.start()
    filled(world, place, topics=30, brokerImage=image)
    killed = threading.Event()

    def kill() -> None:
        first.kill()
        killed.set()

    world.at_call(number, kill, effect=done, codes=WRITES)
    edit(place, size=3)
    assert killed.wait(KILL_S)
    operators.start()
    settled(place)
    assert_equal_to_the_source(world, *NEW)
