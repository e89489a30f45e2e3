from __future__ import annotations

import msgspec
import pytest

from fakes.rocketmq_caller import answer
from rocketmq.errors import ProtocolError
from rocketmq.messages.operation import body_as, field_number, field_text, header


class _Leaf(msgspec.Struct, frozen=True, rename="camel"):
    some_number: int = 0


class _Tree(msgspec.Struct, frozen=True, rename="camel"):
    first: _Leaf = _Leaf()
    second: _Leaf = _Leaf()
    by_id: dict[int, str] = {}


def test_header_fields_are_text_and_a_missing_one_is_left_out() -> None:
    assert header(a="x", b=1, c=True, d=False, e=None) == {
        "a": "x",
        "b": "1",
        "c": "true",
        "d": "false",
    }


@pytest.mark.parametrize(
    "body",
    [
        b'{"byId":{"0":"a"},"first":{"someNumber":"3"},"unknown":1}',
        b'{"byId":{0:"a"},"first":{"someNumber":3}}',
    ],
)
def test_standard_json_and_the_dialect_read_alike(body: bytes) -> None:
    assert body_as(_Tree, body) == _Tree(first=_Leaf(3), by_id={0: "a"})


def test_a_reference_in_valid_json_is_resolved_and_not_taken_for_an_empty_object() -> None:
    body = b'{"first":{"someNumber":3},"second":{"$ref":"$.first"}}'
    assert body_as(_Tree, body).second == _Leaf(3)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"first":3}', b"{", b"\xff", b'{"byId":{"x":"a"}}'])
def test_a_body_of_another_shape_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        body_as(_Tree, body)


def test_a_missing_or_odd_header_field_is_a_protocol_error() -> None:
    response = answer(offset="12", other="twelve")
    assert field_number(response, "offset") == 12
    assert field_number(response, "none", default=0) == 0
    with pytest.raises(ProtocolError, match="none"):
        field_text(response, "none")
    with pytest.raises(ProtocolError, match="twelve"):
        field_number(response, "other")


def test_a_body_that_is_nothing_but_depth_is_an_error_of_the_protocol() -> None:
    with pytest.raises(ProtocolError):
        body_as(_Tree, b'{"unknown":' + b"[" * 100_000)
