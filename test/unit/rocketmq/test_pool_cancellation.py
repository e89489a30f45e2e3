"""A call cancelled anywhere leaves the pool as if it had never been made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fakes.remoting_network import Network, Wire, echo, silence
from rocketmq.calls import Request
from rocketmq.codes import RequestCode
from rocketmq.frames import Frame
from rocketmq.pool import ClientSettings, Pool

pytestmark = pytest.mark.looptime

A = "10.0.0.1:10911"
READ = Request(RequestCode.GET_BROKER_CONFIG)

Arrangement = Callable[[Network, Pool, asyncio.TaskGroup], Awaitable[None]]


async def connecting(network: Network, _pool: Pool, _group: asyncio.TaskGroup) -> None:
    network.connect_s = 1000


async def behind_another_that_connects(
    network: Network, pool: Pool, group: asyncio.TaskGroup
) -> None:
    network.connect_s = 50
    group.create_task(pool.call(A, READ, timeout_s=100))
    await asyncio.sleep(0)


async def waiting_for_its_turn(network: Network, pool: Pool, group: asyncio.TaskGroup) -> None:
    network.script = lambda wire, request: wire.answer(request, after_s=50)
    for _ in range(2):
        group.create_task(pool.call(A, READ, timeout_s=100))
    await asyncio.sleep(0)


async def waiting_to_write(network: Network, pool: Pool, _group: asyncio.TaskGroup) -> None:
    await pool.call(A, READ)
    network.wires[0].stop_reading()
    asyncio.get_running_loop().call_later(50, network.wires[0].read_again)


async def waiting_for_the_answer(network: Network, _pool: Pool, _group: asyncio.TaskGroup) -> None:
    network.script = silence


async def connecting_again(network: Network, pool: Pool, _group: asyncio.TaskGroup) -> None:
    await pool.call(A, READ)
    network.connect_s = 1000
    network.script = lambda wire, _request: wire.cut()


ARRANGEMENTS: list[Arrangement] = [
    connecting,
    behind_another_that_connects,
    waiting_for_its_turn,
    waiting_to_write,
    waiting_for_the_answer,
    connecting_again,
]


async def call(pool: Pool) -> None:
    await pool.call(A, READ, timeout_s=100)


async def tell(pool: Pool) -> None:
    await pool.send_one_way(A, READ)


def left_behind(pool: Pool) -> list[str]:
    """Whatever a call may hold and has not given back."""
    found = [f"{pool!r}"] if " 1 calls" in repr(pool) else []
    for line in pool._lines.values():
        if line.users or line.opening.locked() or line.slots._value != 2:
            found.append(f"{line.users} users, {line.slots!r}, {line.opening!r}")
        if line.connection and line.connection._session.pending:
            found.append(repr(line.connection._session.pending))
    return found


@pytest.mark.parametrize("arrange", ARRANGEMENTS)
@pytest.mark.parametrize("action", [call, tell])
async def test_a_call_cancelled_where_it_hangs_leaves_nothing_behind(
    arrange: Arrangement, action: Callable[[Pool], Awaitable[None]]
) -> None:
    network = Network()
    settings = ClientSettings(calls_per_address=2, connect_timeout_s=2000, one_way_timeout_s=100)
    async with Pool(settings, opener=network) as pool:
        async with asyncio.TaskGroup() as group:
            await arrange(network, pool, group)
            hanging = group.create_task(action(pool))
            await asyncio.sleep(1)
            hangs = not hanging.done()
            hanging.cancel()
            await asyncio.wait([hanging])
            assert hanging.cancelled() == hangs
            assert hangs or action is tell  # what needs no answer has nothing to hang on

        assert left_behind(pool) == []
        network.connect_s, network.script = 0, echo
        assert (await pool.call(A, READ, timeout_s=100)).code == 0

    assert network.open_wires == []


@pytest.mark.parametrize("steps", range(16))
async def test_a_call_cancelled_after_any_step_leaves_nothing_behind(steps: int) -> None:
    breaks = iter([True])

    def once_broken(wire: Wire, request: Frame) -> None:
        if next(breaks, False):
            wire.cut()
        else:
            echo(wire, request)

    network = Network(once_broken)
    async with Pool(ClientSettings(calls_per_address=2), opener=network) as pool:
        async with asyncio.TaskGroup() as group:
            stepping = group.create_task(call(pool))
            for _ in range(steps):
                await asyncio.sleep(0)
            stepping.cancel()
            await asyncio.wait([stepping])

        await asyncio.sleep(0)
        assert left_behind(pool) == []
        assert (await pool.call(A, READ, timeout_s=100)).code == 0
        assert len(network.open_wires) == 1

    assert network.open_wires == []


async def test_sixteen_steps_are_more_than_a_call_has() -> None:
    breaks = iter([True])
    network = Network(lambda wire, rq: wire.cut() if next(breaks, False) else echo(wire, rq))
    async with Pool(ClientSettings(), opener=network) as pool, asyncio.TaskGroup() as group:
        stepping = group.create_task(call(pool))
        for _ in range(15):
            await asyncio.sleep(0)
        assert stepping.done()


async def test_a_caller_that_waited_for_a_cancelled_attempt_makes_its_own() -> None:
    network = Network(connect_s=2)
    async with Pool(ClientSettings(), opener=network) as pool, asyncio.TaskGroup() as group:
        first = group.create_task(call(pool))
        await asyncio.sleep(1)
        second = group.create_task(call(pool))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert asyncio.get_running_loop().time() == pytest.approx(3)
