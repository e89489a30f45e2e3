"""Bodies are those that real servers sent."""

from __future__ import annotations

from fakes.rocketmq_caller import answer
from rocketmq.fastjson import MessageQueue
from rocketmq.messages import offsets


def test_a_missing_offset_is_none() -> None:
    operation = offsets.committed_offset("g1", "t1", 0)
    assert operation.answer(answer(code=22)) is None
    assert operation.answer(answer(offset="7")) == 7


def test_all_offsets_are_found_by_topic_and_group() -> None:
    table = offsets.all_offsets().answer(answer(b'{"offsetTable":{"t1@cg1":{0:2,3:5}}}'))
    assert table.of("t1", "cg1") == {0: 2, 3: 5}
    assert table.of("t2", "cg1") == {}
    assert table.groups == ("cg1",)
    delayed = offsets.delay_offsets().answer(answer(b'{"offsetTable":{1:12,3:0}}'))
    assert delayed == {1: 12, 3: 0}


def test_reset_offsets_have_queues_for_keys() -> None:
    body = b'{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"t1"}:4}}'
    reset = offsets.reset_offsets("g1", "t1", -1, force=True)
    assert reset.answer(answer(body)) == {MessageQueue("t1", "b", 0): 4}
    assert reset.request.ext_fields == {
        "topic": "t1",
        "group": "g1",
        "timestamp": "-1",
        "isForce": "true",
    }
