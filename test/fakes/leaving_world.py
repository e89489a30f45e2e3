"""A Broker in memory whose size goes up and down: messages, consumers, an operator that dies.

It moves in seconds. A group that is removed must hold nothing for anybody, whatever the operator
was shown: that is looked at here, by what really is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from fakes.gate_facts import NOW, Seen, a_broker, broker_facts
from reconcilers.api.broker import Broker
from reconcilers.desired import names
from reconcilers.facts import BrokerFacts, Look, Silence
from reconcilers.steps.broker import decide
from reconcilers.steps.decision import (
    Decision,
    Leaving,
    NoteDrained,
    NoteLeaving,
    RemoveBroker,
    ReturnWrites,
    Step,
    StopWrites,
)
from rocketmq.backlog import Backlog, Delay, Waiting

WRITE = 2
MOST = 3
REFRESH_S = 30
STARTING_S = 20
STALE_CONFIG_S = 90
"""For so long a pod may start with the ConfigMap of before."""


@dataclass
class Group:
    """A master and what it holds."""

    permission: int = 6
    note: Leaving | None = None
    ready_at: float = 0.0
    """It serves from then on."""
    produced_until: float = 0.0
    log_end: int = 1000
    waiting: int = 0
    delayed: dict[float, int] = field(default_factory=dict)
    """Messages by the time at which they are delivered."""
    consumers_at: float = 0.0
    """Consumers are connected from then on."""
    conf: list[bool] = field(default_factory=list)
    """What the ConfigMap said of late, each second: whether it leaves."""


class LeavingWorld:
    """A NameService and a Broker whose size is edited."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = 0.0
        self.size = MOST
        self.groups = {number: Group() for number in range(MOST)}
        self.decision = Decision(phase="current")
        self._looks: dict[int, tuple[float, Look]] = {}
        self._next = 0.0
        for _ in range(60):
            self.tick()

    @property
    def clock(self) -> datetime:
        """What the operator's clock shows."""
        return NOW + timedelta(seconds=self.now)

    def run(self, seconds: float, *, faults: float) -> None:
        """Let so much time pass, or until all is done where nothing fails."""
        end = self.now + seconds
        while self.now < end and (faults or not self.is_settled()):
            if self.random.random() < faults:
                self._fail()
            if self.now >= self._next or self.random.random() < 0.1:
                self._reconcile(dies=0.1 if faults else 0.0)
            self.tick()

    def mend(self) -> None:
        """Consumers come back, nothing fails, and the user leaves the size alone."""
        for group in self.groups.values():
            group.consumers_at = min(group.consumers_at, self.now)

    def is_settled(self) -> bool:
        """Whether there is what the user wants, and it works."""
        return self.groups.keys() == set(range(self.size)) and all(
            group.permission == 6 and group.note is None for group in self.groups.values()
        )

    # Time

    def tick(self) -> None:
        """A second passes."""
        self.now += 1
        for number in range(self.size):
            if number not in self.groups:  # with its old volume, and closed until it has its topics
                self.groups[number] = Group(ready_at=self.now + STARTING_S)
        for number, group in self.groups.items():
            leaves = number >= self.size and group.note is not None
            group.conf = [*group.conf, leaves][-STALE_CONFIG_S:]
            self._live(group)

    def _live(self, group: Group) -> None:
        if self.now < group.ready_at:
            return
        random = self.random
        if group.permission & WRITE:
            group.produced_until = max(
                group.produced_until, self.now + random.uniform(0, REFRESH_S)
            )
        if self.now < group.produced_until:
            self._store(group, random.randint(0, 3))
        for due in [due for due in group.delayed if due <= self.now]:
            self._store(group, group.delayed.pop(due), delays=False)
        if self.now >= group.consumers_at:
            consumed = min(group.waiting, random.randint(0, 5))
            group.waiting -= consumed
            if consumed and random.random() < 0.1:  # sent back, to be tried again
                self._delay(group, 1)

    def _store(self, group: Group, messages: int, *, delays: bool = True) -> None:
        if delays and messages and self.random.random() < 0.1:
            self._delay(group, messages)
            return
        group.waiting += messages
        group.log_end += 100 * messages

    def _delay(self, group: Group, messages: int) -> None:
        due = self.now + self.random.randint(5, 60)
        group.delayed[due] = group.delayed.get(due, 0) + messages
        group.log_end += 100 * messages

    def _fail(self) -> None:
        random = self.random
        group = random.choice(list(self.groups.values()))
        match random.randrange(3):
            case 0:
                self.size = random.randint(1, MOST)
            case 1:
                self._restart(group)
            case _:
                group.consumers_at = self.now + random.randint(1, 200)

    def _restart(self, group: Group) -> None:
        group.ready_at = self.now + self.random.randint(1, STARTING_S)
        group.permission = 4 if self.random.choice(group.conf or [False]) else 6

    # What the operator sees and does

    def _facts(self) -> BrokerFacts:
        pods = {self._pod(number): self._seen(group) for number, group in self.groups.items()}
        wanted = {pod: one for pod, one in pods.items() if _number(pod) < self.size}
        missing = {
            self._pod(number): Seen(state="missing")
            for number in range(self.size)
            if number not in self.groups
        }
        surplus = {pod: one for pod, one in pods.items() if _number(pod) >= self.size}
        looks = {
            self._pod(number): self._look(number) for number in self.groups if number >= self.size
        }
        return broker_facts(self._cr(), wanted | missing, surplus=surplus, looks=looks)

    def _cr(self) -> Broker:
        return a_broker(self.size, 0, routeRefreshSeconds=REFRESH_S)

    def _seen(self, group: Group) -> Seen:
        return Seen(
            state="ready" if self.now >= group.ready_at else "starting",
            permission=str(group.permission),
            leaving=group.note,
            log_end=group.log_end,
        )

    def _look(self, number: int) -> Look | Silence:
        group = self.groups[number]
        if self.now < group.ready_at or self.random.random() < 0.05:
            return Silence("no answer")
        kept = self._looks.get(number)
        if kept is not None and self.now - kept[0] < 4:
            return kept[1]
        row = Waiting(
            topic="t", group="g", messages=group.waiting, online=self.now >= group.consumers_at
        )
        delayed = sum(group.delayed.values())
        found = Look(
            self.clock,
            Backlog(
                waiting=(row,) if group.waiting else (),
                delays=(Delay(1, 0, delayed),),
                log_begin=group.log_end,
                log_end=group.log_end,
            ),
        )
        self._looks[number] = (self.now, found)
        return found

    def _reconcile(self, *, dies: float) -> None:
        facts = self._facts()
        self.decision = decide(self._cr(), facts, self.clock)
        for step in self.decision.steps:
            for _ in self._calls(step):
                if self.random.random() < dies:
                    self._next = self.now + self.random.randint(1, 20)
                    return
        self._next = self.now + min(self.decision.again_after_s or 30.0, 30.0)

    def _calls(self, step: Step) -> Iterator[None]:
        number = _number(step.pod)
        group = self.groups[number]
        match step:
            case StopWrites(note=note, permission=permission):
                others = [one for one in self.groups.values() if one is not group]
                assert any(one.permission & WRITE for one in others), "producers cannot go anywhere"
                group.note = note
                yield
                if permission and self.now >= group.ready_at:
                    group.permission = int(permission)
            case ReturnWrites(note=note):
                assert number < self.size
                group.permission = int(note.permission)
                yield
                group.note = note
            case NoteLeaving(note=note) | NoteDrained(note=note):
                group.note = note
            case RemoveBroker():
                self._may_go(number, group)
                del self.groups[number]
            case _:
                raise AssertionError(f"nobody asked for {step}")
        yield

    def _may_go(self, number: int, group: Group) -> None:
        assert number == max(self.groups), f"{number} is not the highest"
        assert number >= self.size, f"{number} is wanted"
        assert not group.waiting, f"{number} holds {group.waiting} messages"
        assert not group.delayed, f"{number} holds {group.delayed}"
        assert not group.permission & WRITE, f"{number} takes writes"
        assert self.now >= group.produced_until, f"{number} is still written to"
        down = [one for one in range(self.size) if self.now < self.groups[one].ready_at]
        assert not down, f"{down} are down"

    def _pod(self, number: int) -> str:
        return f"{names.group_name('broker', number)}-master-0"


def _number(pod: str) -> int:
    return int(pod.split("-")[1])
