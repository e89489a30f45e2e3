"""Runs programs of the host; everything that does so takes the runner as an argument."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from base.errors import ClusterError, CommandError


@dataclass(frozen=True)
class Call:
    """One run of a program: with `log`, both its streams go to that file."""

    arguments: tuple[str, ...]
    log: Path | None = None
    directory: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""


class Runner(Protocol):
    """Runs a call, returns its standard output, raises CommandError when it fails."""

    def __call__(self, call: Call) -> str:
        """Run `call`."""


def call(*arguments: str | Path, log: Path | None = None, stdin: str = "") -> Call:
    """Return the common kind of call."""
    return Call(tuple(str(argument) for argument in arguments), log, stdin=stdin)


def run(call: Call) -> str:
    """Run `call` on this machine."""
    environment = {**os.environ, **call.environment}
    try:
        if call.log is None:
            return _run_captured(call, environment)
        _run_logged(call, call.log, environment)
    except FileNotFoundError as error:
        raise ClusterError(f"cannot run {call.arguments[0]}: {error.strerror}") from error
    return ""


def _run_captured(call: Call, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        call.arguments,
        cwd=call.directory,
        env=environment,
        input=call.stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CommandError(_sentence(call, done.returncode), done.returncode, done.stderr, None)
    return done.stdout


def _run_logged(call: Call, log: Path, environment: Mapping[str, str]) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"$ {' '.join(call.arguments)}\n")
        stream.flush()
        done = subprocess.run(
            call.arguments,
            cwd=call.directory,
            env=environment,
            input=call.stdin,
            stdout=stream,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if done.returncode:
        raise CommandError(_sentence(call, done.returncode), done.returncode, "", log)


def _sentence(call: Call, code: int) -> str:
    command = " ".join(call.arguments)
    shown = command if len(command) <= 200 else command[:200] + " ..."
    return f"`{shown}` ended with status {code}"
