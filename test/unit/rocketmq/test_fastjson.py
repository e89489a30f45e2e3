from __future__ import annotations

import contextlib
import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocketmq.errors import ProtocolError
from rocketmq.fastjson import DEPTH, MessageQueue, decode

# Written by fastjson 1.2.83 (RocketMQ 5.3.3): shared objects and keys of every kind.
SHARED = (
    r'{"m":{"n":{"by":{"%RETRY%c g.1\"q\\b-é":{"name":"r"},'
    r'7:{"$ref":"$.m.n.by.\\%RETRY\\%c\\ g\\.1\\\"q\\\\b\\-é"},'
    r'8:{"$ref":"$.m.n.by.\\%RETRY\\%c\\ g\\.1\\\"q\\\\b\\-é"},'
    r'{"brokerName":"b","queueId":0,"topic":"t"}:'
    r'{"$ref":"$.m.n.by.\\%RETRY\\%c\\ g\\.1\\\"q\\\\b\\-é"}},'
    r'"child":{"child":{"$ref":".."},"name":"c","self":{"$ref":".."}},'
    r'"list":[{"$ref":"$.m.n.by.\\%RETRY\\%c\\ g\\.1\\\"q\\\\b\\-é"},{"$ref":"$.m.n.child"}],'
    r'"name":"n","self":{"$ref":"@"}},"n2":{"$ref":"$.m.n"}}}'
)
KEYS = (
    r'{"m":{1:{"name":"n"},2:{"$ref":"$.m[1]"},3:{"$ref":"$.m[1]"},true:{"$ref":"$.m[1]"},1.5:2,'
    r'null:1,"c":1,[1,2]:3,"nan":null,"big":9223372036854775807,"bytes":"AQL/",'
    r'"ctl":"\u0001\u2028é\t/<\u007F😀","hm":{}},"z":{"$ref":"$.m[1]"}}'
)
PATHS = (
    r'{"m":{"k1":{8:{"name":"n"},{"brokerName":"b","queueId":0,"topic":"t"}:{"$ref":"$.m.k1.8"}},'
    r'"l":[{"$ref":"$.m.k1.8"}],"mq":{{"brokerName":"b","queueId":0,"topic":"t"}:{"name":"q"}}},'
    r'"z":{"$ref":"$.m.mq.MessageQueue\\ \\[topic\\=t\\,\\ brokerName\\=b\\,\\ queueId\\=0\\]"}}'
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
queues = st.builds(MessageQueue, texts, texts, st.integers(-1, 2**31 - 1))
bare_names = st.from_regex(r"-?[0-9]{1,12}|[A-Za-z_$][\w$]{0,8}", fullmatch=True)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            texts.filter(lambda key: key != "$ref") | bare_names | queues, inner, max_size=4
        )
    ),
    max_leaves=20,
)


def written(value: Any, draw: st.DrawFn) -> str:
    """The value as the dialect may write it: blanks anywhere, bare keys where a key allows it."""
    blank = draw(st.sampled_from(["", "", "", " ", "\n\t"]))
    if isinstance(value, dict):
        members = (
            f"{blank}{written_key(key, draw)}{blank}:{blank}{written(item, draw)}{blank}"
            for key, item in value.items()
        )
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(blank + written(item, draw) + blank for item in value) + "]"
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


def written_key(key: Any, draw: st.DrawFn) -> str:
    if isinstance(key, MessageQueue):
        names = {"brokerName": key.broker_name, "queueId": key.queue_id, "topic": key.topic}
        compact = draw(st.booleans())
        return json.dumps(names, separators=(",", ":") if compact else (" , ", " : "))
    bare = key.replace("_", "a").replace("$", "a").replace("-", "0").isalnum() and key.isascii()
    return key if bare and draw(st.booleans()) else json.dumps(key)


@st.composite
def dialect(draw: st.DrawFn) -> tuple[Any, bytes]:
    value = draw(values)
    return value, written(value, draw).encode()


@given(dialect())
def test_what_is_written_in_the_dialect_is_read_back(pair: tuple[Any, bytes]) -> None:
    value, body = pair

    assert decode(body) == value


@given(values.filter(lambda value: "MessageQueue" not in repr(value)))
def test_standard_json_means_the_same_by_either_parser(value: Any) -> None:
    standard = json.dumps(value).encode()

    assert decode(standard) == value
    assert decode(b"{0:" + standard + b"}") == {"0": value}


@given(st.binary(max_size=60) | st.text('{}[]:,"\\$ref.@01-eEtrunl ', max_size=60).map(str.encode))
def test_garbage_is_a_value_or_a_protocol_error(garbage: bytes) -> None:
    try:
        decode(garbage)
    except ProtocolError as error:
        told = str(error)
    else:
        return
    assert told.startswith("unreadable body")


@given(dialect(), st.data())
def test_a_damaged_body_is_a_value_or_a_protocol_error(
    pair: tuple[Any, bytes], data: st.DataObject
) -> None:
    body = bytearray(pair[1])
    at = data.draw(st.integers(0, len(body) - 1))
    del body[at : at + data.draw(st.integers(0, 3))]
    body[at:at] = data.draw(
        st.sampled_from([b"", b'"', b"{", b"}", b"\\", b"\xff", b'{"$ref":"$"}'])
    )
    with contextlib.suppress(ProtocolError):
        decode(bytes(body))


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ('{"brokerAddrs":{0:"a:1",1:"b:1"}}', {"brokerAddrs": {"0": "a:1", "1": "b:1"}}),
        ('{"brokerAddrs":{"0":"a:1"}}', {"brokerAddrs": {"0": "a:1"}}),
        ('{"offsetTable":{"t1@cg1":{0:2}}}', {"offsetTable": {"t1@cg1": {"0": 2}}}),
        (
            '{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"t1"}:{"maxOffset":3},'
            '{"topic":"t{1\\"","queueId":1,"brokerName":"b"}:{"maxOffset":4}}}',
            {
                "offsetTable": {
                    MessageQueue("t1", "b", 0): {"maxOffset": 3},
                    MessageQueue('t{1"', "b", 1): {"maxOffset": 4},
                }
            },
        ),
        (
            '{{"brokerName":"b","queueId":0,"topic":"t"}: 1 }',
            {MessageQueue("t", "b", 0): 1},
        ),
        ('{0: "a" , 1 :7 }', {"0": "a", "1": 7}),
        ('{{"a":1}:2}', {frozenset({("a", 1)}): 2}),
        (
            '{{"brokerName":"b","queueId":"0","topic":"t"}:1}',
            {frozenset({("brokerName", "b"), ("queueId", "0"), ("topic", "t")}): 1},
        ),
        ('{[1,{"a":[]}]:2}', {(1, frozenset({("a", ())})): 2}),
        ('{0:"{1:2}",a:"\\\\"}', {"0": "{1:2}", "a": "\\"}),
        ("{0:-1.5e3,1:true,2:false,3:null}", {"0": -1500.0, "1": True, "2": False, "3": None}),
        ("{0:123456789012345678901234567890}", {"0": 123456789012345678901234567890}),
        ('{0:"\\ud83d\\ude00\\ud83d"}', {"0": "😀\ufffd"}),
        ('"\\ud83d"', "\ufffd"),
        ("  { }  ", {}),
        ("[ ]", []),
        ("null", None),
    ],
)
def test_bodies(body: str, value: object) -> None:
    assert decode(body.encode()) == value


def test_shared_objects_are_one_object() -> None:
    n = decode(SHARED.encode())["m"]["n"]
    shared = n["by"]['%RETRY%c g.1"q\\b-é']

    assert shared == {"name": "r"}
    assert all(value is shared for value in n["by"].values())
    assert set(n["by"]) == {'%RETRY%c g.1"q\\b-é', "7", "8", MessageQueue("t", "b", 0)}
    assert n["list"][0] is shared
    assert n["list"][1] is n["child"]
    assert n["self"] is n
    assert n["child"]["self"] is n
    assert n["child"]["child"] is n
    assert decode(SHARED.encode())["m"]["n2"]["name"] == "n"


def test_keys_of_every_kind_are_read() -> None:
    value = decode(KEYS.encode())

    shared = {"name": "n"}
    assert value["z"] is value["m"]["1"]
    plain = {"1.5": 2, "null": 1, "c": 1, (1, 2): 3, "nan": None, "big": 2**63 - 1}
    texts = {"bytes": "AQL/", "ctl": "\x01\u2028é\t/<\x7f😀", "hm": {}}
    objects = dict.fromkeys(["1", "2", "3", "true"], shared)
    assert value["m"] == objects | plain | texts


def test_references_lead_through_keys_that_are_no_text() -> None:
    value = decode(PATHS.encode())

    assert value["z"] is value["m"]["mq"][MessageQueue("t", "b", 0)]
    assert value["m"]["l"][0] is value["m"]["k1"]["8"]


def test_references_may_lead_forward_and_through_references() -> None:
    value = decode(b'{"a":{"$ref":"$.b.c[1]"},"b":{"$ref":"$.d"},"d":{"c":[0,{"x":1}]}}')

    assert value["a"] is value["d"]["c"][1]
    assert value["b"] is value["d"]


def test_of_a_key_written_twice_the_last_value_counts() -> None:
    assert decode(b'{"a":{"$ref":"$"},"a":1,0:2,0:3}') == {"a": 1, "0": 3}


def test_a_text_that_only_looks_like_a_reference_stays() -> None:
    assert decode(b'["{\\"$ref\\":\\"$\\"}",{"$ref":1},{"$ref":"$","a":1},"\\"$ref\\""]') == [
        '{"$ref":"$"}',
        {"$ref": 1},
        {"$ref": "$", "a": 1},
        '"$ref"',
    ]


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "{",
        "[1",
        "[1,]",
        '{"a":1,}',
        '{0:"a}',
        '{0:"\\',
        '{0:"\\x"}',
        "{0:tru}",
        "{0:nan}",
        "{0:1e999}",
        "{0:" + "9" * 5000 + "}",
        "{0:1}x",
        "{0}",
        "{{}}",
        "{{}:}",
        '{"$ref":"$"}',
        '{"$ref":"@"}',
        '[{"$ref":".."}]',
        '[{"$ref":"$.a"}]',
        '[{"$ref":"$[1]"}]',
        '[1,{"$ref":"$[0][0]"}]',
        '[{"$ref":"$x"}]',
        '[{"$ref":"nowhere"}]',
        '[{"$ref":""}]',
        '[{"$ref":"$[0]"}]',
        '{"a":{"$ref":"$.b"},"b":{"$ref":"$.a"}}',
        '{"a":{"$ref":"$.a.x"}}',
        '{{"$ref":"$"}:1}',
        '{[{"$ref":"$"}]:1}',
        '{"a":{"$ref":"$.' + "9" * 5000 + '"}, "b":[{"$ref":"$.b[' + "9" * 5000 + ']"}]}',
    ],
)
def test_what_cannot_be_read_is_a_protocol_error(body: str) -> None:
    with pytest.raises(ProtocolError, match=r"^unreadable body"):
        decode(body.encode())


def test_an_error_tells_nothing_of_the_body() -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(b'{"password":"s3cret",}')

    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{0:", "}"), ("{{", "}:1}:1}")])
def test_depth_is_bounded(opening: str, closing: str) -> None:
    for levels in (DEPTH * 2, 100_000):
        with pytest.raises(ProtocolError):
            decode((opening * levels + "1" + closing * levels + "x").encode())


def test_references_by_the_thousand_cost_no_more_than_their_text() -> None:
    # Each asks twice for the one before, which is the root: 2 to the 40 steps if taken singly.
    chain = ",".join(f'"r{n}":{{"$ref":"$.r{n - 1}.r{n - 1}"}}' for n in range(1, 40))
    value = decode(f'{{"r0":{{"$ref":"$"}},{chain}}}'.encode())
    assert value["r39"] is value

    deep = ",".join(f'"r{n}":{{"$ref":"$.r{n + 1}"}}' for n in range(5000))
    with pytest.raises(ProtocolError, match="too many others"):
        decode(f'{{{deep},"r5000":{{}}}}'.encode())

    wide = ",".join(f'"k{n}":{{"$ref":"$.k0"}}' for n in range(1, 2000))
    assert decode(f'{{"k0":{{}},{wide}}}'.encode())["k1999"] == {}


@pytest.mark.parametrize(
    "unit",
    ['{"a":', "[", '"\\', "{0:", '{{"a":1}:', " ", "0", '{"$ref":"$.a",', "\\", "{ ", '"a":'],
)
def test_time_grows_no_faster_than_the_body(unit: str) -> None:
    def cost_s(size: int) -> float:
        body = b"{0:[" + (unit * size).encode()
        costs = []
        for _ in range(3):  # the garbage collector may come in between
            start = time.process_time()
            with pytest.raises(ProtocolError):
                decode(body)
            costs.append(time.process_time() - start)
        return min(costs)

    # A quadratic cost would make the ratio 64; the constant is for what hardly costs anything.
    assert cost_s(80_000) < 24 * cost_s(10_000) + 0.05


def test_thousands_of_queues_take_memory_in_proportion_to_their_text() -> None:
    one = (
        '{"brokerName":"broker-a","queueId":%d,"topic":"t1"}:{"brokerOffset":3,"consumerOffset":2}'
    )
    body = ('{"offsetTable":{' + ",".join(one % n for n in range(2000)) + "}}").encode()
    tracemalloc.start()
    try:
        table = decode(body)["offsetTable"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(table) == 2000
    assert peak < 10 * len(body)
