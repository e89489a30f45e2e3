from typing import Any

import pytest

from fakes.gate_facts import a_broker
from reconcilers.api.validation import BROKER_IDENTITY_KEYS
from reconcilers.desired.live_settings import (
    LIVE_DEFAULTS,
    live_settings,
    without_live_settings,
)

VOLUME = {"volumes": [{"name": "config", "configMap": {"name": "mine"}}]}


def test_a_broker_that_is_told_nothing_has_the_defaults() -> None:
    assert live_settings(a_broker(), None) == LIVE_DEFAULTS


def test_no_live_key_is_one_of_ours() -> None:
    assert BROKER_IDENTITY_KEYS.isdisjoint(LIVE_DEFAULTS)


@pytest.mark.parametrize(
    ("spec", "file", "differs"),
    [
        ({"config": {"deleteWhen": "05"}}, None, {"deleteWhen": "05"}),
        ({"config": {"flushDiskType": "SYNC_FLUSH"}}, None, {}),
        (VOLUME, "", {}),
        (VOLUME, "deleteWhen = 05\nbrokerName=x", {"deleteWhen": "05"}),
        (VOLUME | {"config": {"deleteWhen": "06"}}, "deleteWhen=05", {"deleteWhen": "06"}),
    ],
)
def test_the_spec_wins_over_the_file_and_the_file_over_the_defaults(
    spec: dict[str, Any], file: str | None, differs: dict[str, str]
) -> None:
    assert live_settings(a_broker(**spec), file) == LIVE_DEFAULTS | differs


@pytest.mark.parametrize(
    "file",
    [None, "deleteWhen=05\na=\\u12"],
    ids=["a volume of another kind, or no such ConfigMap", "no properties"],
)
def test_what_a_file_that_cannot_be_read_may_say_is_left_alone(file: str | None) -> None:
    assert live_settings(a_broker(**VOLUME), file) == {}
    spec = VOLUME | {"config": {"traceOn": "false", "flushDiskType": "SYNC_FLUSH"}}
    assert live_settings(a_broker(**spec), file) == {"traceOn": "false"}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", ""),
        ("deleteWhen=05\nflushDiskType=SYNC_FLUSH\n", "flushDiskType=SYNC_FLUSH\n"),
        ("# a note\n flushDiskType : SYNC_FLUSH", "flushDiskType=SYNC_FLUSH\n"),
        ("a=\\u12", "a=\\u12"),
    ],
)
def test_a_file_without_what_needs_no_restart(text: str, left: str) -> None:
    assert without_live_settings(text) == left
