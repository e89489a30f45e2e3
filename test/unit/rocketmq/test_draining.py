"""How a broker is asked for its backlog: everything, once, and no error is a zero."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from fakes.rocketmq_caller import ScriptedCaller, answer, by_code
from fakes.rocketmq_tables import runtime_info
from rocketmq.admin import Admin
from rocketmq.backlog import Delay, Left, Waiting
from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode
from rocketmq.draining import read_backlog, read_consumers
from rocketmq.errors import ProtocolError, RocketmqError, ServerFaultError, TopicNotExistError

_TOPICS = {
    name: {"topicName": name, "perm": 6, "readQueueNums": 3, "writeQueueNums": 1}
    for name in ("t", "u", "SCHEDULE_TOPIC_XXXX", "broker-a")
}
_ENDS = {"t": 5, "u": 2, "SCHEDULE_TOPIC_XXXX": 3}
_RUNTIME = msgspec.json.encode({"table": runtime_info().table})


def _stats(request: Request) -> Response:
    topic = request.ext_fields["topic"]
    queue = f'{{"brokerName":"broker-a","queueId":0,"topic":"{topic}"}}'
    offsets = f'{{"maxOffset":{_ENDS[topic]},"minOffset":0}}'
    return answer(f'{{"offsetTable":{{{queue}:{offsets}}}}}'.encode())


def _end(request: Request) -> Response:
    upper = (request.ext_fields["topic"], request.ext_fields["queueId"]) == ("t", "2")
    return answer(offset="4" if upper else "0")


_ANSWERS: dict[int, Response | Callable[[Request], Response]] = {
    RequestCode.GET_BROKER_RUNTIME_INFO: answer(_RUNTIME),
    RequestCode.GET_BROKER_CONFIG: answer(b"brokerPermission=4\n"),
    RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER: answer(b'{"topicList":["broker-a"]}'),
    RequestCode.GET_ALL_TOPIC_CONFIG: answer(msgspec.json.encode({"topicConfigTable": _TOPICS})),
    RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG: answer(
        b'{"subscriptionGroupTable":{"g":{"groupName":"g"},"TOOLS_CONSUMER":{"groupName":"x"}}}'
    ),
    RequestCode.GET_ALL_CONSUMER_OFFSET: answer(b'{"offsetTable":{"t@g":{0:4}}}'),
    RequestCode.GET_CONSUMER_CONNECTION_LIST: answer(code=206, remark="not online"),
    RequestCode.GET_TOPIC_STATS_INFO: _stats,
    RequestCode.GET_MAX_OFFSET: _end,
    RequestCode.GET_MIN_OFFSET: answer(offset="0"),
    RequestCode.GET_ALL_DELAY_OFFSET: answer(b'{"offsetTable":{1:1}}'),
}


def _broker(**changed: Response) -> tuple[Admin, ScriptedCaller]:
    answers = _ANSWERS | {RequestCode[name]: one for name, one in changed.items()}
    caller = ScriptedCaller({"b:1": by_code(answers)})
    return Admin(caller), caller


async def test_a_broker_is_asked_for_everything() -> None:
    admin, caller = _broker()
    found = await read_backlog(admin, "b:1")
    # The upper queue of t is not in its statistics: 4.9 and 5.2 leave those out.
    assert found.waiting == (
        Waiting(topic="t", group="g", messages=5, online=False, queues={0: 1, 2: 4}),
    )
    assert found.unread == (Left("u", 2),)
    assert found.delays == (Delay(1, 1, 3),)
    asked = caller.codes("b:1")
    assert asked.count(RequestCode.GET_CONSUMER_CONNECTION_LIST) == 1
    assert asked.count(RequestCode.GET_TOPIC_STATS_INFO) == 3
    assert asked[-2:] == [RequestCode.GET_ALL_CONSUMER_OFFSET, RequestCode.GET_BROKER_RUNTIME_INFO]


async def test_consumers_of_other_brokers_may_come_to_this_one() -> None:
    admin, _ = _broker()
    assert await read_consumers(admin, ["b:1"]) == {("t", "g")}
    found = await read_backlog(admin, "b:1", elsewhere={("u", "late")})
    assert [(row.topic, row.group) for row in found.waiting] == [("t", "g"), ("u", "late")]
    assert found.unread == ()
    with pytest.raises(RocketmqError, match="c:1"):
        await read_consumers(admin, ["b:1", "c:1"])


async def test_a_broker_is_asked_for_some_topics() -> None:
    admin, _ = _broker()
    found = await read_backlog(admin, "b:1", topics={"u"})
    assert found.waiting == ()
    assert found.unread == (Left("u", 2),)


@pytest.mark.parametrize("code", [RequestCode(code) for code in _ANSWERS], ids=lambda one: one.name)
async def test_whatever_is_not_said_is_an_error(code: RequestCode) -> None:
    admin, _ = _broker(**{code.name: answer(code=1, remark="broken")})
    with pytest.raises(ServerFaultError, match="b:1"):
        await read_backlog(admin, "b:1")


async def test_a_topic_that_goes_while_it_is_looked_at_is_an_error() -> None:
    admin, _ = _broker(GET_TOPIC_STATS_INFO=answer(code=17, remark="no topic"))
    with pytest.raises(TopicNotExistError):
        await read_backlog(admin, "b:1")


@pytest.mark.parametrize("key", ["popConsumerKVServiceEnable", "timerRocksDBEnable"])
async def test_what_nobody_can_ask_for_is_an_error(key: str) -> None:
    admin, _ = _broker(GET_BROKER_CONFIG=answer(f"{key}=true\n".encode()))
    with pytest.raises(ProtocolError, match=key):
        await read_backlog(admin, "b:1")
    admin, _ = _broker(GET_BROKER_CONFIG=answer(f"{key}=false\n".encode()))
    await read_backlog(admin, "b:1")


async def test_a_figure_that_is_missing_is_an_error_with_the_address() -> None:
    table = runtime_info().table
    del table["timerCongestNum"]
    runtime = answer(msgspec.json.encode({"table": table}))
    admin, _ = _broker(GET_BROKER_RUNTIME_INFO=runtime)
    with pytest.raises(RocketmqError, match=r"^b:1: .*timerCongestNum"):
        await read_backlog(admin, "b:1")
