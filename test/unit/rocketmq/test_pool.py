"""The pool and its connections against scripted servers, in virtual time and without sockets."""

from __future__ import annotations

import asyncio

import pytest

from fakes.remoting_network import Network, Wire, echo, silence
from rocketmq.acl import Credentials, signed
from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode
from rocketmq.errors import (
    ConnectError,
    ConnectionLostError,
    NoAnswerError,
    ProtocolError,
    TopicNotExistError,
)
from rocketmq.frames import Frame, frame_bytes
from rocketmq.pool import ClientSettings, Pool

pytestmark = pytest.mark.looptime

A = "10.0.0.1:10911"
READ = Request(RequestCode.GET_BROKER_CONFIG)
WRITE = Request(RequestCode.UPDATE_BROKER_CONFIG, body=b"a=b")


def pool_on(network: Network, settings: ClientSettings | None = None) -> Pool:
    return Pool(settings or ClientSettings(), opener=network)


def now_s() -> float:
    return round(asyncio.get_running_loop().time(), 3)


async def outcome(pool: Pool, request: Request = READ, timeout_s: float = 5.0) -> object:
    """The response, or the error of the call."""
    try:
        return await pool.call(A, request, timeout_s=timeout_s)
    except (ConnectError, ConnectionLostError, NoAnswerError, ProtocolError) as error:
        return error


async def outcomes(pool: Pool, requests: list[Request]) -> list[object]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outcome(pool, request)) for request in requests]
    return [task.result() for task in tasks]


def numbered(n: int) -> Request:
    return Request(RequestCode.GET_BROKER_CONFIG, body=str(n).encode())


async def test_calls_share_one_line_and_answers_find_them_in_any_order() -> None:
    def backwards(wire: Wire, request: Frame) -> None:
        wire.answer(request, after_s=1 / int(request.body), body=request.body)

    network = Network(backwards, connect_s=0.1)
    async with pool_on(network) as pool:
        answers = await outcomes(pool, [numbered(n) for n in range(1, 9)])

    assert [answer.body for answer in answers if isinstance(answer, Response)] == [
        str(n).encode() for n in range(1, 9)
    ]
    assert network.attempts == [A]


async def test_each_address_has_its_line() -> None:
    network = Network()
    async with pool_on(network) as pool:
        for address in ("a:1", "b:1", "a:1"):
            await pool.call(address, READ)

    assert network.attempts == ["a:1", "b:1"]
    assert [wire.ended for wire in network.wires] == ["closed", "closed"]


async def test_another_code_than_success_is_its_error_unless_allowed() -> None:
    network = Network(lambda wire, request: wire.answer(request, code=17))
    async with pool_on(network) as pool:
        with pytest.raises(TopicNotExistError, match=rf"^{A}: TOPIC_NOT_EXIST \(17\): code 17$"):
            await pool.call(A, READ)
        response = await pool.call(A, READ, allow=(17,))

    assert response.code == 17


async def test_requests_are_signed_when_there_are_credentials() -> None:
    network = Network()
    account = Credentials("key", "secret")
    async with pool_on(network, ClientSettings(credentials=account)) as pool:
        await pool.call(A, WRITE)
        await pool.send_one_way(A, WRITE)

    fields = signed(WRITE, account).ext_fields
    assert [request.ext_fields for request in network.wires[0].requests] == [fields, fields]


async def test_one_way_requests_wait_for_no_answer() -> None:
    network = Network(silence)
    async with pool_on(network) as pool:
        await pool.send_one_way(A, WRITE)

    (request,) = network.wires[0].requests
    assert (request.is_one_way, request.body) == (True, b"a=b")
    assert now_s() == 0


async def test_a_refused_line_is_a_connect_error_and_leaves_nothing() -> None:
    network = Network()
    network.refusing = {A}
    async with pool_on(network) as pool:
        with pytest.raises(ConnectError, match=rf"^{A}: refused$"):
            await pool.call(A, WRITE)

        assert repr(pool) == "<Pool of 0 addresses, []>"
        network.refusing = set()
        assert isinstance(await outcome(pool), Response)


async def test_a_failed_attempt_is_the_answer_to_all_who_waited_for_it() -> None:
    network = Network(connect_s=2)
    network.refusing = {A}
    async with pool_on(network) as pool:
        answers = await outcomes(pool, [READ] * 10)

        assert now_s() == 2
        assert [str(answer) for answer in answers] == [f"{A}: refused"] * 10
        assert network.attempts == [A]
        await outcome(pool)
        assert network.attempts == [A, A]


async def test_connecting_is_given_up_after_its_own_time_or_the_calls() -> None:
    network = Network(connect_s=1000)
    async with pool_on(network, ClientSettings(connect_timeout_s=3)) as pool:
        slow = await outcome(pool)
        assert now_s() == 3
        short = await outcome(pool, timeout_s=1)
        assert now_s() == 4

    assert str(slow) == f"{A}: cannot connect within 3 s"
    assert isinstance(slow, ConnectError)
    assert str(short) == f"{A}: the time ran out while connecting"
    assert isinstance(short, NoAnswerError)


async def test_a_silent_line_costs_its_time_and_is_not_used_again() -> None:
    network = Network(silence)
    async with pool_on(network) as pool:
        error = await outcome(pool, timeout_s=4)
        assert now_s() == 4
        network.script = echo
        assert isinstance(await outcome(pool), Response)

    assert str(error) == f"{A}: no answer to GET_BROKER_CONFIG (26) in time"
    assert [wire.ended for wire in network.wires] == ["aborted", "closed"]


async def test_a_silent_line_is_kept_for_calls_that_still_have_time() -> None:
    network = Network(lambda wire, request: wire.answer(request, after_s=8))
    async with pool_on(network) as pool, asyncio.TaskGroup() as group:
        patient = group.create_task(outcome(pool, timeout_s=10))
        assert isinstance(await outcome(pool, timeout_s=1), NoAnswerError)
        network.script = echo
        assert isinstance(await outcome(pool), Response)
        assert isinstance(await patient, Response)
        await asyncio.sleep(0)  # the transport tells of its end in the next round of the loop
        assert [wire.ended for wire in network.wires] == ["aborted", ""]


async def test_a_late_answer_is_dropped_and_a_line_that_lives_is_kept() -> None:
    def one_is_slow(wire: Wire, request: Frame) -> None:
        wire.answer(request, after_s=3 if request.body == b"0" else 0.5, body=request.body)

    network = Network(one_is_slow)
    async with pool_on(network) as pool:
        async with asyncio.TaskGroup() as group:
            slow = group.create_task(outcome(pool, numbered(0), timeout_s=2))
            fast = group.create_task(outcome(pool, numbered(1), timeout_s=2))
        await asyncio.sleep(5)
        later = await outcome(pool, numbered(2))

    assert isinstance(slow.result(), NoAnswerError)
    assert [getattr(answer, "body", None) for answer in (fast.result(), later)] == [b"1", b"2"]
    assert len(network.wires) == 1


async def test_an_idle_line_closes_before_the_server_would_close_it() -> None:
    network = Network()
    async with pool_on(network) as pool:
        for _ in range(5):  # used once in 50 s it stays
            await outcome(pool)
            await asyncio.sleep(50)
        assert len(network.open_wires) == 1

        await asyncio.sleep(60)
        assert network.open_wires == []
        assert repr(pool) == "<Pool of 0 addresses, []>"

        await outcome(pool)
        assert len(network.wires) == 2


async def test_an_idle_line_is_not_kept_for_what_its_server_does_not_read() -> None:
    network = Network(silence)
    async with pool_on(network) as pool:
        await pool.send_one_way(A, READ)
        network.wires[0].reading = False
        await pool.send_one_way(A, WRITE)
        await asyncio.sleep(61)
        assert network.wires[0].ended == "aborted"


async def test_an_answered_call_leaves_no_timer() -> None:
    async with pool_on(Network()) as pool:
        for _ in range(10):
            await outcome(pool, timeout_s=1000)
        loop = asyncio.get_running_loop()
        later = [timer for timer in loop._scheduled if timer.when() > 900]
        assert [timer for timer in later if not timer.cancelled()] == []


async def test_a_line_in_use_is_never_idle() -> None:
    network = Network()
    async with pool_on(network) as pool:
        await outcome(pool)
        await asyncio.sleep(30)
        network.script = lambda wire, request: wire.answer(request, after_s=500)
        assert isinstance(await outcome(pool, timeout_s=600), Response)
        await asyncio.sleep(59)
        assert len(network.open_wires) == 1
        await asyncio.sleep(2)
        assert network.open_wires == []


async def test_a_server_that_does_not_read_takes_no_memory() -> None:
    network = Network()
    big = Request(RequestCode.UPDATE_BROKER_CONFIG, body=bytes(100_000))
    async with pool_on(network) as pool:
        await outcome(pool)
        wire = network.wires[0]
        wire.stop_reading()
        answers = await outcomes(pool, [big] * 100)

    # 32 at a time wait to write until their time is over; the line is then given up.
    assert {type(answer) for answer in answers} == {NoAnswerError}
    assert wire.get_write_buffer_size() == 0
    assert now_s() == 5


async def test_requests_go_on_when_the_server_reads_again() -> None:
    network = Network()
    async with pool_on(network) as pool, asyncio.TaskGroup() as group:
        await outcome(pool)
        network.wires[0].stop_reading()
        waiting = group.create_task(outcome(pool, WRITE))
        await asyncio.sleep(4)
        network.wires[0].read_again()
        assert isinstance(await waiting, Response)
        assert len(network.wires) == 1


async def test_those_who_wait_to_write_check_again_when_another_was_first() -> None:
    def one_at_a_time(wire: Wire, request: Frame) -> None:
        wire.stop_reading()
        asyncio.get_running_loop().call_later(1, wire.read_again)
        echo(wire, request)

    network = Network(one_at_a_time)
    async with pool_on(network) as pool:
        await outcomes(pool, [READ] * 4)
        assert now_s() == 3
        assert len(network.wires[0].requests) == 4


async def test_no_more_calls_are_under_way_than_allowed_and_the_others_wait_in_their_time() -> None:
    network = Network(lambda wire, request: wire.answer(request, after_s=2))
    async with pool_on(network, ClientSettings(calls_per_address=2)) as pool:
        answers = await outcomes(pool, [READ] * 5)

    assert [type(answer) for answer in answers] == [Response] * 4 + [NoAnswerError]
    assert len(network.wires[0].requests) == 5

    network = Network(silence)
    async with pool_on(network, ClientSettings(calls_per_address=2)) as pool:
        answers = await outcomes(pool, [READ] * 5)

    assert str(answers[4]) == f"{A}: the time ran out before its turn"
    assert len(network.wires[0].requests) == 2


async def test_garbage_fails_all_calls_of_the_line_and_the_next_has_a_new_one() -> None:
    network = Network(lambda wire, _request: wire.give(b"HTTP/1.1 400 Bad Request\r\n"))
    async with pool_on(network) as pool:
        answers = await outcomes(pool, [READ, WRITE])
        network.script = echo
        assert isinstance(await outcome(pool), Response)

    assert {type(answer) for answer in answers} == {ProtocolError}
    assert str(answers[0]).startswith(f"{A}: a frame of 1213486160 bytes is announced")
    assert [wire.ended for wire in network.wires] == ["aborted", "closed"]


async def test_what_a_server_asks_is_refused_unless_it_does_not_read() -> None:
    network = Network()
    ask = frame_bytes(Frame(307, 99, 0))
    async with pool_on(network) as pool:
        await outcome(pool)
        wire = network.wires[0]
        wire.give(ask)
        await asyncio.sleep(1)
        assert [(frame.code, frame.opaque, frame.flag) for frame in wire.requests[1:]] == [
            (3, 99, 1)
        ]

        wire.stop_reading()
        wire.give(ask * 1000)
        await asyncio.sleep(1)
        assert wire.get_write_buffer_size() == 0


async def test_closing_fails_the_calls_that_wait_and_refuses_new_ones() -> None:
    network = Network(silence)
    pool = pool_on(network)
    async with asyncio.TaskGroup() as group:
        async with pool:
            waiting = group.create_task(outcome(pool))
            await asyncio.sleep(1)
        error = await waiting

    assert str(error) == f"{A}: closed by this side"
    assert network.open_wires == []
    with pytest.raises(RuntimeError):
        await pool.call(A, READ)


async def test_a_call_that_waits_for_its_turn_opens_no_line_after_closing() -> None:
    network = Network(silence)
    pool = pool_on(network, ClientSettings(calls_per_address=1))
    async with asyncio.TaskGroup() as group:
        async with pool:
            calls = [group.create_task(outcome(pool)) for _ in range(2)]
            await asyncio.sleep(1)
        errors = [await call for call in calls]

    assert [str(error) for error in errors] == [
        f"{A}: closed by this side",
        f"{A}: the pool was closed",
    ]
    assert len(network.wires) == 1


async def test_closing_while_a_line_opens_leaves_no_line() -> None:
    network = Network(connect_s=2)
    pool = pool_on(network)
    async with asyncio.TaskGroup() as group:
        async with pool:
            waiting = group.create_task(outcome(pool))
            await asyncio.sleep(1)
        assert now_s() == 1
        error = await waiting
    await asyncio.sleep(1)

    assert isinstance(error, ConnectError)
    assert network.open_wires == []


async def test_closing_gives_up_on_a_server_that_does_not_read() -> None:
    network = Network(silence)
    async with pool_on(network) as pool:
        await pool.send_one_way(A, READ)
        network.wires[0].reading = False  # takes nothing, but there is room in the buffers yet
        await pool.send_one_way(A, WRITE)

    assert now_s() == 1
    assert network.wires[0].ended == "aborted"


async def test_a_pool_is_used_between_entering_and_leaving() -> None:
    with pytest.raises(RuntimeError):
        await pool_on(Network()).call(A, READ)
