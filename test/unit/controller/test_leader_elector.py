"""One or two candidates, in virtual time, against a Lease in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import chain, repeat

import pytest

from controller.errors import ForbiddenError, UnreachableError
from controller.events import Event
from controller.leader_elector import LeaderElector, Surroundings
from controller.leader_lease import LEASES, Candidate, Durations, Record
from controller.leader_term import Leadership, NotLeadingError
from controller.objects import ObjectRef
from fakes.lease_server import Fate, LeaseServer, Line

LEASE = ObjectRef(LEASES, "operators", "rocketmq-operator")
AWAY = UnreachableError("connection refused")

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


class Process:
    """One candidate, as a process has it; its end is written down, and then it stands still."""

    def __init__(self, name: str, server: LeaseServer, *fates: Fate) -> None:
        self.line = Line(server, chain(fates, repeat(Fate())))
        self.events: list[Event] = []
        self.ended: tuple[float, str] | None = None
        self.led_since: float | None = None
        self.stopped_at: float | None = None
        self.leadership = Leadership(10.0, end=self._end, now=now)
        self.elector = LeaderElector(
            self.line,
            Candidate(LEASE, name, Durations()),
            self.leadership,
            Surroundings(lambda: datetime.now(UTC), lambda: 0.5, self.events.append),
        )

    def _end(self, why: str) -> None:
        self.ended = (now(), why)

    async def _watch(self) -> None:
        await self.elector.wait_leading()
        self.led_since = now()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Process]:
        """Runs within the block, and dies at its end without a word."""
        async with asyncio.TaskGroup() as tasks:
            started = [tasks.create_task(self._run()), tasks.create_task(self._watch())]
            await asyncio.sleep(0.001)
            yield self
            for task in started:
                task.cancel()

    async def _run(self) -> None:
        try:
            await self.elector.run()
        except NotLeadingError:
            assert self.ended is not None
        self.stopped_at = now()


@pytest.fixture
def server() -> LeaseServer:
    return LeaseServer()


def held_by(server: LeaseServer, holder: str, **changes: object) -> None:
    """Somebody else writes the Lease."""
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 3}
    metadata = {"namespace": LEASE.namespace, "name": LEASE.name, "labels": {"team": "a"}}
    server.store({"metadata": metadata, "spec": {**spec, **changes}})


async def test_the_first_candidate_makes_the_lease_and_leads(server: LeaseServer) -> None:
    async with Process("a", server).running() as a:
        assert a.leadership.leading
        assert (server.record.holder, server.record.transitions) == ("a", 0)
        assert server.record.duration_s == 15
        (event,) = a.events
        assert (event.regarding.name, event.note) == (LEASE.name, "a became leader")


async def test_a_holder_renews_every_two_seconds_with_one_call_each(server: LeaseServer) -> None:
    async with Process("a", server).running() as a:
        await asyncio.sleep(60.5)
        assert a.line.calls == 2 + 30  # a look, a write, and the renewals
        assert len({record.renewed for _, record in server.written}) > 1
        assert len({record.acquired for _, record in server.written}) == 1
        assert a.leadership.left_s() > 7.9
        assert len(a.events) == 1


async def test_a_standby_never_writes(server: LeaseServer) -> None:
    async with Process("a", server).running(), Process("b", server).running() as b:
        await asyncio.sleep(600)
        assert server.holders == ["a"]
        with pytest.raises(NotLeadingError):
            b.leadership.require()


async def test_a_released_lease_is_taken_within_a_retry(server: LeaseServer) -> None:
    a, b = Process("a", server), Process("b", server)
    async with a.running(), b.running():
        await asyncio.sleep(33.3)
        a.elector.stop()
        stopped = now()
        await asyncio.sleep(5)
        assert not a.leadership.leading
        assert a.ended is None
        assert server.holders == ["a", "", "b"]
        assert (server.record.holder, server.record.transitions) == ("b", 1)
        assert b.led_since is not None
        assert b.led_since - stopped <= 2.4


async def test_a_dead_holder_is_followed_when_its_lease_is_over(server: LeaseServer) -> None:
    b = Process("b", server)
    async with Process("a", server).running():
        await asyncio.sleep(0.1)
    died = now()
    async with b.running():
        await asyncio.sleep(20)
    assert b.led_since is not None
    assert 15.0 <= b.led_since - died <= 15.1


async def test_a_holder_without_answers_ends_before_its_lease_is_over(server: LeaseServer) -> None:
    async with Process("a", server).running() as a:
        await asyncio.sleep(20.5)  # the last renewal is half a second old
        a.line.cut = True
        cut = now()
        await asyncio.sleep(30)
        assert a.ended is not None
        assert a.ended[0] - cut == pytest.approx(9.5, abs=0.1)
        with pytest.raises(NotLeadingError):
            a.leadership.require()


@pytest.mark.parametrize(
    "fates",
    [
        pytest.param([Fate(refused=AWAY)] * 3, id="three refused calls"),
        pytest.param([Fate(request_lost=True)], id="a call that hangs"),
        pytest.param([Fate(answer_lost=True)], id="a lost answer"),
        pytest.param([Fate(there_s=2.0, back_s=2.4)] * 20, id="a slow server"),
        pytest.param([Fate(answer_lost=True), Fate(back_s=2.5)], id="a lost answer, then slow"),
    ],
)
async def test_a_holder_survives_trouble_that_is_shorter_than_its_deadline(
    fates: list[Fate], server: LeaseServer
) -> None:
    process = Process("a", server, Fate(), Fate(), *fates)
    async with process.running(), Process("b", server).running():
        await asyncio.sleep(120)
        assert process.ended is None
        assert server.holders == ["a"]


async def test_a_lost_answer_to_the_first_write_costs_one_more_look(server: LeaseServer) -> None:
    async with Process("a", server, Fate(), Fate(answer_lost=True)).running() as a:
        await asyncio.sleep(4.9)
        assert not a.leadership.leading
        await asyncio.sleep(5)
        assert a.leadership.leading
        assert server.record.transitions == 0


async def test_a_first_write_that_took_too_long_is_confirmed_before_anyone_leads(
    server: LeaseServer,
) -> None:
    a = Process("a", server)
    a.leadership.now = iter([0.0] * 3 + [11.0] * 3 + [12.0] * 50).__next__
    async with a.running():
        assert server.record.holder == "a"
        assert not a.leadership.leading
        await asyncio.sleep(2.5)
        assert a.leadership.leading


async def test_an_outage_ends_the_holder_and_the_standby_leads_after_it(
    server: LeaseServer,
) -> None:
    a, b = Process("a", server), Process("b", server)
    async with a.running(), b.running():
        await asyncio.sleep(10)
        a.line.cut = b.line.cut = True
        await asyncio.sleep(600)
        assert a.ended is not None
        assert b.ended is None
        a.line.cut = b.line.cut = False
        healed = now()
        await asyncio.sleep(30)
        assert b.led_since is not None
        # A call that hung, a retry; and the whole lease, for it was renewed once more unseen.
        assert b.led_since - healed <= 5 + 2.4 + 15


@pytest.mark.parametrize("holder", ["", "b"])
async def test_a_lease_that_somebody_took_away_ends_the_process(
    server: LeaseServer, holder: str
) -> None:
    async with Process("a", server).running() as a:
        await asyncio.sleep(5)
        held_by(server, holder)
        await asyncio.sleep(2.1)
        assert a.ended is not None
        assert server.record.holder == holder


async def test_the_labels_that_somebody_gave_the_lease_stay(server: LeaseServer) -> None:
    held_by(server, "")
    async with Process("a", server).running():
        await asyncio.sleep(5)
        assert server.manifest is not None
        assert server.manifest["metadata"]["labels"] == {"team": "a"}
        held_by(server, "a", leaseTransitions=4)
        await asyncio.sleep(5)
        assert server.record.holder == "a"


async def test_a_deleted_lease_is_made_again_by_its_holder(server: LeaseServer) -> None:
    a, b = Process("a", server), Process("b", server)
    async with a.running(), b.running():
        await asyncio.sleep(5)
        before, server.manifest = server.record, None
        await asyncio.sleep(60)
        assert server.holders == ["a"]
        assert server.record.acquired == before.acquired
        assert a.ended is None


async def test_a_deleted_lease_of_a_dead_holder_is_free_when_it_would_have_been(
    server: LeaseServer,
) -> None:
    held_by(server, "a")
    async with Process("b", server).running() as b:
        await asyncio.sleep(5)
        server.manifest = None
        await asyncio.sleep(9.9)
        assert server.manifest is None
        await asyncio.sleep(0.2)
        assert b.leadership.leading
        assert server.record == Record(
            holder="b",
            duration_s=15,
            acquired=server.record.acquired,
            renewed=server.record.renewed,
            transitions=4,
        )


async def test_of_two_that_take_a_free_lease_one_leads(server: LeaseServer) -> None:
    held_by(server, "")
    slow = Fate(there_s=0.1, back_s=0.1)
    a, b = Process("a", server, slow, slow), Process("b", server, slow, slow)
    async with a.running(), b.running():
        await asyncio.sleep(60)
        assert [a.leadership.leading, b.leadership.leading] == [True, False]


async def test_a_process_that_is_cancelled_does_not_release(server: LeaseServer) -> None:
    async with Process("a", server).running():
        await asyncio.sleep(5)
    assert server.record.holder == "a"


async def test_a_release_gets_over_a_change_of_the_lease_in_between(server: LeaseServer) -> None:
    async with Process("a", server).running() as a:
        await asyncio.sleep(5)
        manifest = server.read().manifest()
        manifest["metadata"]["annotations"] = {"seen": "yes"}
        server.store(manifest)
        a.elector.stop()
        await asyncio.sleep(1)
    assert server.record.holder == ""


async def test_nobodys_lease_but_ones_own_is_released(server: LeaseServer) -> None:
    async with Process("a", server).running() as a:
        await asyncio.sleep(5)
        held_by(server, "b")
        a.elector.stop()
        await asyncio.sleep(1)
    assert server.record.holder == "b"


async def test_a_release_without_an_answer_ends_all_the_same(server: LeaseServer) -> None:
    async with Process("a", server).running() as a:
        await asyncio.sleep(5)
        a.line.cut = True
        a.elector.stop()
        asked = now()
        await asyncio.sleep(10)
        assert a.stopped_at is not None
        assert a.stopped_at - asked <= 5.1
        assert not a.leadership.leading


async def test_a_standby_that_may_not_read_the_lease_goes_on_trying(server: LeaseServer) -> None:
    refused = [Fate(refused=ForbiddenError("no", status=403))] * 50
    async with Process("a", server, *refused).running() as a:
        await asyncio.sleep(300)
        assert a.leadership.leading
        assert a.ended is None
