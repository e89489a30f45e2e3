"""A caller that signs what it passes on: for servers that ask who is calling."""

from __future__ import annotations

from collections.abc import Collection

from rocketmq.acl import Credentials, signed
from rocketmq.calls import Caller, Request, Response


class SigningCaller:
    """Passes calls on in the name of an account."""

    def __init__(self, caller: Caller, credentials: Credentials) -> None:
        self._caller = caller
        self._credentials = credentials

    async def call(
        self,
        address: str,
        request: Request,
        *,
        timeout_s: float = 5.0,
        allow: Collection[int] = (),
    ) -> Response:
        """See `rocketmq.calls.Caller`."""
        request = signed(request, self._credentials)
        return await self._caller.call(address, request, timeout_s=timeout_s, allow=allow)

    async def send_one_way(self, address: str, request: Request) -> None:
        """See `rocketmq.calls.Caller`."""
        await self._caller.send_one_way(address, signed(request, self._credentials))
