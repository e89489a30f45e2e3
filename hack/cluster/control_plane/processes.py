"""Starts the supervisor in the background, recognises it later, and ends it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from base.errors import ClusterError
from base.folders import CLUSTER_SOURCE
from base.progress import say, wait_for
from control_plane.supervisor import FAILED, READY, State, read_states


@dataclass(frozen=True)
class Process:
    """A process that cannot be mistaken for a later one with the same id."""

    pid: int
    start_ticks: int


def parse_start_ticks(stat: str) -> int:
    """Return field 22 of /proc/PID/stat; the name before it may hold spaces and brackets."""
    return int(stat.rpartition(")")[2].split()[19])


def identify(pid: int) -> Process | None:
    """Return the process that has this id now; a zombie is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    if stat.rpartition(")")[2].split()[0] in "ZX":
        return None
    return Process(pid, parse_start_ticks(stat))


def is_alive(process: Process) -> bool:
    """Tell whether this very process still runs."""
    return identify(process.pid) == process


def record(folder: Path, name: str, process: Process) -> None:
    """Write down which process it is."""
    text = json.dumps(vars(process)) + "\n"
    (folder / f"{name}.process.json").write_text(text, encoding="utf-8")


def recorded(folder: Path, name: str) -> Process | None:
    """Return the process that was written down, if any."""
    try:
        text = (folder / f"{name}.process.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return Process(**json.loads(text))


def start_in_background(
    folder: Path, command: str, before: tuple[str, ...] = (), extra: Mapping[str, str] | None = None
) -> Process:
    """Start an internal command of this tool, detached, with its output in the logs folder."""
    log = folder / "logs" / "supervisor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    arguments = (*before, sys.executable, str(CLUSTER_SOURCE), command, "--folder", str(folder))
    with log.open("ab") as stream:
        started = subprocess.Popen(
            arguments,
            cwd="/",
            env={**os.environ, **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    process = identify(started.pid)
    if process is None:
        raise ClusterError("the supervisor ended at once", log)
    started.returncode = 0  # it outlives this command: nobody waits for it here
    return process


def end(process: Process, signal_number: signal.Signals, seconds: float) -> bool:
    """Send a signal and wait until the process is gone."""
    if not is_alive(process):
        return True
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal_number)
    return wait_for(lambda: not is_alive(process), seconds)


def wait_until_ready(folder: Path, supervisor: Process, seconds: float) -> None:
    """Wait until every component is ready, saying so one by one."""
    seen: set[str] = set()

    def all_ready() -> bool:
        states = read_states(folder)
        for name, state in states.items():
            _raise_if_failed(folder, name, state)
            if state.state == READY and name not in seen:
                seen.add(name)
                say(f"{name}: ready after {state.seconds} s")
        if not is_alive(supervisor):
            raise ClusterError("the supervisor ended", folder / "logs" / "supervisor.log")
        return bool(states) and len(seen) == len(states)

    if not wait_for(all_ready, seconds):
        late = sorted(set(read_states(folder)) - seen)
        log = folder / "logs" / f"{late[0] if late else 'supervisor'}.log"
        raise ClusterError(f"not ready after {seconds:.0f} s: {', '.join(late)}", log)


def _raise_if_failed(folder: Path, name: str, state: State) -> None:
    if state.state == FAILED:
        log = folder / "logs" / f"{name}.log"
        raise ClusterError(f"{name} ended with status {state.code}", log)


def is_healthy(folder: Path) -> bool:
    """Tell whether the supervisor of `folder` lives and everything is ready."""
    supervisor = recorded(folder, "supervisor")
    states = read_states(folder)
    return (
        supervisor is not None
        and is_alive(supervisor)
        and bool(states)
        and all(state.state == READY for state in states.values())
    )
