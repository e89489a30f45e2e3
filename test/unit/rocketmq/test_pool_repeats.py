"""Which calls are made again when a line breaks, and which never are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from fakes.remoting_network import Network, Wire, echo
from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode
from rocketmq.errors import ConnectionLostError
from rocketmq.frames import Frame
from rocketmq.pool import ClientSettings, Pool

pytestmark = pytest.mark.looptime

A = "10.0.0.1:10911"
READ = Request(RequestCode.GET_BROKER_CONFIG)
WRITE = Request(RequestCode.UPDATE_BROKER_CONFIG, body=b"a=b")


def pool_on(network: Network) -> Pool:
    return Pool(ClientSettings(), opener=network)


async def outcome(pool: Pool, request: Request = READ) -> Response | ConnectionLostError:
    try:
        return await pool.call(A, request)
    except ConnectionLostError as error:
        return error


def cutting_first(times: int, *, partly: bytes = b"") -> Callable[[Wire, Frame], None]:
    """The server goes away instead of answering the first requests."""
    seen = count()

    def script(wire: Wire, request: Frame) -> None:
        if next(seen) >= times:
            echo(wire, request)
            return
        if partly:
            wire.give(partly)
        wire.cut()

    return script


async def test_a_read_is_repeated_once_when_its_line_breaks() -> None:
    network = Network(cutting_first(1))
    async with pool_on(network) as pool:
        assert isinstance(await outcome(pool), Response)
    assert len(network.wires) == 2


async def test_a_read_is_not_repeated_twice() -> None:
    network = Network(cutting_first(2))
    async with pool_on(network) as pool:
        error = await outcome(pool)
    assert str(error) == f"{A}: the server closed the line"
    assert len(network.wires) == 2


async def test_a_read_is_not_repeated_when_an_answer_had_begun() -> None:
    network = Network(cutting_first(1, partly=b"\0\0"))
    async with pool_on(network) as pool:
        error = await outcome(pool)
    assert isinstance(error, ConnectionLostError)
    assert error.answer_begun
    assert len(network.wires) == 1


async def test_a_write_that_left_is_never_repeated() -> None:
    network = Network(cutting_first(1))
    async with pool_on(network) as pool:
        error = await outcome(pool, WRITE)
    assert isinstance(error, ConnectionLostError)
    assert error.sent
    assert [len(wire.requests) for wire in network.wires] == [1]


async def test_a_write_that_never_left_is_made_on_a_new_line() -> None:
    network = Network()
    async with pool_on(network) as pool:
        await outcome(pool)
        network.wires[0].stop_reading()
        network.wires[0].cut(after_s=1)
        assert isinstance(await outcome(pool, WRITE), Response)
    assert [[request.code for request in wire.requests] for wire in network.wires] == [[26], [25]]
