from __future__ import annotations

from collections.abc import Collection

import pytest

from reconcilers.guarded_caller import GuardedCaller
from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode


class NotLeadingError(Exception):
    pass


class Server:
    """Answers everything and remembers what came."""

    def __init__(self) -> None:
        self.came: list[int] = []

    async def call(
        self,
        _address: str,
        request: Request,
        *,
        timeout_s: float = 5.0,
        allow: Collection[int] = (),
    ) -> Response:
        assert timeout_s > 0
        assert not allow
        self.came.append(request.code)
        return Response(0, "", {}, b"", 0)

    async def send_one_way(self, _address: str, request: Request) -> None:
        self.came.append(request.code)


def refuse() -> None:
    raise NotLeadingError


async def test_a_standby_may_ask() -> None:
    server = Server()
    await GuardedCaller(server, refuse).call("a:1", Request(RequestCode.GET_BROKER_CONFIG))
    assert server.came == [RequestCode.GET_BROKER_CONFIG]


async def test_a_standby_may_not_tell() -> None:
    server = Server()
    caller = GuardedCaller(server, refuse)
    with pytest.raises(NotLeadingError):
        await caller.call("a:1", Request(RequestCode.UPDATE_BROKER_CONFIG))
    with pytest.raises(NotLeadingError):
        await caller.send_one_way("a:1", Request(RequestCode.UPDATE_BROKER_CONFIG))
    assert server.came == []


async def test_a_leader_tells() -> None:
    server = Server()
    caller = GuardedCaller(server, lambda: None)
    await caller.call("a:1", Request(RequestCode.UPDATE_BROKER_CONFIG))
    assert server.came == [RequestCode.UPDATE_BROKER_CONFIG]
