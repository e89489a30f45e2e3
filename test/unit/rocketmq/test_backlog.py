"""What a broker holds: nothing is overlooked, and what was not said is never nothing."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.rocketmq_tables import connected, runtime_info, tables
from rocketmq.backlog import (
    DELAY_TOPIC,
    EXPIRED_HALF_TOPIC,
    HALF_TOPIC,
    REVIVED_S,
    STILL_S,
    Backlog,
    Broadcast,
    Delay,
    Left,
    Waiting,
    backlog,
    is_done,
    lag,
    needed_groups,
    needed_queues,
    needed_topics,
)
from rocketmq.errors import ProtocolError
from rocketmq.messages.groups import GroupTable, SubscriptionGroup
from rocketmq.messages.offsets import CommittedOffsets
from rocketmq.messages.topics import QueueOffsets, TopicConfig, TopicTable

_REVIVE = "rmq_sys_REVIVE_LOG_c"
_NOTHING = Backlog(log_begin=100, log_end=100)


def _row(topic: str, group: str, online: bool, **queues: int) -> Waiting:
    by_queue = {int(name[1:]): messages for name, messages in queues.items()}
    messages = sum(by_queue.values())
    return Waiting(topic=topic, group=group, messages=messages, online=online, queues=by_queue)


def test_a_broker_without_messages_holds_nothing() -> None:
    found = backlog(tables({"t": {0: 0, 1: 0}, DELAY_TOPIC: {0: 0}}))
    assert found == _NOTHING
    assert not found.messages
    assert found.is_still


@pytest.mark.parametrize(
    ("first", "end", "committed", "expected"),
    [
        (0, 5, 5, 0),
        (0, 5, 3, 2),
        (0, 5, 0, 5),
        (0, 5, None, 5),
        (2, 5, None, 3),  # the first two have expired
        (2, 5, 1, 3),
        (5, 5, 0, 0),
        (0, 5, 9, 0),  # a broker takes any number
        (0, 0, 9, 0),
        (0, 5, -1, 5),
    ],
)
def test_what_a_group_has_not_consumed_of_a_queue(
    first: int, end: int, committed: int | None, expected: int
) -> None:
    assert lag(QueueOffsets(first, end), committed) == expected


def test_each_group_that_ever_consumed_counts_by_itself() -> None:
    found = backlog(
        tables(
            {"t": {0: 5, 1: 3}},
            {"t@done": {0: 5, 1: 3}, "t@slow": {0: 4, 1: 3}, "t@half": {0: 5}},
            consumers={"slow": connected("t")},
        )
    )
    # A queue that a group never committed counts whole.
    assert found.waiting == (_row("t", "half", False, q1=3), _row("t", "slow", True, q0=1))
    assert (found.messages, found.unread) == (4, ())


def test_consumers_that_have_committed_nothing_yet_are_waited_for() -> None:
    found = backlog(tables({"t": {0: 5}}, consumers={"g": connected("t")}))
    assert found.waiting == (_row("t", "g", True, q0=5),)


def test_a_group_that_consumes_the_topic_elsewhere_may_come_here_yet() -> None:
    here = tables({"t": {0: 5}}, {"t@g": {0: 5}})
    found = backlog(msgspec.structs.replace(here, elsewhere={("t", "late"), ("gone", "late")}))
    assert found.waiting == (_row("t", "late", False, q0=5),)


def test_a_topic_that_nobody_consumes_is_unread() -> None:
    found = backlog(tables({"t": {0: 5, 1: (3, 4)}, "empty": {0: (7, 7)}}))
    assert found.unread == (Left("t", 6),)
    assert found.messages == 6


@pytest.mark.parametrize("group", ["TOOLS_CONSUMER", "CID_RMQ_SYS_x"])
def test_the_servers_own_groups_consume_nothing_for_anybody(group: str) -> None:
    found = backlog(tables({"t": {0: 5}}, {f"t@{group}": {0: 5}}))
    assert found.unread == (Left("t", 5),)


def test_the_java_client_s_group_without_a_name_is_a_user_s() -> None:
    found = backlog(tables({"t": {0: 5}}, {"t@DEFAULT_CONSUMER": {0: 1}}))
    assert found.waiting == (_row("t", "DEFAULT_CONSUMER", False, q0=4),)


def test_a_group_that_is_connected_but_takes_the_topic_no_more_is_offline_there() -> None:
    found = backlog(tables({"t": {0: 5}}, {"t@g": {0: 1}}, consumers={"g": connected("other")}))
    assert found.waiting == (_row("t", "g", False, q0=4),)


def test_consumers_that_do_not_tell_their_topics_may_take_any() -> None:
    found = backlog(tables({"t": {0: 5}}, {"t@g": {0: 1}}, consumers={"g": connected()}))
    assert found.waiting == (_row("t", "g", True, q0=4),)


def test_messages_to_be_tried_again_wait_also_where_nobody_ever_did() -> None:
    ends = {"%RETRY%g": {0: 2}, "%RETRY%g_t": {0: 1}, "%RETRY%gone": {0: 3}}
    found = backlog(tables(ends, {"%RETRY%g_t@g": {0: 0}}, consumers={"g": connected("t")}))
    assert found.waiting == (
        _row("%RETRY%g", "g", True, q0=2),
        _row("%RETRY%g_t", "g", True, q0=1),
    )
    assert found.unread == (Left("%RETRY%gone", 3),)


def test_broadcasting_consumers_are_named_for_nobody_knows_how_far_they_are() -> None:
    found = backlog(tables({"t": {0: 5}}, consumers={"g": connected("t", broadcasting=True)}))
    assert found.broadcasts == (Broadcast("t", "g"),)
    assert (found.waiting, found.unread, found.messages) == ((), (), 0)


def test_delayed_messages_wait_level_by_level() -> None:
    found = backlog(tables({DELAY_TOPIC: {0: 3, 1: 0, 2: 4, 3: (1, 2)}}, delivered={1: 3, 3: 1}))
    # Of level 4 the broker has not said how far it is: all that is there counts.
    assert found.delays == (Delay(1, 3, 3), Delay(3, 1, 4), Delay(4, 1, 2))
    assert found.delayed == 4
    assert found.messages == 4


def test_messages_in_the_timer_wheel_and_on_the_way_there() -> None:
    info = runtime_info(timerOffsetBehind="2", timerCongestNum="3")
    assert backlog(tables({}, before=info)).timed == 5


def test_a_broker_that_does_not_tell_its_timers_is_no_proof() -> None:
    silent = runtime_info("V5_3_3")
    silent.table.pop("timerCongestNum")
    with pytest.raises(ProtocolError, match="timerCongestNum"):
        backlog(tables({}, before=silent))
    assert backlog(tables({}, before=runtime_info("V4_9_7"))).timed == 0


def test_half_messages_wait_until_the_broker_has_passed_them() -> None:
    committed = {f"{HALF_TOPIC}@CID_RMQ_SYS_TRANS": {0: 3}}
    assert backlog(tables({HALF_TOPIC: {0: 4}}, committed)).half == 1
    assert backlog(tables({HALF_TOPIC: {0: 4}})).half == 4
    assert backlog(tables({HALF_TOPIC: {0: 3}}, committed)).half == 0


def test_dead_letters_are_told_and_wait_for_nobody() -> None:
    ends = {"%DLQ%g": {0: 3}, "%DLQ%read": {0: 3}, EXPIRED_HALF_TOPIC: {0: 1}}
    found = backlog(tables(ends, {"%DLQ%read@ops": {0: 1}, "%DLQ%read@other": {0: 3}}))
    assert found.dead_letters == (
        Left("%DLQ%g", 3),
        Left("%DLQ%read", 2),
        Left(EXPIRED_HALF_TOPIC, 1),
    )
    assert found.messages == 0


def test_a_look_during_which_something_moved_proves_nothing() -> None:
    moved = backlog(tables({}, before=runtime_info(), after=runtime_info(log_end=101)))
    assert not moved.is_still
    stored = backlog(tables({}, before=runtime_info(dispatchBehindBytes="7")))
    assert (stored.is_still, stored.undispatched_bytes) == (False, 7)


def test_two_looks_prove_it_if_nothing_moved_for_long_enough() -> None:
    popped = msgspec.structs.replace(_NOTHING, revivals=1)
    moving = msgspec.structs.replace(_NOTHING, log_begin=99)
    later = Backlog(log_begin=101, log_end=101)
    assert is_done(_NOTHING, _NOTHING, STILL_S)
    assert not is_done(_NOTHING, _NOTHING, STILL_S - 0.1)
    assert not is_done(_NOTHING, later, STILL_S)
    assert not is_done(_NOTHING, moving, STILL_S)
    assert not is_done(moving, _NOTHING, STILL_S)
    # What was popped is written anew if nobody acknowledges it: that takes longer.
    assert not is_done(popped, _NOTHING, STILL_S)
    assert is_done(popped, popped, REVIVED_S)


@pytest.mark.parametrize(
    "pending",
    [
        {"waiting": (_row("t", "g", False, q0=1),)},
        {"unread": (Left("t", 1),)},
        {"delays": (Delay(1, 0, 1),)},
        {"timed": 1},
        {"half": 1},
        {"undispatched_bytes": 1},
    ],
    ids=lambda pending: next(iter(pending)),
)
def test_anything_pending_in_either_look_is_no_proof(pending: dict[str, object]) -> None:
    found = msgspec.structs.replace(_NOTHING, **pending)
    assert not is_done(found, _NOTHING, REVIVED_S)
    assert not is_done(_NOTHING, found, REVIVED_S)


_TABLE = TopicTable(
    {
        topic: TopicConfig(topic, 2, 3)
        for topic in ("t", "u", "%RETRY%g", "%DLQ%g", "TBW102", "broker-a", HALF_TOPIC, _REVIVE)
    }
)
_OFFSETS = CommittedOffsets({"t@g": {0: 1, 6: 1}, "%LMQ%a@l": {0: 1}, "t@CID_RMQ_SYS_x": {0: 1}})


def test_the_topics_that_are_looked_at() -> None:
    own = (HALF_TOPIC, _REVIVE)
    every = {"t", "u", "%RETRY%g", "%DLQ%g", "%LMQ%a", *own}
    assert needed_topics(_TABLE, {"broker-a"}, _OFFSETS) == tuple(sorted(every))
    some = needed_topics(_TABLE, {"broker-a"}, _OFFSETS, {"t"})
    assert some == tuple(sorted({"t", "%RETRY%g", *own}))


def test_queues_are_looked_at_as_far_as_anybody_ever_read_or_wrote() -> None:
    widths = needed_queues(_TABLE, _OFFSETS)
    assert (widths["t"], widths["u"], widths["%LMQ%a"]) == (7, 3, 1)


def test_consumers_are_asked_for_of_deleted_groups_too() -> None:
    groups = GroupTable({name: SubscriptionGroup(name) for name in ("new", "TOOLS_CONSUMER")})
    assert needed_groups(groups, _OFFSETS) == ("g", "l", "new")


_QUEUE = st.builds(lambda first, more: (first, first + more), st.integers(0, 5), st.integers(0, 5))
_GROUPS = st.dictionaries(
    st.sampled_from(["g", "h"]), st.dictionaries(st.integers(0, 2), st.integers(0, 12))
)


@given(st.dictionaries(st.integers(0, 2), _QUEUE, min_size=1), _GROUPS)
def test_nothing_is_overlooked_whoever_consumed_what(
    queues: dict[int, tuple[int, int]], groups: dict[str, dict[int, int]]
) -> None:
    committed = {f"t@{group}": by_queue for group, by_queue in groups.items()}
    found = backlog(tables({"t": dict(queues)}, committed))
    for group, by_queue in groups.items():
        missing = sum(
            max(0, end - max(first, by_queue.get(queue_id, 0)))
            for queue_id, (first, end) in queues.items()
        )
        row = next((row for row in found.waiting if row.group == group), None)
        assert (row.messages if row else 0) == missing
    if not groups:
        assert sum(one.messages for one in found.unread) == sum(e - f for f, e in queues.values())
