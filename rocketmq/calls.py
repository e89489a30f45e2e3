"""What is asked of a server and what it answers, as values; and who can carry the question. Pure.

No value shows its body, a signature or a security token when printed: bodies of user management
hold passwords.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec

from rocketmq.codes import request_name, response_name

_HIDDEN = frozenset({"Signature", "SecurityToken"})


class Request(msgspec.Struct, frozen=True):
    """One operation: `ext_fields` is its typed header as text, `body` whatever it defines."""

    code: int
    ext_fields: dict[str, str] = {}
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Request({request_name(self.code)}, {_printable(self.ext_fields, self.body)})"


class Response(msgspec.Struct, frozen=True):
    """A server's answer; `version` is the MQVersion ordinal of the server (controllers send 0).

    A remark is no sign of an error: only `code` is.
    """

    code: int
    remark: str
    ext_fields: dict[str, str]
    body: bytes
    version: int

    def __repr__(self) -> str:
        shown = _printable(self.ext_fields, self.body)
        return f"Response({response_name(self.code)}, {self.remark!r}, {shown})"


class Caller(Protocol):
    """Carries requests to servers; addresses are `host:port`, as routes and name servers give them.

    Cancelling a call is safe at any moment: the line stays usable, the answer is dropped.
    """

    async def call(
        self,
        address: str,
        request: Request,
        *,
        timeout_s: float = 5.0,
        allow: Collection[int] = (),
    ) -> Response:
        """The answer, within `timeout_s` in all.

        Raises RocketmqError: the class of the response's code unless it is SUCCESS or in `allow`,
        or what went wrong on the way.
        """
        ...

    async def send_one_way(self, address: str, request: Request) -> None:
        """Hand the request to the network; no server says whether it came.

        Raises RocketmqError when not even that was possible.
        """
        ...


def _printable(ext_fields: dict[str, str], body: bytes) -> str:
    shown = {key: "..." if key in _HIDDEN else value for key, value in ext_fields.items()}
    return f"{shown}, body of {len(body)} bytes"
