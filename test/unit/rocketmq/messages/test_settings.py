from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.rocketmq_caller import answer
from rocketmq import properties
from rocketmq.messages.settings import (
    Server,
    SettingsChange,
    get_settings,
    same_value,
    settings_values,
    update_settings,
)

_KEYS = st.text("abcXYZ09", min_size=1, max_size=8)
# A value of one line that a server can hold: it drops blanks at the beginning.
_VALUES = st.text("ab1=:#! \\é💧", max_size=12).map(str.strip)


@given(st.dictionaries(_KEYS, _VALUES))
def test_what_a_server_reads_from_us_and_writes_again_is_what_was_meant(
    changes: dict[str, str],
) -> None:
    sent = update_settings(Server.BROKER, changes).request.body.decode()
    kept = properties.parsed(sent)  # as java.util.Properties reads
    written = "".join(f"{key}={value}\n" for key, value in kept.items())  # as MixAll writes
    assert settings_values(written) == changes


def test_a_backslash_in_an_answer_is_a_backslash() -> None:
    assert settings_values("path=C:\\new\nempty=\n\nequals=a=b\n") == {
        "path": "C:\\new",
        "empty": "",
        "equals": "a=b",
    }


@pytest.mark.parametrize(
    ("asked", "found", "same"),
    [
        ("72", "72", True),
        ("0.50", "0.5", True),
        ("TRUE", "true", True),
        ("true", "false", False),
        ("1", "true", False),
        ("72", "71", False),
        ("9223372036854775807", "9223372036854775806", False),
        ("abc", "ABC", False),
        ("", None, True),
        ("x", None, False),
        ("nan", "nan", True),
    ],
)
def test_values_are_the_same_when_a_server_would_say_so(
    asked: str, found: str | None, same: bool
) -> None:
    assert same_value(asked, found) is same


def test_a_change_tells_what_was_not_taken_and_prints_no_value() -> None:
    change = SettingsChange({"a": "1", "password": "s3cret"}, {"a": "1", "password": None})
    assert change.not_taken == {"password": None}
    assert "s3cret" not in repr(change)


def test_the_version_of_a_broker_s_settings_is_in_the_header() -> None:
    operation = get_settings(Server.BROKER)
    assert operation.answer(answer(b"a=1\n")).version is None
    told = answer(b"a=1\npassword=s3cret\n")
    told.ext_fields["version"] = '{"counter":2,"timestamp":5}'
    settings = operation.answer(told)
    assert settings.version is not None
    assert settings.version.counter == 2
    assert "s3cret" not in repr(settings)
