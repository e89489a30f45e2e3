from __future__ import annotations

import msgspec
import pytest

from rocketmq.acl import Credentials, signed
from rocketmq.calls import Request, Response

ACCOUNT = Credentials("RocketMQ", "12345678")


@pytest.mark.parametrize(
    ("request_", "credentials", "signature"),
    [
        # Expected: `openssl dgst -sha1 -hmac 12345678 -binary | base64` of the text at the right.
        (Request(28), ACCOUNT, "IUc8rrO/0gDch8CjObLQsW2rsiA="),  # RocketMQ
        # RocketMQfalse6t1
        (
            Request(17, {"topic": "t1", "perm": "6", "order": "false"}),
            ACCOUNT,
            "rpWoXmjgr/5nzzb+eZIrhnHPAzo=",
        ),
        # RocketMQa=b and a line end
        (Request(25, {}, b"a=b\n"), ACCOUNT, "ZtDXbYPzMdYQDpfPxrzA3tiVk7k="),
        # RocketMQtokené
        (
            Request(28, {"Zulu": "é"}),
            Credentials("RocketMQ", "12345678", "token"),
            "FUGJo79CwMXjkFIngGbYvDTXbgo=",
        ),
    ],
)
def test_the_signature_covers_values_in_the_order_of_their_keys_then_the_body(
    request_: Request, credentials: Credentials, signature: str
) -> None:
    assert signed(request_, credentials).ext_fields["Signature"] == signature


def test_who_asks_is_said_and_nothing_else_changes() -> None:
    request = Request(25, {"a": "b", "Signature": "old"}, b"body")

    result = signed(request, Credentials("key", "secret", "token"))

    assert result == Request(
        25,
        {
            "a": "b",
            "AccessKey": "key",
            "SecurityToken": "token",
            "Signature": result.ext_fields["Signature"],
        },
        b"body",
    )
    assert request == Request(25, {"a": "b", "Signature": "old"}, b"body")


def test_signing_again_changes_nothing() -> None:
    once = signed(Request(28, {"a": "b"}), ACCOUNT)

    assert signed(once, ACCOUNT) == once


def test_nothing_secret_is_printed() -> None:
    credentials = Credentials("key", "s3cret", "t0ken")
    request = signed(Request(3001, {"username": "u"}, b'{"password":"s3cret"}'), credentials)
    response = Response(0, "", {}, b'{"password":"s3cret"}', 479)

    class Holder(msgspec.Struct):
        inside: object

    shown = " ".join(
        [
            repr(credentials),
            str(credentials),
            f"{credentials.__rich_repr__()}",
            repr(Holder(credentials)),
            repr(request),
            repr(response),
        ]
    )

    assert "s3cret" not in shown
    assert "t0ken" not in shown
    assert request.ext_fields["Signature"] not in shown
    assert "AUTH_CREATE_USER (3001)" in shown
