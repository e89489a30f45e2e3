"""Looks at what the masters of leaving groups still hold; the last looks are kept for a while.

A look may cost thousands of calls, and a reconcile comes with every event: so one is repeated only
after `AGAIN_S`, or after ten times what it took. An older one says when it was made, and is never
taken for a second one (`steps.scale_in`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

import msgspec

from reconcilers.api.broker import Broker
from reconcilers.desired import names
from reconcilers.facts import BrokerAnswer, BrokerFacts, Look, Silence
from reconcilers.steps.members import MemberState, member_states
from rocketmq.admin import Admin
from rocketmq.backlog import Pair
from rocketmq.draining import read_backlog, read_consumers
from rocketmq.errors import RocketmqError

AGAIN_S = 4.0
"""A little less than `steps.scale_in.LOOK_AGAIN_S`: each of its reconciles finds a new one."""

WITHIN_S = 60.0
"""A look at 20,000 topics takes less."""

_TIMES_ITS_COST = 10.0


class _Kept(msgspec.Struct, frozen=True):
    until: float
    """By the loop's clock."""
    look: Look | Silence


class Looks:
    """The last look at each pod, by its uid."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    async def renew(self, admin: Admin, cr: Broker, facts: BrokerFacts, now: datetime) -> bool:
        """Look where it is due; whether anything was looked at, which may have taken long."""
        self._forget()
        due = {
            name: state
            for name, state in _leaving(cr, facts).items()
            if _uid(state) not in self._kept
        }
        if due:
            await self._look(admin, due, _staying(cr, facts), now)
        return bool(due)

    def known(self, cr: Broker, facts: BrokerFacts) -> dict[str, Look | Silence]:
        """What each master that leaves holds, by pod; nothing of those that say nothing."""
        found = {name: self._kept.get(_uid(one)) for name, one in _leaving(cr, facts).items()}
        return {name: kept.look for name, kept in found.items() if kept is not None}

    async def _look(
        self,
        admin: Admin,
        due: Mapping[str, MemberState],
        stay: Mapping[str, MemberState],
        now: datetime,
    ) -> None:
        silent = [name for name, one in stay.items() if not isinstance(one.answer, BrokerAnswer)]
        elsewhere: frozenset[Pair] | str
        if silent:
            elsewhere = f"{silent[0]} does not say who consumes there"
        else:
            elsewhere = await _consumers(admin, [one.address for one in stay.values()])
        async with asyncio.TaskGroup() as group:
            for state in due.values():
                group.create_task(self._keep(admin, state, elsewhere, now))

    async def _keep(
        self, admin: Admin, state: MemberState, elsewhere: frozenset[Pair] | str, now: datetime
    ) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        look = await _read(admin, state.address, elsewhere, now)
        until = loop.time() + max(AGAIN_S, _TIMES_ITS_COST * (loop.time() - began))
        self._kept[_uid(state)] = _Kept(until, look)

    def _forget(self) -> None:
        now = asyncio.get_running_loop().time()
        self._kept = {uid: kept for uid, kept in self._kept.items() if kept.until > now}


def _leaving(cr: Broker, facts: BrokerFacts) -> dict[str, MemberState]:
    """The masters that leave and answer."""
    if not names.leaving_groups(cr, facts.stateful_sets):
        return {}
    return {
        state.name: state
        for state in member_states(cr, facts)
        if state.member.is_master
        and state.member.group >= cr.spec.size
        and isinstance(state.answer, BrokerAnswer)
    }


def _staying(cr: Broker, facts: BrokerFacts) -> dict[str, MemberState]:
    states = member_states(cr, facts)
    return {
        state.name: state
        for state in states
        if state.member.is_master and state.member.group < cr.spec.size
    }


def _uid(state: MemberState) -> str:
    return state.pod.metadata.uid if state.pod is not None else ""


async def _consumers(admin: Admin, addresses: list[str]) -> frozenset[Pair] | str:
    """Who consumes what at the groups that stay, or why that is not known."""
    try:
        async with asyncio.timeout(WITHIN_S):
            return await read_consumers(admin, addresses)
    except TimeoutError:
        return f"no complete answer within {WITHIN_S:.0f} s"
    except RocketmqError as error:
        return str(error)


async def _read(
    admin: Admin, address: str, elsewhere: frozenset[Pair] | str, now: datetime
) -> Look | Silence:
    if isinstance(elsewhere, str):
        return Silence(elsewhere)
    try:
        async with asyncio.timeout(WITHIN_S):
            return Look(now, await read_backlog(admin, address, elsewhere=elsewhere))
    except TimeoutError:
        return Silence(f"no complete answer within {WITHIN_S:.0f} s")
    except RocketmqError as error:
        return Silence(str(error))
