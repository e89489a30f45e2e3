"""The simulated broker's answers read as those of real ones (conformance/test_backlog.py)."""

from __future__ import annotations

from fakes.rocketmq_caller import ScriptedCaller, answer
from fakes.rocketmq_tables import runtime_info
from fakes.rocketmq_world_backlog import GROUP, TOPIC, Held
from fakes.rocketmq_world_backlog import answer as backlog_answer
from rocketmq.admin import Admin
from rocketmq.backlog import Backlog, Delay, Waiting
from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode
from rocketmq.draining import read_backlog
from rocketmq.frames import Frame


async def _looked_at(held: Held | None) -> Backlog:
    table = answer(_json(runtime_info().table))

    def script(request: Request) -> Response:
        if request.code == RequestCode.GET_BROKER_RUNTIME_INFO:
            return table
        if request.code == RequestCode.GET_BROKER_CONFIG:
            return answer(b"")
        frame = Frame(request.code, 1, 0, 479, "", dict(request.ext_fields))
        found = backlog_answer(held, "broker-0", frame)
        assert found is not None, request
        code, remark, fields, body = found
        return Response(code, remark, fields, body, 479)

    return await read_backlog(Admin(ScriptedCaller({"b:1": script})), "b:1")


def _json(table: dict[str, str]) -> bytes:
    pairs = ",".join(f'"{key}":"{value}"' for key, value in table.items())
    return f'{{"table":{{{pairs}}}}}'.encode()


async def test_a_group_that_no_test_spoke_of_holds_nothing() -> None:
    assert (await _looked_at(None)).messages == 0


async def test_what_is_held_is_what_a_look_finds() -> None:
    held = Held(end=5, committed=2, delayed=[10.0, 20.0])
    found = await _looked_at(held)
    assert found.waiting == (
        Waiting(topic=TOPIC, group=GROUP, messages=3, online=True, queues={0: 3}),
    )
    assert found.delays == (Delay(1, 0, 2),)
    assert found.messages == held.left == 5
    held.online = False
    assert [row.online for row in (await _looked_at(held)).waiting] == [False]


async def test_messages_are_delivered_and_consumed() -> None:
    held = Held(delayed=[10.0, 20.0])
    assert (held.deliver(9.0), held.deliver(10.0), held.left) == (0, 1, 2)
    assert (await _looked_at(held)).delays == (Delay(1, 1, 2),)
    held.consume()
    assert (held.deliver(99.0), held.left) == (1, 1)
    held.consume()
    assert (await _looked_at(held)).messages == 0


def test_other_questions_are_not_its_own() -> None:
    frame = Frame(RequestCode.GET_BROKER_CONFIG, 1, 0, 479)
    assert backlog_answer(Held(), "broker-0", frame) is None
