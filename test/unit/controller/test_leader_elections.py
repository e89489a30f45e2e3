"""Whole elections: several processes, clocks that disagree, and a network that fails at random.

Each process has its own clock (another start, another speed) and its own time of day. It writes all
the time, as far as its guard lets it; who loses or dies is started again as somebody new.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import looptime
import msgspec
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from controller.leader_elector import LeaderElector, Surroundings
from controller.leader_lease import LEASES, Candidate, Durations
from controller.leader_term import Leadership, NotLeadingError
from controller.objects import ObjectRef
from fakes.lease_server import Fate, LeaseServer, Line

LEASE = ObjectRef(LEASES, "operators", "rocketmq-operator")
DURATIONS = Durations()
STORM_S = 100.0
CALM_S = 60.0
"""A hung call, a retry, a lease to its end, and the time of a restart."""
WRITE_EVERY_S = 0.5
RESTART_S = 3.0

seconds = st.floats(0.0, 20.0).map(lambda value: round(value, 2))
fates = st.one_of(
    st.just(Fate()),
    st.builds(Fate, there_s=seconds, back_s=seconds),
    st.builds(Fate, request_lost=st.booleans(), answer_lost=st.booleans()),
)


class Trouble(msgspec.Struct, frozen=True):
    """At `at_s` this befalls one process."""

    at_s: float
    process: int
    kind: str
    for_s: float


class Nature(msgspec.Struct, frozen=True):
    """What is given to one process: its clocks, and what its calls meet in the storm."""

    offset_s: float
    speed: float
    skew_s: float
    fates: tuple[Fate, ...]


natures = st.builds(
    Nature,
    offset_s=st.floats(0, 1e6),
    speed=st.floats(0.97, 1.03),
    skew_s=st.floats(-3600, 3600),
    fates=st.lists(fates, min_size=1, max_size=12).map(tuple),
)
troubles = st.builds(
    Trouble,
    at_s=st.floats(0, STORM_S - 40),
    process=st.integers(0, 2),
    kind=st.sampled_from(["kill", "stop", "cut", "cut"]),
    for_s=st.floats(0, 40),
)


class Node:
    """A process that is started again whenever it ended."""

    def __init__(self, number: int, nature: Nature, world: World) -> None:
        self._names = (f"{number}_{run}" for run in itertools.count())
        self._nature = nature
        self._world = world
        self._fates = itertools.cycle(nature.fates)
        self._tasks: asyncio.Task[None] | None = None
        self.line = Line(world.server, self._next_fates())
        self.leadership: Leadership | None = None
        self.elector: LeaderElector | None = None

    def _next_fates(self) -> Iterator[Fate]:
        while True:
            yield next(self._fates) if self._world.storm else Fate()

    def _clock(self) -> float:
        return self._nature.offset_s + asyncio.get_running_loop().time() * self._nature.speed

    def kill(self) -> None:
        if self._tasks is not None:
            self._tasks.cancel()

    async def live(self) -> None:
        while True:
            leadership = Leadership(DURATIONS.renew_s, end=lambda why: None, now=self._clock)
            now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._nature.skew_s)
            elector = LeaderElector(
                self.line,
                Candidate(LEASE, next(self._names), DURATIONS),
                leadership,
                Surroundings(lambda now=now: now, lambda: 0.5, lambda event: None),
            )
            self.leadership, self.elector = leadership, elector
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks.create_task(self._run(elector, leadership))
            self.leadership = None
            await asyncio.sleep(RESTART_S)

    async def _run(self, elector: LeaderElector, leadership: Leadership) -> None:
        try:
            async with asyncio.timeout(None) as life:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._write(leadership, lambda: life.reschedule(0)))
                    await elector.run()
                    life.reschedule(0)
        except (TimeoutError, ExceptionGroup):
            pass

    async def _write(self, leadership: Leadership, die: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            try:
                leadership.require()
            except NotLeadingError:
                if leadership.leading:
                    die()
            else:
                self._world.wrote(self)


class World:
    """A Lease, three nodes, and a check at each write that nobody else could write now."""

    def __init__(self, natures: list[Nature]) -> None:
        self.server = LeaseServer()
        self.storm = True
        self.writes = 0
        self.clashes: list[float] = []
        """When one could write and was not the only one."""
        self.nodes = [Node(number, nature, self) for number, nature in enumerate(natures)]

    def wrote(self, writer: Node) -> None:
        self.writes += 1
        able = [
            node
            for node in self.nodes
            if node.leadership is not None
            and node.leadership.leading
            and node.leadership.left_s() > 0
        ]
        if able != [writer]:
            self.clashes.append(asyncio.get_running_loop().time())

    async def befall(self, trouble: Trouble) -> None:
        await asyncio.sleep(trouble.at_s)
        node = self.nodes[trouble.process]
        match trouble.kind:
            case "kill":
                node.kill()
            case "stop" if node.elector is not None:
                node.elector.stop()
            case "cut":
                node.line.cut = True
                await asyncio.sleep(trouble.for_s)
                node.line.cut = False

    async def run(self, course: list[Trouble]) -> int:
        """Storm, then calm; how often was written in the last seconds of the calm."""
        async with asyncio.TaskGroup() as tasks:
            lives = [tasks.create_task(node.live()) for node in self.nodes]
            for trouble in course:
                tasks.create_task(self.befall(trouble))
            await asyncio.sleep(STORM_S)
            self.storm = False
            await asyncio.sleep(CALM_S)
            before = self.writes
            await asyncio.sleep(10 * WRITE_EVERY_S)
            for life in lives:
                life.cancel()
        return self.writes - before


@given(
    st.lists(natures, min_size=3, max_size=3),
    st.lists(troubles, max_size=8),
)
@settings(max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_never_two_may_write_and_when_the_storm_is_over_somebody_leads(
    natures: list[Nature], course: list[Trouble]
) -> None:
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        world = World(natures)
        written_in_the_end = runner.run(world.run(course))
    assert world.clashes == []
    assert written_in_the_end >= 8
