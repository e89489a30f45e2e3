from __future__ import annotations

import asyncio

import pytest

from rocketmq.errors import ConnectError, RocketmqError
from rocketmq.fanout import Results, each


async def _or_fail(address: str) -> str:
    await asyncio.sleep(1)
    if address.startswith("bad"):
        raise ConnectError("refused", address=address)
    return address.upper()


@pytest.mark.looptime
async def test_every_address_has_a_result_and_an_error_stops_nothing() -> None:
    results = await each(["a", "bad-1", "b", "bad-2"], _or_fail)
    assert results.values == {"a": "A", "b": "B"}
    assert list(results.errors) == ["bad-1", "bad-2"]
    assert not results.complete


@pytest.mark.looptime
async def test_an_address_given_twice_is_called_once_and_order_is_kept() -> None:
    async def later(address: str) -> float:
        await asyncio.sleep(10 - int(address))
        return asyncio.get_running_loop().time()

    results = await each(["3", "1", "2", "1"], later)
    assert list(results.values) == ["3", "1", "2"]


@pytest.mark.looptime
@pytest.mark.parametrize(("at_once", "seconds"), [(1, 10), (3, 4), (10, 1), (64, 1)])
async def test_only_so_many_calls_run_at_a_time(at_once: int, seconds: int) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    await each([str(number) for number in range(10)], _or_fail, at_once=at_once)
    assert loop.time() - started == pytest.approx(seconds)


@pytest.mark.looptime
async def test_a_fault_of_ours_is_no_result() -> None:
    async def broken(address: str) -> str:
        raise ZeroDivisionError(address)

    with pytest.raises(ExceptionGroup) as caught:
        await each(["a", "b"], broken)
    assert caught.group_contains(ZeroDivisionError)


@pytest.mark.looptime
async def test_cancelling_ends_all_calls() -> None:
    ended: list[str] = []

    async def hang(address: str) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(address)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await each(["a", "b"], hang)
    assert sorted(ended) == ["a", "b"]


async def test_nobody_to_ask_is_complete() -> None:
    assert (await each([], _or_fail)).complete


def test_joined_results_hold_an_address_once() -> None:
    error = RocketmqError("x")
    first: Results[int] = Results({"a": 1, "b": 2}, {})
    second: Results[int] = Results({"c": 3}, {"b": error})
    assert first.joined(second) == Results({"a": 1, "c": 3}, {"b": error})
