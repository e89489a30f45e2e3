"""Starts the components in order, writes down what became of each, and ends them in reverse."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from base.progress import wait_for
from control_plane.components import Component

GRACE_SECONDS = 5.0
REPEAT_SECONDS = 1.0

WAITING, STARTING, READY, FAILED = "waiting", "starting", "ready", "failed"


@dataclass(frozen=True)
class State:
    """What became of a component; `pid` is as the supervisor's own PID namespace counts."""

    state: str = WAITING
    pid: int = 0
    code: int = 0
    seconds: float = 0.0


def startable(components: Sequence[Component], states: Mapping[str, State]) -> list[Component]:
    """Return the components that wait for nothing any more."""
    return [
        item
        for item in components
        if states[item.name].state == WAITING
        and all(states[name].state == READY for name in item.after)
    ]


def after_exit(component: Component, code: int) -> str:
    """Return the state of a component whose process ended: nothing but `once` is run again."""
    if not component.once:
        return FAILED
    return READY if code == 0 else WAITING


def read_states(folder: Path) -> dict[str, State]:
    """Return what the supervisor of `folder` wrote last."""
    try:
        text = (folder / "states.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    return {name: State(**values) for name, values in json.loads(text).items()}


class Supervisor:
    """Runs components until it is told to stop; as PID 1 it also reaps what others left."""

    def __init__(self, folder: Path, components: Sequence[Component]) -> None:
        self._folder = folder
        self._components = {item.name: item for item in components}
        self._states = {item.name: State() for item in components}
        self._started: dict[str, float] = {}
        self._stopping = False

    def run(self) -> None:
        """Start everything and watch it until SIGTERM."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        self._write()
        while not wait_for(lambda: self._stopping, self._interval()):
            self._reap()
            self._start()
            self._probe()
        self._end_all()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _interval(self) -> float:
        settled = all(state.state in {READY, FAILED} for state in self._states.values())
        return 0.5 if settled else 0.05

    def _set(self, name: str, state: State) -> None:
        self._states[name] = state
        self._write()

    def _write(self) -> None:
        text = json.dumps({name: vars(state) for name, state in self._states.items()}, indent=2)
        unfinished = self._folder / "states.json.unfinished"
        unfinished.write_text(text + "\n", encoding="utf-8")
        unfinished.rename(self._folder / "states.json")

    def _start(self) -> None:
        now = time.monotonic()
        for item in startable(list(self._components.values()), self._states):
            if now - self._started.get(item.name, -REPEAT_SECONDS) >= REPEAT_SECONDS:
                self._started[item.name] = now
                self._set(item.name, State(STARTING, self._spawn(item)))

    def _spawn(self, item: Component) -> int:
        log = self._folder / "logs" / f"{item.name}.log"
        log.parent.mkdir(exist_ok=True)
        # Should this process be killed, the kernel ends its children too.
        command = ("setpriv", "--pdeathsig", "KILL", "--", *item.arguments)
        with log.open("ab") as stream:
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**os.environ, **item.environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        process.returncode = 0  # _reap waits for it: the object must not try to
        return process.pid

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._note_exit(pid, os.waitstatus_to_exitcode(status))

    def _note_exit(self, pid: int, code: int) -> None:
        for name, state in self._states.items():
            if state.pid == pid and state.state in {STARTING, READY}:
                seconds = time.monotonic() - self._started[name]
                left = after_exit(self._components[name], code)
                self._set(name, State(left, 0, code, round(seconds, 1)))
                return

    def _probe(self) -> None:
        for name, item in self._components.items():
            state = self._states[name]
            if state.state == STARTING and not item.once and self._answers(item.ready):
                seconds = round(time.monotonic() - self._started[name], 1)
                self._set(name, State(READY, state.pid, 0, seconds))

    def _answers(self, target: str) -> bool:
        if target.startswith("http"):
            return answers_http(target, self._folder / "keys" / "ca.crt")
        return not target or answers_socket(target)

    def _end_all(self) -> None:
        for name in reversed(list(self._components)):
            pid = self._states[name].pid
            if pid:
                end_process(pid)


def answers_http(url: str, authority: Path) -> bool:
    """Tell whether `url` answers 200; a server that is not there yet is a plain no."""
    context = ssl.create_default_context(cafile=str(authority))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(url, timeout=1.0) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False


def answers_socket(path: str) -> bool:
    """Tell whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as stream:
        try:
            stream.connect(path)
        except OSError:
            return False
    return True


def end_process(pid: int) -> None:
    """End a child: first politely."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, signal_number)
        except ProcessLookupError:
            return
        if wait_for(lambda: _is_reaped(pid), GRACE_SECONDS):
            return


def _is_reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
