"""A caller of RocketMQ's servers that changes nothing unless this process may act.

Two operators may both ask; only the holder of the Lease tells (`controller.leader_term`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from rocketmq.calls import Caller, Request, Response
from rocketmq.codes import READS


class GuardedCaller:
    """Passes calls on; before each that is no read it asks `before_write`, which may raise."""

    def __init__(self, caller: Caller, before_write: Callable[[], None]) -> None:
        self._caller = caller
        self._before_write = before_write

    async def call(
        self,
        address: str,
        request: Request,
        *,
        timeout_s: float = 5.0,
        allow: Collection[int] = (),
    ) -> Response:
        """See `rocketmq.calls.Caller`."""
        if request.code not in READS:
            self._before_write()
        return await self._caller.call(address, request, timeout_s=timeout_s, allow=allow)

    async def send_one_way(self, address: str, request: Request) -> None:
        """See `rocketmq.calls.Caller`."""
        self._before_write()
        await self._caller.send_one_way(address, request)
