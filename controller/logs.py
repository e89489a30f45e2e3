"""Structured logs on standard output: one line an event, with the same keys everywhere.

- A message is constant and lower-case; values are fields (`TMP-LOGGING.md` of controller-runtime).
- Keys: `ts`, `level`, `msg`, and from the worker `controller`, `object`, `reconcile_id`.
- The standard library's loggers (aiohttp, asyncio) take the same way out.
- What stands under a key that names a secret is not written, at any depth.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Form = Literal["json", "console"]
Level = Literal["debug", "info", "warning", "error"]

REDACTED = "***"

# The end of a key without its punctuation: `accessKey`, `secret_key`, `Authorization`, but not
# `secretName`, which is what one needs to find the secret.
_SECRET_KEY = re.compile(
    r"(token|password|passwd|secret|secretkey|accesskey|accesskeyid|apikey|privatekey|credentials?"
    r"|authorization)$"
)


def configure(
    *,
    form: Form = "json",
    level: Level = "info",
    stream: TextIO | None = None,
) -> None:
    """Send every log of the process to `stream` (standard output) in this form.

    `json` is for machines, `console` for people. Called once, at the start of the process.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_last(form)],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    # One line for each probe of the kubelet tells nobody anything.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def _last(form: Form) -> list[Processor]:
    if form == "console":
        return [structlog.dev.ConsoleRenderer(timestamp_key="ts")]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("msg"),
        structlog.processors.JSONRenderer(default=str),
    ]


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the values of keys that name a secret, in nested maps and lists, too."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: object, value: object) -> object:
    if isinstance(key, str) and _SECRET_KEY.search(re.sub(r"[^a-z]", "", key.lower())):
        return REDACTED
    if isinstance(value, Mapping):
        return {name: _redacted(name, child) for name, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(None, child) for child in value]
    return value
