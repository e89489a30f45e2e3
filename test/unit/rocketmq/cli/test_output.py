from __future__ import annotations

import json

from rocketmq.cli.output import Output, json_text, printable, table_text

_OUTPUT = Output(
    ("broker", "offset", "ok", "rate"),
    (("broker-a", 5, True, 1.25), ("b", 1234, False, None)),
    {"x:1": "x:1: refused"},
)


def test_a_table_is_as_wide_as_its_cells_with_numbers_to_the_right() -> None:
    assert table_text(_OUTPUT) == (
        "BROKER    OFFSET   OK  RATE\nbroker-a       5  yes  1.25\nb           1234   no     -\n"
    )


def test_nothing_found_is_an_empty_table() -> None:
    assert table_text(Output(("a",), ())) == ""


def test_json_has_rows_by_column_and_problems_by_address() -> None:
    told = json.loads(json_text(_OUTPUT))
    assert told["rows"][1] == {"broker": "b", "offset": 1234, "ok": False, "rate": None}
    assert told["problems"] == {"x:1": "x:1: refused"}


def test_what_a_server_says_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\nc é") == "a\\x1b[2Jb\\x0ac é"
    assert "\x1b" not in table_text(Output(("a",), (("\x1b[31m",),)))
