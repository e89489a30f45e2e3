"""The operator as a process of its own, with its own account, kubeconfig, ports and log file."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fakes.control_plane import ROOT, ControlPlane, kubeconfig
from fakes.waiting import eventually

GRACE_S = 15.0
LogLine = dict[str, Any]


def free_ports(count: int) -> tuple[int, ...]:
    """Ports of loopback that nobody uses; for a minute the kernel offers them to nobody.

    A connection that its server has closed first keeps the port in TIME_WAIT: who asks for it by
    its number may listen on it, who asks for just any port gets another one.
    """
    with ExitStack() as held:
        return tuple(_reserved_port(held) for _ in range(count))


def _reserved_port(held: ExitStack) -> int:
    server = held.enter_context(socket.create_server(("127.0.0.1", 0)))
    port = int(server.getsockname()[1])
    held.enter_context(socket.create_connection(("127.0.0.1", port)))
    accepted, _ = server.accept()
    held.enter_context(accepted)  # the last one in is the first to be closed
    return port


class OperatorProcess:
    """One run of `python -m reconcilers`, which the audit log shows under `name`."""

    def __init__(self, kubeconfig: Path, log: Path, name: str, *arguments: str) -> None:
        self.name = name
        self._log = log
        self._asked_to_end = False
        self._metrics_port, self._probe_port = free_ports(2)
        command = [sys.executable, "-m", "reconcilers", "--kubeconfig", str(kubeconfig)]
        command += ["--metrics-port", str(self._metrics_port)]
        command += ["--probe-port", str(self._probe_port)]
        command += ["--log-format", "json", *arguments]
        with log.open("ab") as stream:
            self._process = subprocess.Popen(  # noqa: S603 - the program under test
                command,
                cwd=ROOT,
                env={**_environment(), "POD_NAME": name},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )

    @property
    def exit_code(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    @property
    def crashed(self) -> bool:
        """Whether it ended of itself."""
        return self.exit_code is not None and not self._asked_to_end

    def is_ready(self) -> bool:
        """Whether /readyz says so now."""
        return _get(self._probe_port, "/readyz")[0] == 200

    def is_alive(self) -> bool:
        """Whether /healthz says so now."""
        return _get(self._probe_port, "/healthz")[0] == 200

    def wait_ready(self, *, within_s: float = 20.0) -> None:
        """Wait for /readyz; AssertionError when it ends or does not get there."""

        def ready() -> None:
            if self.exit_code is not None:
                raise ChildProcessError(f"the operator ended: {self.exit_code}\n{self.tail()}")
            assert self.is_ready(), f"not ready: {_get(self._probe_port, '/readyz')}"

        eventually(ready, within_s=within_s)

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its name and labels."""
        _, text = _get(self._metrics_port, "/metrics")
        lines = (line for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in (one.rpartition(" ") for one in lines)}

    def terminate(self, *, within_s: float = GRACE_S) -> int:
        """SIGTERM, and its exit status; one that does not end in time is killed and an error."""
        if self.exit_code is None:
            self._asked_to_end = True
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL: nothing of it is left to say good-bye."""
        self._asked_to_end = True
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: it does nothing any more, until `thaw`."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        self._process.send_signal(signal.SIGCONT)

    def wait_ended(self, *, within_s: float) -> int:
        """Wait until it ends of itself, as the test expects; its exit status."""
        self._asked_to_end = True
        return self._process.wait(within_s)

    def log_mark(self) -> int:
        """This moment, as a place in the log to read from later."""
        return self._log.stat().st_size

    def log_lines(self, since: int = 0) -> list[LogLine]:
        """What it logged; a line that is no JSON (a traceback of Python's own) is an error line."""
        with self._log.open("rb") as stream:
            stream.seek(since)
            return [_log_line(line) for line in stream.read().splitlines() if line.strip()]

    def errors(self, since: int = 0) -> list[LogLine]:
        """The lines of level error and worse."""
        lines = self.log_lines(since)
        return [line for line in lines if line.get("level") in ("error", "critical")]

    def tail(self, count: int = 60, *, since: int = 0) -> str:
        """The last lines of the log, as they are."""
        with self._log.open("rb") as stream:
            stream.seek(since)
            lines = stream.read().decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-count:])


class Operators:
    """Starts operators; one at a time, for two would be two writers, unless they elect a leader."""

    def __init__(self, plane: ControlPlane, token: str, folder: Path) -> None:
        self._plane = plane
        self._token = token
        self._folder = folder
        self._numbers = itertools.count(1)
        self._started: list[OperatorProcess] = []

    def start(
        self,
        *arguments: str,
        server: str | None = None,
        wait: bool = True,
        alongside: bool = False,
    ) -> OperatorProcess:
        """An operator that is ready (or not, without `wait`); it asks `server`, or directly.

        `alongside` others only in tests about the election of a leader.
        """
        if not alongside:
            assert all(one.exit_code is not None for one in self._started), "one runs already"
        number = next(self._numbers)
        authority = None if server else self._plane.authority
        path = self._folder / f"operator-{number}.kubeconfig"
        config = kubeconfig(server or self._plane.server, self._token, authority)
        path.write_text(json.dumps(config), encoding="utf-8")
        log = self._folder / f"operator-{number}.log"
        started = OperatorProcess(path, log, f"operator-{number}", *arguments)
        self._started.append(started)
        if wait:
            started.wait_ready()
        return started

    def end(self) -> list[OperatorProcess]:
        """End the one that runs, in time and with status 0; returns all since the last `end`."""
        ended, self._started = self._started, []
        for one in ended:
            assert not one.crashed, f"it ended with {one.exit_code}\n{one.tail()}"
            if one.exit_code is None:
                code = one.terminate()
                assert code == 0, f"SIGTERM ended it with {code}\n{one.tail()}"
        return ended


def _log_line(line: bytes) -> LogLine:
    try:
        decoded = json.loads(line)
    except ValueError:
        decoded = None
    if isinstance(decoded, dict):
        return decoded
    return {"level": "error", "event": line.decode("utf-8", "replace")}


def _get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


def _environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**inherited, "PYTHONUNBUFFERED": "1"}
