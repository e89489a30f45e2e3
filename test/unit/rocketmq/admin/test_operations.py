"""What the facade adds to messages: addresses in errors, second questions, gates."""

from __future__ import annotations

import inspect
import re

import pytest

from fakes.rocketmq_caller import Script, ScriptedCaller, answer, by_code, unsupported
from fakes.rocketmq_client import operations
from rocketmq.admin import Admin
from rocketmq.calls import Request, Response
from rocketmq.codes import MQVersion, RequestCode
from rocketmq.errors import (
    ConnectError,
    ProtocolError,
    ServerFaultError,
    SubscriptionGroupNotExistError,
    TopicNotExistError,
    UnsupportedError,
)
from rocketmq.messages.topics import TopicConfig

_TABLE = answer(
    b'{"topicConfigTable":{"t1":{"topicName":"t1","perm":4,"readQueueNums":1,'
    b'"writeQueueNums":1,"topicFilterType":"SINGLE_TAG","topicSysFlag":0,"order":false}}}'
)


def _admin(script: Script) -> tuple[Admin, ScriptedCaller]:
    caller = ScriptedCaller({"b:1": script})
    return Admin(caller), caller


async def test_an_answer_that_cannot_be_read_names_its_server() -> None:
    admin, _ = _admin(by_code({RequestCode.GET_ALL_TOPIC_CONFIG: answer(b"garbage")}))
    with pytest.raises(ProtocolError, match=r"^b:1: ") as caught:
        await admin.topics.all("b:1")
    assert caught.value.address == "b:1"


async def test_an_error_found_while_reading_names_its_server() -> None:
    broken = answer(code=1, remark="broken")
    admin, _ = _admin(by_code({RequestCode.GET_CONSUMER_LIST_BY_GROUP: broken}))
    with pytest.raises(ServerFaultError, match=r"^b:1: ") as caught:
        await admin.groups.consumer_ids("b:1", "g")
    assert caught.value.address == "b:1"


async def test_a_broker_that_cannot_give_one_topic_gives_all() -> None:
    admin, caller = _admin(by_code({RequestCode.GET_ALL_TOPIC_CONFIG: _TABLE}))
    found = await admin.topics.get("b:1", "t1")
    assert found == TopicConfig("t1", read_queue_nums=1, write_queue_nums=1, perm=4)
    assert caller.codes("b:1") == [351, 21]
    with pytest.raises(TopicNotExistError, match="b:1"):
        await admin.topics.get("b:1", "t2")


async def test_a_group_is_looked_up_in_the_table_for_asking_would_make_it() -> None:
    table = answer(b'{"subscriptionGroupTable":{"g1":{"groupName":"g1","retryMaxTimes":3}}}')
    script = by_code({RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG: table})
    admin, caller = _admin(script)
    assert (await admin.groups.get("b:1", "g1")).retry_max_times == 3
    with pytest.raises(SubscriptionGroupNotExistError, match="b:1"):
        await admin.groups.get("b:1", "g2")
    assert set(caller.codes("b:1")) == {201}


async def test_settings_are_read_back_after_a_change() -> None:
    kept = {"a": "1"}

    def change(request: Request) -> Response:
        key, _, value = request.body.decode().strip().partition("=")
        kept.update({key: value} if key in kept else {})
        return answer()

    def read(_: Request) -> Response:
        return answer("".join(f"{key}={value}\n" for key, value in kept.items()).encode())

    script = by_code(
        {RequestCode.UPDATE_BROKER_CONFIG: change, RequestCode.GET_BROKER_CONFIG: read}
    )
    admin, caller = _admin(script)
    assert (await admin.brokers.update_settings("b:1", {"a": "2"})).not_taken == {}
    assert (await admin.brokers.update_settings("b:1", {"b": "2"})).not_taken == {"b": None}
    assert (await admin.brokers.update_settings("b:1", {})).not_taken == {}
    assert caller.codes("b:1") == [25, 26, 25, 26, 26]


async def test_an_old_name_server_is_not_asked_what_it_would_not_answer() -> None:
    pair = {RequestCode.GET_KV_CONFIG: answer(code=22)}
    admin, caller = _admin(by_code(pair, version=MQVersion.V4_9_1))
    for ask in (
        admin.name_servers.add_write_permission("b:1", "broker-a"),
        admin.name_servers.broker_members("b:1", "C1", "broker-a"),
    ):
        with pytest.raises(UnsupportedError, match=r"b:1: .*4\.9\.1"):
            await ask
    assert set(caller.codes("b:1")) == {RequestCode.GET_KV_CONFIG}


async def test_no_broker_names_are_no_question_to_a_controller() -> None:
    admin, caller = _admin(unsupported)
    assert await admin.controllers.sync_states("b:1", []) == {}
    assert caller.requests == []


async def test_what_happens_on_the_way_comes_through() -> None:
    admin, _ = _admin(unsupported)
    with pytest.raises(ConnectError):
        await admin.topics.all("elsewhere:1")
    with pytest.raises(UnsupportedError):
        await admin.brokers.ha_status("b:1")


def test_every_operation_names_its_number_and_where_it_is_written() -> None:
    admin = Admin(ScriptedCaller({}))
    for name in operations():
        area, _, method = name.partition(".")
        text = inspect.getdoc(getattr(getattr(admin, area), method)) or ""
        assert re.search(r": \d+(, \d+)?(, or 21 on a broker before 5\.0)? \(\d\.\d\)", text), name
