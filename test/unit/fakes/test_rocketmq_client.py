from __future__ import annotations

import pytest

from fakes.rocketmq_caller import ScriptedCaller, answer, by_code
from fakes.rocketmq_client import Record, operations, recorded
from rocketmq.codes import RequestCode
from rocketmq.errors import ConnectError, UnsupportedError

_MISSING = frozenset({"brokers.epochs", "accounts.users"})


def _complete() -> Record:
    record = Record()
    record.succeeded |= operations() - _MISSING
    record.unsupported |= _MISSING
    return record


def test_nothing_is_omitted_when_all_was_called_or_refused() -> None:
    assert _complete().omissions(_MISSING) == []


@pytest.mark.parametrize("name", sorted(operations() - _MISSING))
def test_each_operation_that_was_not_called_is_named(name: str) -> None:
    record = _complete()
    record.succeeded.remove(name)
    assert record.omissions(_MISSING) == [f"{name} has not succeeded"]


@pytest.mark.parametrize("name", sorted(_MISSING))
def test_each_gate_that_was_not_checked_is_named(name: str) -> None:
    record = _complete()
    record.unsupported.remove(name)
    assert record.omissions(_MISSING) == [f"{name} should have been refused and was not asked for"]


def test_what_ends_otherwise_than_the_version_should_is_named() -> None:
    record = _complete()
    record.unsupported.add("topics.stats")
    record.succeeded.add("brokers.epochs")
    assert record.omissions(_MISSING) == [
        "brokers.epochs should not exist and succeeded",
        "topics.stats exists and was refused",
    ]


async def test_a_call_is_noted_by_how_it_ends() -> None:
    record = Record()
    server = by_code({RequestCode.DELETE_TOPIC_IN_BROKER: answer()})
    admin = recorded(ScriptedCaller({"b:1": server}), record)
    await admin.topics.delete("b:1", "t1")
    with pytest.raises(UnsupportedError):
        await admin.topics.stats("b:1", "t1")
    with pytest.raises(ConnectError):
        await admin.topics.all("nobody:1")
    assert (record.succeeded, record.unsupported) == ({"topics.delete"}, {"topics.stats"})
