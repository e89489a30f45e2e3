"""Processes that hang in every way: what the watchdog does about it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from fakes.control_plane import ROOT
from fakes.waiting import pause

LIMIT_S = 20.0

PROGRAM = """
    import asyncio, re, sys, threading, time
    from controller import logs
    from controller.leader_lease import Durations
    from controller.leader_term import Leadership, clock
    from controller.leader_watchdog import Watchdog, end_process

    def hang():
        {hang}

    async def main():
        durations = Durations(lease_s=4, renew_s=1.0, retry_s=0.5)
        leadership = Leadership(durations.renew_s, end=end_process)
        with Watchdog(leadership, durations) as watchdog:
            leadership.hold(clock())
            watchdog.look()
            print("holds", flush=True)
            await asyncio.sleep(0.2)
            hang()
            for _ in range(100):
                leadership.require()
                print("wrote", flush=True)
                time.sleep(0.01)

    logs.configure()
    asyncio.run(main())
"""


@pytest.fixture
def start() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    with ExitStack() as started:

        def start(hang: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(  # noqa: S603 - the program under test
                [sys.executable, "-c", textwrap.dedent(PROGRAM.format(hang=hang))],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield start


def test_a_blocked_event_loop_ends_the_process_and_the_log_says_why(
    start: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = start("threading.Event().wait(60)")
    printed, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    first, last = printed.splitlines()
    assert first == "holds"
    assert json.loads(last)["msg"] == "leadership lost"
    assert errors == ""


def test_code_that_never_lets_go_of_the_interpreter_is_ended_and_shown(
    start: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = start("re.match('(a|aa)+$', 'a' * 60 + 'b')")
    printed, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert printed == "holds\n"
    assert "in hang" in errors


def test_a_hang_in_the_log_itself_does_not_keep_it_alive(
    start: Callable[[str], subprocess.Popen[str]],
) -> None:
    """Whoever reads the log stands still: every line after the first 64 KiB waits for it."""
    process = start("[print('x' * 1000) for _ in range(10_000)]")
    assert process.wait(LIMIT_S) == 1


def test_a_process_that_was_stopped_writes_nothing_when_it_goes_on(
    start: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = start("pass")
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    process.send_signal(signal.SIGSTOP)
    pause(1.5)
    process.send_signal(signal.SIGCONT)
    printed, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert "wrote" not in printed
