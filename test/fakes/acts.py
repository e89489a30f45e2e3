"""A random series of acts on two clusters: which follow from a seed, and where things are then.

A topic moves between the clusters `red` and `blue`, groups of `red` come and go, and what they all
stand on fails now and then. Pure: the same seed gives the same series, so a series that was broken
off goes on where it was.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Literal

import msgspec

Kind = Literal["move", "cancel", "grow", "shrink", "waver", "rest"]
"""`cancel`: a move that is given up on the way; `waver`: groups that are to leave, and stay."""
Fault = Literal["", "operator", "name-server", "broker", "hanging-name-server", "hanging-broker"]
Colour = Literal["red", "blue"]

FEWEST, MOST = 1, 3
"""Groups of `red`."""
_WEIGHTS: dict[Kind, int] = {
    "move": 5,
    "cancel": 3,
    "grow": 4,
    "shrink": 4,
    "waver": 2,
    "rest": 1,
}
_FAULTS: dict[Fault, int] = {
    "": 5,
    "operator": 3,
    "name-server": 1,
    "broker": 1,
    "hanging-name-server": 1,
    "hanging-broker": 1,
}
_LONGEST_S = 20.0


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where things are between two acts."""

    home: Colour = "red"
    """The cluster that has the topic that moves."""
    size: int = 2
    """Groups of `red`."""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One act, what fails meanwhile, and where things are when it is over."""

    number: int
    kind: Kind
    size: int
    """Groups of `red` that are asked for, with `grow`, `shrink` and `waver`."""
    turn_s: float
    """When the user thinks better of it, with `cancel` and `waver`."""
    fault: Fault
    fault_s: float
    """When it fails, from the act's beginning."""
    chance: float
    """Which of several servers fails: from 0 up to 1."""
    before: State
    after: State

    def __str__(self) -> str:
        what = {
            "move": f"move to {self.after.home}",
            "cancel": f"move from {self.before.home}, cancelled after {self.turn_s:.0f} s",
            "grow": f"{self.before.size} to {self.size} groups",
            "shrink": f"{self.before.size} to {self.size} groups",
            "waver": f"{self.before.size} to {self.size} groups and back at {self.turn_s:.0f} s",
            "rest": "nothing",
        }[self.kind]
        fault = f", {self.fault} fails at {self.fault_s:.0f} s" if self.fault else ""
        return f"{self.number}: {what}{fault}"


def acts(seed: int) -> Iterator[Act]:
    """The endless series of a seed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    state, number = State(), 0
    while True:
        kind = _kind(chance, state)
        act = _act(chance, number, kind, state)
        yield act
        state, number = act.after, number + 1


def _kind(chance: random.Random, state: State) -> Kind:
    possible = dict(_WEIGHTS)
    if state.size == MOST:
        del possible["grow"]
    if state.size == FEWEST:
        del possible["shrink"], possible["waver"]
    return chance.choices(list(possible), list(possible.values()))[0]


def _act(chance: random.Random, number: int, kind: Kind, state: State) -> Act:
    size, after = state.size, state
    if kind == "move":
        after = State(home="blue" if state.home == "red" else "red", size=size)
    elif kind == "grow":
        size = chance.randint(size + 1, MOST)
        after = State(home=state.home, size=size)
    elif kind in ("shrink", "waver"):
        size = chance.randint(FEWEST, size - 1)
        after = State(home=state.home, size=size) if kind == "shrink" else state
    fault = chance.choices(list(_FAULTS), list(_FAULTS.values()))[0]
    if kind == "rest" and not fault:
        fault = "operator"
    return Act(
        number=number,
        kind=kind,
        size=size,
        turn_s=chance.uniform(1.0, _LONGEST_S),
        fault=fault,
        fault_s=chance.uniform(0.0, _LONGEST_S),
        chance=chance.random(),
        before=state,
        after=after,
    )
