"""Servers without a network: each address answers requests by a function of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import msgspec

from rocketmq.calls import Request, Response
from rocketmq.codes import MQVersion
from rocketmq.errors import ConnectError, for_code

Script = Callable[[Request], Response]


def answer(
    body: bytes = b"", *, code: int = 0, remark: str = "", version: int = 479, **fields: str
) -> Response:
    """A response, SUCCESS unless said otherwise."""
    return Response(code, remark, fields, body, version)


def unsupported(request: Request) -> Response:
    """What a server of another version says."""
    return answer(code=3, remark=f" request type {request.code} not supported")


def by_code(answers: Mapping[int, Response | Script], *, version: int = MQVersion.V5_3_3) -> Script:
    """A server that knows these codes."""

    def script(request: Request) -> Response:
        found = answers.get(request.code, unsupported)
        response = found if isinstance(found, Response) else found(request)
        return msgspec.structs.replace(response, version=version)

    return script


class ScriptedCaller:
    """A Caller; an address without a script is one where nobody listens."""

    def __init__(self, servers: Mapping[str, Script]) -> None:
        self._servers = dict(servers)
        self.requests: list[tuple[str, Request]] = []

    async def call(
        self,
        address: str,
        request: Request,
        *,
        timeout_s: float = 5.0,
        allow: Collection[int] = (),
    ) -> Response:
        """The script's answer, judged as the real pool judges it."""
        self.requests.append((address, request))
        if address not in self._servers:
            raise ConnectError("connection refused", address=address)
        response = self._servers[address](request)
        if response.code != 0 and response.code not in allow:
            raise for_code(response.code, response.remark, address)
        return response

    async def send_one_way(self, address: str, request: Request) -> None:
        """Remembered, like a call."""
        self.requests.append((address, request))

    def codes(self, address: str) -> list[int]:
        """What an address was asked."""
        return [request.code for asked, request in self.requests if asked == address]
