import pytest

from fakes.gate_facts import NOW
from reconcilers.status.notices import Notice, step_notices
from reconcilers.steps.decision import (
    CopyMetadata,
    Done,
    GrowClaim,
    Leaving,
    MoveWrites,
    NoteDrained,
    NoteLeaving,
    NoteWrites,
    Open,
    PushSettings,
    RemoveBroker,
    RemoveReplica,
    Restart,
    RestoreWrites,
    ReturnWrites,
    Step,
    StopWrites,
    WritesMoved,
)

LEAVING = Leaving(began=NOW, since=NOW, permission="6")
NOTE = WritesMoved(since=NOW, permission="6", log_end=0, still_since=NOW)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Restart("p", "u", "", evict=True), "RestartingPod"),
        (MoveWrites("p", "u", "a", NOTE, "4"), "WritesMoved"),
        (RestoreWrites("p", "u", "a", "6"), "WritesRestored"),
        (RemoveReplica("s", "u", "p"), "ReplicaRemoved"),
    ],
)
def test_every_step_that_clients_may_notice_is_an_event(step: Step, reason: str) -> None:
    assert step_notices([Done(step)], "why") == (Notice("Normal", reason, "why"),)


@pytest.mark.parametrize(
    ("step", "reason", "words"),
    [
        (StopWrites("p", "a", "s", "u", LEAVING, "4"), "GroupLeaving", "leaves"),
        (NoteDrained("p", "s", "u", LEAVING), "GroupDrained", "holds nothing"),
        (RemoveBroker("p", "s", "u", "gives up 1 message"), "GroupRemoved", "gives up 1 message"),
        (ReturnWrites("p", "a", "s", "u", LEAVING), "GroupKept", "wanted again"),
    ],
)
def test_every_phase_of_a_scale_in_is_an_event(step: Step, reason: str, words: str) -> None:
    (notice,) = step_notices([Done(step)], "what all of them do")
    assert (notice.type, notice.reason) == ("Normal", reason)
    assert words in notice.note


def test_an_event_about_settings_says_which() -> None:
    step = PushSettings("p", "a", {"traceOn": "false", "deleteWhen": "05"})
    (notice,) = step_notices([Done(step)], "")
    assert notice == Notice("Normal", "SettingsPushed", "told p: deleteWhen=05, traceOn=false")


def test_events_about_a_new_group_say_what_it_gets_and_has() -> None:
    copy = CopyMetadata(pod="p", uid="u", address="a", source="s", topics=(), groups=())
    opened = Open(pod="p", uid="u", address="a", permission="6", why="it has all")
    assert step_notices([Done(copy), Done(opened)], "words of another step") == (
        Notice("Normal", "CopyingMetadata", "p gets the topics and groups of s"),
        Notice("Normal", "GroupOpened", "p is open to clients: it has all"),
    )


def test_a_step_that_failed_is_a_warning() -> None:
    step = Restart("p", "u", "", evict=True)
    assert step_notices([Done(step, "no")], "restarting p") == (
        Notice("Warning", "StepFailed", "restarting p: no"),
    )


@pytest.mark.parametrize(
    "done",
    [
        Done(NoteWrites("p", "u", NOTE)),
        Done(NoteLeaving("p", "s", "u", LEAVING)),
        Done(GrowClaim("p", "c", "u", "2Gi"), "it may not"),
    ],
)
def test_what_changes_nothing_for_anybody_is_no_event(done: Done) -> None:
    assert step_notices([done], "why") == ()
