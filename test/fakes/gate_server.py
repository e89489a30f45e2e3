"""One server of the gate's world, and the templates of its kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from fakes.gate_facts import State
from reconcilers.desired import names
from reconcilers.steps.decision import WritesMoved

READ, WRITE = 4, 2


@dataclass
class Server:
    """One pod and what its server has on disk."""

    name: str
    member: names.Member | None = None
    """None for a name server."""
    state: State = "ready"
    until: float = 0.0
    """When it stops being as it is, if it is on its way."""
    template: int = 0
    uid: int = 0
    changed: float = 0.0
    silent_until: float = -1.0
    log_end: int = 0
    slow_until: float = -1.0
    slow_bytes: int = 0
    """What it copies in a second until then."""
    permission: int = READ | WRITE
    no_write_since: float = 0.0
    closed: bool = False
    """A master whose store is new: clients may not use it before it is opened."""
    has_topics: bool = True
    note: WritesMoved | None = None
    started: float = -1000.0
    knows: set[tuple[str, int]] = field(default_factory=set)

    @property
    def serves(self) -> bool:
        """Whether it does what it is there for."""
        return self.state == "ready"

    @property
    def takes_writes(self) -> bool:
        """Whether producers can use it."""
        return self.serves and bool(self.permission & WRITE)


@dataclass
class Templates:
    """The templates of one resource; a bad one makes pods that fail."""

    bad: set[int] = field(default_factory=set)
    wanted: int = 0
    """What the user's resource leads to."""
    written: int = 0
    """What the operator has given to the StatefulSets."""
    used: int = 0
    """What their controller has understood: new pods are made of it."""
    made: int = 0

    def change(self, random: Random) -> None:
        """Another template, or an earlier one again."""
        if random.random() < 0.2:
            self.mend(random)
            return
        self.made += 1
        self.wanted = self.made
        if random.random() < 0.5:
            self.bad.add(self.made)

    def mend(self, random: Random) -> None:
        """An earlier template that is known to work."""
        self.wanted = random.choice([one for one in range(self.made + 1) if one not in self.bad])
