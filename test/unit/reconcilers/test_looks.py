"""Looks at masters that leave: only at those, and not more often than they bear."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

import msgspec
import pytest

from fakes.gate_facts import M0, M1, NOW, Seen, a_broker, broker_facts, seen
from reconcilers.api.broker import Broker
from reconcilers.facts import BrokerFacts, Look, Silence
from reconcilers.looks import AGAIN_S, Looks
from rocketmq.admin import Admin
from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode
from rocketmq.errors import ConnectError

_RUNTIME = {
    "brokerVersionDesc": "V5_3_3",
    "commitLogMaxOffset": "7",
    "dispatchBehindBytes": "0",
    "timerOffsetBehind": "0",
    "timerCongestNum": "0",
}
_BODIES: Mapping[int, object] = {
    RequestCode.GET_BROKER_RUNTIME_INFO: {"table": _RUNTIME},
    RequestCode.GET_BROKER_CONFIG: {},
    RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER: {"topicList": []},
    RequestCode.GET_ALL_TOPIC_CONFIG: {"topicConfigTable": {}},
    RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG: {"subscriptionGroupTable": {}},
    RequestCode.GET_ALL_CONSUMER_OFFSET: {"offsetTable": {}},
    RequestCode.GET_ALL_DELAY_OFFSET: {"offsetTable": {}},
}


class Caller:
    """Brokers without a topic; those in `away` are not there."""

    def __init__(self, *, took_s: float = 0.0) -> None:
        self.away: set[str] = set()
        self.asked: list[str] = []
        self._took_s = took_s

    async def call(
        self,
        address: str,
        request: Request,
        *,
        timeout_s: float = 5.0,
        allow: Collection[int] = (),
    ) -> Response:
        if request.code == RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER:
            self.asked.append(address)
            await asyncio.sleep(self._took_s)
        if address in self.away:
            raise ConnectError("refused", address=address)
        return Response(0, "", {}, msgspec.json.encode(_BODIES[request.code]), 479)

    async def send_one_way(self, address: str, request: Request) -> None:
        raise AssertionError(f"{address}: nobody sends {request}")


def _leaving(
    servers: Mapping[str, Seen] | None = None, **surplus: Seen
) -> tuple[Broker, BrokerFacts]:
    cr = a_broker(1, 0)
    return cr, broker_facts(cr, servers, surplus=surplus or {M1: Seen()})


async def _at(looks: Looks, caller: Caller, given: tuple[Broker, BrokerFacts]) -> dict[str, object]:
    await looks.renew(Admin(caller), *given, NOW)
    return dict(looks.known(*given))


async def test_only_masters_that_leave_are_looked_at() -> None:
    caller, looks = Caller(), Looks()
    cr = a_broker(2, 0)
    assert await _at(looks, caller, (cr, broker_facts(cr))) == {}
    found = await _at(looks, caller, _leaving())
    look = found[M1]
    assert isinstance(look, Look)
    assert (look.at, look.backlog.log_end, look.backlog.messages) == (NOW, 7, 0)
    assert caller.asked == [f"ip-of-{M1}:10911"]


@pytest.mark.looptime
async def test_a_look_is_kept_for_a_while() -> None:
    caller, looks = Caller(), Looks()
    await _at(looks, caller, _leaving())
    await asyncio.sleep(AGAIN_S - 0.1)
    await _at(looks, caller, _leaving())
    assert len(caller.asked) == 1
    await asyncio.sleep(0.2)
    await _at(looks, caller, _leaving())
    assert len(caller.asked) == 2


@pytest.mark.looptime
async def test_a_dear_look_is_kept_for_longer() -> None:
    caller, looks = Caller(took_s=5.0), Looks()
    await _at(looks, caller, _leaving())
    await asyncio.sleep(49)
    await _at(looks, caller, _leaving())
    assert len(caller.asked) == 1


@pytest.mark.looptime
async def test_a_look_that_takes_for_ever_is_none() -> None:
    found = await _at(Looks(), Caller(took_s=3600.0), _leaving())
    assert found[M1] == Silence("no complete answer within 60 s")


async def test_of_a_broker_that_does_not_answer_nothing_is_known() -> None:
    caller = Caller()
    given = _leaving(**{M1: seen(silent=True)})
    assert await _at(Looks(), caller, given) == {}
    caller.away.add(f"ip-of-{M1}:10911")
    found = await _at(Looks(), caller, _leaving())
    assert isinstance(found[M1], Silence)


async def test_it_is_told_whether_a_look_was_made_for_it_may_take_long() -> None:
    caller, looks = Caller(), Looks()
    assert await looks.renew(Admin(caller), *_leaving(), NOW)
    assert not await looks.renew(Admin(caller), *_leaving(), NOW)
    other = _leaving(**{M1: seen(uid="of another pod")})
    assert looks.known(*other) == {}
    assert await looks.renew(Admin(caller), *other, NOW)


async def test_who_consumes_at_a_group_that_stays_has_to_be_known() -> None:
    caller = Caller()
    found = await _at(Looks(), caller, _leaving({M0: seen(silent=True)}))
    assert found[M1] == Silence(f"{M0} does not say who consumes there")
    caller.away.add(f"ip-of-{M0}:10911")
    found = await _at(Looks(), caller, _leaving())
    assert isinstance(found[M1], Silence)
