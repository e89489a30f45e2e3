"""What users decide about groups that leave: what is given up, and that they stay after all."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.gate_facts import (
    M1,
    NOW,
    Seen,
    decided,
    seen,
    steps,
)
from fakes.leaving_facts import (
    EMPTY,
    FORCED,
    LOG_END,
    ago,
    decide,
    drained,
    held,
    leaving,
    quiet,
    row,
)
from reconcilers.steps.decision import (
    Leaving,
    NoteLeaving,
    RemoveBroker,
    ReturnWrites,
    StopWrites,
)
from reconcilers.steps.scale_in import RETURNED_S
from rocketmq.backlog import Backlog, Left

# What the user gives up


OFFLINE = held(waiting=(row(online=False),))
ONLINE = held(waiting=(row(online=True),))


@pytest.mark.parametrize(
    ("found", "scale_in", "goes"),
    [
        (OFFLINE, {}, False),
        (OFFLINE, {"ignoreGroups": ["g"]}, True),
        (ONLINE, {"ignoreGroups": ["g"]}, True),
        (OFFLINE, {"ignoreTopics": ["t"]}, True),
        (OFFLINE, {"ignoreGroups": ["h"], "ignoreTopics": ["u"]}, False),
        (OFFLINE, {"offlineDeadlineSeconds": 100}, True),
        (OFFLINE, {"offlineDeadlineSeconds": 101}, False),
        (ONLINE, {"offlineDeadlineSeconds": 0}, False),
        (held(unread=(Left("t", 1),)), {"offlineDeadlineSeconds": 0}, False),
        (held(unread=(Left("t", 1),)), {"ignoreTopics": ["t"]}, True),
        (held(unread=(Left("%RETRY%g", 1),)), {"ignoreGroups": ["g"]}, True),
        (held(unread=(Left("%RETRY%g_t", 1),)), {"ignoreGroups": ["g"]}, True),
        (held(unread=(Left("%RETRY%other", 1),)), {"ignoreGroups": ["g"]}, False),
        (held(half=1), {"ignoreGroups": ["g"], "ignoreTopics": ["t"]}, False),
    ],
)
def test_what_the_spec_gives_up_is_not_waited_for(
    found: Backlog, scale_in: dict[str, Any], goes: bool
) -> None:
    decision = decide({M1: drained()}, {M1: found}, scaleIn=scale_in)
    removed = [step for step in decision.steps if isinstance(step, RemoveBroker)]
    assert bool(removed) == goes
    if goes:
        assert "gives up" in removed[0].given_up


SIZE = {"resources": {"requests": {"storage": "1Gi"}}}
CLAIMS = {"storageMode": "StorageClass", "volumeClaimTemplates": [{"spec": SIZE}]}


@pytest.mark.parametrize(
    ("storage", "goes"),
    [
        ({}, True),
        (CLAIMS | {"pvcRetentionPolicy": "Retain"}, True),
        (CLAIMS | {"pvcRetentionPolicy": "Delete"}, False),
        ({"storageMode": "EmptyDir"}, False),
    ],
)
def test_dead_letters_are_waited_for_where_they_go_with_the_volume(
    storage: dict[str, Any], goes: bool
) -> None:
    found = held(dead_letters=(Left("%DLQ%g", 3),))
    decision = decide({M1: drained()}, {M1: found}, **storage)
    assert any(isinstance(step, RemoveBroker) for step in decision.steps) == goes
    ignored = decide({M1: drained()}, {M1: found}, scaleIn={"ignoreGroups": ["g"]}, **storage)
    assert steps(ignored) == [("RemoveBroker", M1)]


def test_force_gives_up_what_is_left_but_not_the_order() -> None:
    assert steps(decide({M1: Seen()}, {M1: OFFLINE}, annotations=FORCED)) == [("StopWrites", M1)]
    assert decide({M1: quiet(10)}, {M1: OFFLINE}, annotations=FORCED).steps == ()
    (step,) = decide({M1: quiet()}, {M1: OFFLINE}, annotations=FORCED).steps
    assert isinstance(step, RemoveBroker)
    assert "at least 4 messages" in step.given_up
    (step,) = decide({M1: seen(silent=True)}, annotations=FORCED).steps
    assert isinstance(step, RemoveBroker)
    assert "nobody could look" in step.given_up


# Taken back


@pytest.mark.parametrize("note", [leaving(3), leaving(500), drained().leaving])
def test_a_group_that_is_wanted_again_gets_its_writes_back(note: Leaving) -> None:
    master = seen(permission="4", leaving=note)
    (step,) = decided({M1: master}, 2, 0).steps
    assert isinstance(step, ReturnWrites)
    assert (step.note.permission, step.note.returned) == ("6", NOW)
    assert step.note.empty_since is None


def test_a_start_that_still_read_that_its_group_leaves_is_mended() -> None:
    note = leaving(500, returned=ago(30))
    assert steps(decided({M1: seen(permission="4", leaving=note)}, 2, 0)) == [("ReturnWrites", M1)]
    decision = decided({M1: seen(leaving=note)}, 2, 0)
    assert decision.steps == ()
    assert decision.again_after_s is not None
    old = leaving(500, returned=ago(RETURNED_S))
    (step,) = decided({M1: seen(leaving=old)}, 2, 0).steps
    assert step == NoteLeaving(M1, "broker-1-master", "uid of broker-1-master", None)


def test_a_group_that_started_closed_is_left_to_those_who_open_it() -> None:
    (step,) = decided({M1: seen(permission="1", leaving=leaving(500))}, 2, 0).steps
    assert isinstance(step, NoteLeaving)
    assert step.note is not None
    assert step.note.returned == NOW
    back = leaving(500, returned=ago(500))
    assert decided({M1: seen(permission="1", leaving=back)}, 2, 0).steps == ()


def test_consumers_can_read_a_broker_that_leaves_however_it_started() -> None:
    (step,) = decide({M1: seen(permission="1", leaving=leaving(500))}, {M1: EMPTY}).steps
    assert isinstance(step, StopWrites)
    assert (step.permission, step.note.permission) == ("4", "6")
    # One that never was open holds nothing that they could read.
    (step,) = decide({M1: seen(permission="1")}, {M1: EMPTY}).steps
    assert isinstance(step, StopWrites)
    assert (step.permission, step.note.permission) == ("0", "1")


def test_a_group_that_leaves_once_more_begins_anew() -> None:
    note = leaving(500, returned=ago(30), empty_since=ago(400), empty_log_end=LOG_END)
    (step,) = decide({M1: seen(permission="6", leaving=note)}, {M1: EMPTY}).steps
    assert isinstance(step, StopWrites)
    assert step.note == Leaving(began=NOW, since=NOW, permission="6")
