import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controller.errors import ApiError, ForbiddenError, InvalidError, UnreachableError
from controller.events import (
    QUEUE_LENGTH,
    Correlator,
    Event,
    EventRecorder,
    Occurrence,
    Regarding,
    Reporter,
    Write,
)
from controller.objects import Manifest, ObjectMeta, ObjectRef, Resource
from fakes.kube_client import FakeKubeClient

BROKER = Resource("example.org", "v1", "brokers", "Broker")
REGARDING = Regarding.of(BROKER, ObjectMeta(name="b", namespace="mq", uid="u1"))
REPORTER = Reporter("example.org/operator", "operator-0")
START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def event(note: str = "pod broken", *, reason: str = "RollStopped", name: str = "b") -> Event:
    regarding = msgspec.structs.replace(REGARDING, name=name)
    return Event(regarding, "Warning", reason, "Restart", note)


class Bench:
    """A correlator with a clock."""

    def __init__(self) -> None:
        self.correlator = Correlator(REPORTER)
        self.now = 0.0

    def happens(self, happened: Event) -> Write | None:
        at = START + timedelta(seconds=self.now)
        return self.correlator.decide(Occurrence(happened, at, self.now))


def test_an_event_is_written_as_the_api_wants_it() -> None:
    write = Bench().happens(event())
    assert write is not None
    assert not write.repeated
    name = write.manifest["metadata"].pop("name")
    assert name.startswith("b.")
    assert write.manifest == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": "mq"},
        "eventTime": "2026-01-02T03:04:05.678901Z",
        "regarding": {
            "apiVersion": "example.org/v1",
            "kind": "Broker",
            "namespace": "mq",
            "name": "b",
            "uid": "u1",
        },
        "type": "Warning",
        "reason": "RollStopped",
        "action": "Restart",
        "note": "pod broken",
        "reportingController": "example.org/operator",
        "reportingInstance": "operator-0",
    }


def test_the_same_event_again_counts_up_in_one_object() -> None:
    bench = Bench()
    first = bench.happens(event())
    bench.now = 60
    second = bench.happens(event())
    bench.now = 120
    third = bench.happens(event())
    assert first is not None
    assert second is not None
    assert third is not None
    assert second.repeated
    assert third.repeated
    series = {"count": 3, "lastObservedTime": "2026-01-02T03:06:05.678901Z"}
    # Everything but the series is immutable.
    assert third.manifest == first.manifest | {"series": series}


def test_after_an_hour_of_silence_the_event_is_a_new_one() -> None:
    bench = Bench()
    first = bench.happens(event())
    bench.now = 3601
    second = bench.happens(event())
    assert first is not None
    assert second is not None
    assert not second.repeated
    assert first.manifest["metadata"]["name"] != second.manifest["metadata"]["name"]


@pytest.mark.parametrize("other", [event("other note"), event(reason="Other"), event(name="c")])
def test_different_events_are_different_objects(other: Event) -> None:
    bench = Bench()
    writes = [bench.happens(event()), bench.happens(other)]
    names = {write.manifest["metadata"]["name"] for write in writes if write}
    assert len(names) == 2


def test_from_the_tenth_different_note_on_one_combined_event_counts() -> None:
    bench = Bench()
    writes = [bench.happens(event(f"note {number}")) for number in range(12)]
    assert [write.repeated for write in writes if write] == [False] * 10 + [True] * 2
    notes = [write.manifest["note"] for write in writes if write]
    assert notes[8:] == ["note 8", *["(combined from similar events): note 9"] * 3]
    last = writes[-1]
    assert last is not None
    assert last.manifest["series"]["count"] == 3


def test_similar_events_are_told_apart_again_after_ten_quiet_minutes() -> None:
    bench = Bench()
    for number in range(12):
        bench.happens(event(f"note {number}"))
    bench.now = 601
    write = bench.happens(event("note 99"))
    assert write is not None
    assert write.manifest["note"] == "note 99"


def test_a_flapping_condition_is_told_25_times_and_then_each_five_minutes() -> None:
    bench = Bench()
    written = 0
    for number in range(6000):
        bench.now = number / 10
        written += bench.happens(event(f"flap {number % 2}")) is not None
    assert written == 26
    bench.now = 900.0
    assert bench.happens(event("flap 0")) is not None


def test_spam_of_one_reason_does_not_silence_another_or_another_object() -> None:
    bench = Bench()
    for _ in range(100):
        bench.happens(event())
    assert bench.happens(event()) is None
    assert bench.happens(event(reason="Other")) is not None
    assert bench.happens(event(name="c")) is not None


@given(st.text(max_size=1500))
@example("half a character: \udcff")
@example("\u20ac" * 400)
def test_a_note_fits_and_is_text_whatever_it_quotes(note: str) -> None:
    write = Bench().happens(event(note))
    assert write is not None
    assert len(msgspec.json.encode(write.manifest)) > 0
    assert len(write.manifest["note"].encode()) <= 1024
    if note.isascii():
        assert write.manifest["note"] == note[:1024]


@given(st.from_regex(r"[a-z]([-a-z.]{0,250}[a-z])?", fullmatch=True))
def test_a_long_name_still_gives_a_valid_one(name: str) -> None:
    write = Bench().happens(event(name=name))
    assert write is not None
    full = write.manifest["metadata"]["name"]
    assert len(full) <= 253
    assert full.startswith(name[:220].rstrip(".-") + ".")


def test_memory_is_bounded_in_the_number_of_objects() -> None:
    bench = Bench()
    for number in range(5000):
        bench.happens(event(name=f"b-{number}"))
    assert len(bench.correlator._series._entries) == 4096
    again = bench.happens(event(name="b-0"))
    assert again is not None
    assert not again.repeated


# --- the recorder -------------------------------------------------------------------------------


@asynccontextmanager
async def recording(client: FakeKubeClient) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(client, REPORTER, clock=lambda: START, randomness=lambda: 0.5)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(recorder.run())
        yield recorder
        running.cancel()


def failing(times: int, error: ApiError) -> Callable[[str, ObjectRef, Manifest], ApiError | None]:
    left = iter(range(times))
    return lambda *_: None if next(left, None) is None else error


@pytest.mark.looptime
async def test_recorded_events_are_created_and_then_counted() -> None:
    client = FakeKubeClient()
    async with recording(client) as recorder:
        recorder.record(event())
        recorder.record(event())
        await asyncio.sleep(1)
    (stored,) = client.objects.values()
    assert stored["series"]["count"] == 2
    assert [verb for verb, _ in client.calls] == ["create", "apply"]


@pytest.mark.looptime
async def test_an_event_that_expired_comes_back_whole() -> None:
    client = FakeKubeClient()
    async with recording(client) as recorder:
        recorder.record(event())
        await asyncio.sleep(1)
        client.remove(next(iter(client.objects)))
        recorder.record(event())
        await asyncio.sleep(1)
    (stored,) = client.objects.values()
    assert (stored["note"], stored["series"]["count"]) == ("pod broken", 2)


@pytest.mark.looptime
async def test_an_outage_is_waited_for() -> None:
    client = FakeKubeClient(refuse=failing(3, UnreachableError("away")))
    async with recording(client) as recorder:
        recorder.record(event())
        await asyncio.sleep(24)
        assert client.objects == {}
        await asyncio.sleep(2)
    assert len(client.objects) == 1
    assert recorder.dropped == 0


@pytest.mark.looptime
async def test_an_answer_that_got_lost_makes_no_second_event() -> None:
    client = FakeKubeClient()
    async with recording(client) as recorder:
        recorder.record(event())
        await asyncio.sleep(1)
        client.calls.clear()
        twice = Correlator(REPORTER).decide(Occurrence(event(), START, 0.0))
        assert twice is not None
        await recorder._write(twice)
    assert [verb for verb, _ in client.calls] == ["create"]
    assert (len(client.objects), recorder.dropped) == (1, 0)


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("error", "times"),
    [(UnreachableError("away"), 12), (ForbiddenError("terminating"), 1), (InvalidError("bad"), 1)],
)
async def test_an_event_that_cannot_be_written_is_dropped_and_the_next_one_goes_on(
    error: ApiError, times: int
) -> None:
    client = FakeKubeClient(refuse=failing(times, error))
    async with recording(client) as recorder:
        recorder.record(event("lost"))
        recorder.record(event("next"))
        await asyncio.sleep(300)
    assert recorder.dropped == 1
    assert [stored["note"] for stored in client.objects.values()] == ["next"]


@pytest.mark.looptime
async def test_recording_never_waits_and_drops_what_is_too_much() -> None:
    client = FakeKubeClient(refuse=lambda *_: UnreachableError("away"))
    async with recording(client) as recorder:
        for number in range(QUEUE_LENGTH + 5):
            recorder.record(event(name=f"b-{number}"))
        assert recorder.dropped == 5
