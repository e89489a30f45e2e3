"""What users see of groups that leave."""

from __future__ import annotations

import msgspec

from reconcilers.api.broker import BacklogRow
from reconcilers.status.scale_in import ROWS, leaving_held, leaving_words, scale_in_rows
from reconcilers.steps.decision import Decision, LeavingGroup, LeavingPhase, Progress
from rocketmq.backlog import Backlog, Delay, Left, Waiting


def _progress(phase: LeavingPhase, backlog: Backlog | None) -> Progress:
    group = LeavingGroup(name="broker-1", phase=phase, message="words", backlog=backlog)
    return Progress(Decision(phase="waiting", leaving=(group,)))


def _waiting(topic: str, messages: int) -> Waiting:
    return Waiting(topic=topic, group="g", messages=messages, online=True)


def test_numbers_are_rounded_so_that_a_status_rests() -> None:
    backlog = Backlog(
        waiting=(_waiting("t", 5),),
        unread=(Left("u", 9),),
        delays=(Delay(1, 0, 3),),
        timed=1,
        half=7,
        dead_letters=(Left("%DLQ%g", 3),),
    )
    (row,) = scale_in_rows(_progress("Draining", backlog))
    assert (row.group, row.phase, row.message, row.messages) == (
        "broker-1",
        "Draining",
        "words",
        16,
    )
    assert (row.delayed, row.half, row.dead_letters) == (4, 4, 2)
    assert row.topics == (
        BacklogRow(topic="u", messages=8),
        BacklogRow(topic="t", group="g", messages=4, online=True),
    )
    more = msgspec.structs.replace(backlog, waiting=(_waiting("t", 7),))
    assert scale_in_rows(_progress("Draining", more)) == (row,)


def test_many_rows_are_cut_and_counted() -> None:
    backlog = Backlog(waiting=tuple(_waiting(f"t{number:02}", 1) for number in range(ROWS + 3)))
    (row,) = scale_in_rows(_progress("Draining", backlog))
    assert (len(row.topics), row.more) == (ROWS, 3)
    assert row.topics[0].topic == "t00"


def test_a_group_that_nobody_could_look_at_has_no_numbers() -> None:
    (row,) = scale_in_rows(_progress("Waiting", None))
    assert (row.messages, row.topics) == (0, ())


def test_somebody_is_asked_only_where_somebody_has_to_act() -> None:
    held, goes = _progress("Held", None), _progress("Draining", None)
    assert leaving_held(held) == ("ScaleInHeld", "words")
    assert leaving_held(goes) is None
    assert leaving_words(goes) == ("ScalingIn", "words")
    assert leaving_words(held) is None
    assert leaving_held(None) is None
