import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from controller import logs


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Where logs go; the logging of the process is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_json_with_time_level_message_and_bound_keys(out: io.StringIO) -> None:
    logs.configure(stream=out)
    with structlog.contextvars.bound_contextvars(
        controller="broker", object="mq/b", reconcile_id="7"
    ):
        structlog.get_logger("x").info("object written", paths=["a"])
    (line,) = lines(out)
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "info",
        "msg": "object written",
        "controller": "broker",
        "object": "mq/b",
        "reconcile_id": "7",
        "paths": ["a"],
    }


def test_the_standard_librarys_loggers_take_the_same_way(out: io.StringIO) -> None:
    logs.configure(stream=out)
    logging.getLogger("asyncio").warning("slow callback: %s", 3)
    (line,) = lines(out)
    assert (line["msg"], line["level"], line["logger"]) == (
        "slow callback: 3",
        "warning",
        "asyncio",
    )


def test_an_exception_brings_its_traceback(out: io.StringIO) -> None:
    logs.configure(stream=out)
    with pytest.raises(KeyError) as caught:
        {}["oops"]
    structlog.get_logger("x").error("reconcile panicked", exc_info=caught.value)
    (line,) = lines(out)
    assert "Traceback" in line["exception"]
    assert "KeyError: 'oops'" in line["exception"]


def test_the_level_holds_back_what_is_below(out: io.StringIO) -> None:
    logs.configure(stream=out, level="warning")
    structlog.get_logger("x").info("quiet")
    structlog.get_logger("x").warning("heard")
    assert [line["msg"] for line in lines(out)] == ["heard"]


def test_what_json_cannot_say_is_said_as_text(out: io.StringIO) -> None:
    logs.configure(stream=out)
    structlog.get_logger("x").info("odd", value={1}, number=1)
    assert lines(out)[0]["value"] == "{1}"


def test_warnings_of_the_interpreter_are_logged(out: io.StringIO) -> None:
    logs.configure(stream=out)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        # catch_warnings puts its own hook back, so the capture has to be asked for again.
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert lines(out)[0]["logger"] == "py.warnings"


def test_the_console_form_is_for_people(out: io.StringIO) -> None:
    logs.configure(form="console", stream=out)
    structlog.get_logger("x").info("object written", child="Service mq/a")
    text = out.getvalue()
    assert "object written" in text
    assert "Service mq/a" in text
    assert not text.startswith("{")


@pytest.mark.parametrize(
    "key",
    [
        *("token", "bearer_token", "password", "DB_PASSWORD", "secret_key", "secretKey"),
        *("accessKey", "access-key", "Authorization", "client.secret", "credentials"),
    ],
)
def test_values_of_secret_keys_are_not_written_at_any_depth(key: str) -> None:
    event = {key: "s3cret", "deep": {"list": [{key: "s3cret"}, {"x": ({key: ["s3cret"]},)}]}}
    assert "s3cret" not in str(logs.redact(None, "info", event))


@pytest.mark.parametrize("key", ["secretName", "token_file", "keys", "object", "passwords_changed"])
def test_values_of_other_keys_are_written(key: str) -> None:
    assert logs.redact(None, "info", {key: "value"}) == {key: "value"}
