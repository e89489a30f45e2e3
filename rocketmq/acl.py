"""Signatures of ACL 1.0 and 2.0, which are the same. Pure.

Only brokers and proxies look at them; name servers and controllers accept and ignore them.
"""

from __future__ import annotations

import base64
import hmac

import msgspec

from rocketmq.calls import Request

_SIGNATURE = "Signature"


class Credentials(msgspec.Struct, frozen=True):
    """An account; nothing secret shows when it is printed."""

    access_key: str
    secret_key: str
    security_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r}, ...)"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("access_key", self.access_key)]


def signed(request: Request, credentials: Credentials) -> Request:
    """The request with who asks and the proof; it covers all fields and the body, so sign last."""
    fields = {key: value for key, value in request.ext_fields.items() if key != _SIGNATURE}
    fields["AccessKey"] = credentials.access_key
    if credentials.security_token:
        fields["SecurityToken"] = credentials.security_token
    content = "".join(fields[key] for key in sorted(fields)).encode() + request.body
    proof = hmac.digest(credentials.secret_key.encode(), content, "sha1")
    fields[_SIGNATURE] = base64.b64encode(proof).decode()
    return Request(request.code, fields, request.body)
