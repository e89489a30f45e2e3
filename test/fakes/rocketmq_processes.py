"""RocketMQ's own servers as processes on loopback, in heaps as small as they bear.

Everything a server writes is under its own folder, which is its home too. A server ends with the
process that started it, whatever happens to that one.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from fakes.control_plane import ROOT
from fakes.waiting import eventually
from rocketmq import properties

HOST = "127.0.0.1"
_START_S = 90.0

_OPTIONS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xss256k",
    "-XX:ReservedCodeCacheSize=48m",
    "-XX:MaxMetaspaceSize=128m",
    "-XX:+ExitOnOutOfMemoryError",
    "-Drocketmq.broker.diskSpaceWarningLevelRatio=0.99",
    # 4.9 unmaps files through internals that Java 17 closes: deleting a topic needs them.
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
)
_SILENT = "<configuration><root level='OFF'/></configuration>"
_LOGBACK = """<configuration>
  <appender name="out" class="{package}ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{{HH:mm:ss.SSS}} %p %c{{1}} - %m%n</pattern></encoder>
  </appender>
  <root level="ERROR"><appender-ref ref="out"/></root>
</configuration>
"""


class Release(msgspec.Struct, frozen=True):
    """A published version, unpacked."""

    version: str
    home: Path

    @property
    def five(self) -> bool:
        """Whether it is 5.x: controllers, and other names for some things."""
        return self.version.startswith("5.")

    @property
    def acl_2(self) -> bool:
        """Whether it has users and policies; it has no accounts then (5.3.3 removed them)."""
        return self.five and tuple(int(part) for part in self.version.split(".")) >= (5, 3, 3)


class Program(msgspec.Struct, frozen=True):
    """One of the servers: its main class, its heap, the line that says it is ready."""

    main_class: str
    heap_mib: int
    boot_line: str


NAME_SERVER = Program("org.apache.rocketmq.namesrv.NamesrvStartup", 32, "boot success")
BROKER = Program("org.apache.rocketmq.broker.BrokerStartup", 96, "boot success")
CONTROLLER = Program("org.apache.rocketmq.controller.ControllerStartup", 64, "boot success")
_TOOLS = "org.apache.rocketmq.tools.command.MQAdminStartup"


def release(version: str) -> Release:
    """A version, fetched now if it never was."""
    command = [sys.executable, str(ROOT / "hack" / "cluster"), "rocketmq", "--version", version]
    ended = subprocess.run(  # noqa: S603 - a program of this repository
        command, check=True, stdout=subprocess.PIPE, text=True
    )
    return Release(version, Path(ended.stdout.splitlines()[-1]))


class ServerProcess:
    """One running server; `settings` is the file that it was started with."""

    def __init__(
        self,
        release: Release,
        program: Program,
        folder: Path,
        settings: Mapping[str, str],
        *options: str,
    ) -> None:
        self.folder = folder
        self.settings = folder / "server.properties"
        self.log = folder / "output.log"
        self._program = program
        prepare_home(release, folder)
        self.settings.write_text(properties.rendered(settings), encoding="utf-8")
        memory = (f"-Xms{program.heap_mib}m", f"-Xmx{program.heap_mib}m")
        direct = "-XX:MaxDirectMemorySize=160m"
        command = java(release, folder, *memory, direct, *options)
        command += [program.main_class, "-c", str(self.settings)]
        with self.log.open("ab") as stream:
            self._process = subprocess.Popen(  # noqa: S603 - the servers under test
                [*_dying_with_us(), *command],
                cwd=folder,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )

    def wait_ready(self) -> None:
        """Until it says that it has started; AssertionError with its output otherwise."""

        def started() -> None:
            assert self._process.poll() is None, f"{self.folder.name} ended:\n{self.tail()}"
            assert self._program.boot_line in self._output(), f"{self.folder.name}:\n{self.tail()}"

        eventually(started, within_s=_START_S)

    def tail(self) -> str:
        """The end of its output."""
        return self._output()[-3000:]

    def kill(self) -> None:
        """End it at once: its folder goes anyway."""
        self._process.send_signal(signal.SIGKILL)

    def stop(self, *, within_s: float = 60.0) -> None:
        """End it as Kubernetes does, and wait."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(within_s)

    def _output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def join(self) -> None:
        """Wait until it is gone."""
        self._process.wait(30.0)


def prepare_home(release: Release, folder: Path) -> None:
    """A home folder: the logs go to standard output, errors alone."""
    (folder / "conf").mkdir(parents=True, exist_ok=True)
    package = "org.apache.rocketmq.logging." if release.five else ""
    for name in ("namesrv", "broker", "tools"):
        text = _SILENT if name == "tools" else _LOGBACK.format(package=package)
        for file in (f"logback_{name}.xml", f"rmq.{name}.logback.xml"):
            (folder / "conf" / file).write_text(text, encoding="utf-8")


def java(release: Release, folder: Path, *options: str) -> list[str]:
    """The beginning of a command that runs a class of the release with this home."""
    logback = "tools" if "-Dtools" in options else "broker"
    return [
        "java",
        *_OPTIONS,
        *(option for option in options if option != "-Dtools"),
        f"-Duser.home={folder}",
        f"-Drocketmq.home.dir={folder}",
        f"-Drmq.logback.configurationFile={folder}/conf/rmq.{logback}.logback.xml",
        "-cp",
        f"{release.home}/lib/*",
    ]


def mqadmin(release: Release, folder: Path, arguments: Sequence[str]) -> str:
    """What RocketMQ's own tool of the same version prints.

    AssertionError with its complaint when it prints nothing: it ends with 0 whatever happened.
    """
    prepare_home(release, folder)
    command = [*java(release, folder, "-Xmx96m", "-Dtools"), _TOOLS, *arguments]
    ended = subprocess.run(  # noqa: S603 - the tool to compare with
        [*_dying_with_us(), *command],
        env=_environment(folder),
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.stdout, ended.stderr
    return ended.stdout


def free_port_blocks(count: int, *, width: int = 4) -> tuple[int, ...]:
    """First ports of blocks that are free; a broker takes the ports around its own.

    They lie below the ephemeral range, so that no client's line takes one in between, and begin
    where no process with another number looks first: two may start their servers side by side.
    """
    first, last = 15000, 32000
    found: list[int] = []
    size = count * width
    port = first + os.getpid() % ((last - first) // size) * size
    while len(found) < count:
        if port + width > last:
            port = first
        if _all_free(range(port, port + width)):
            found.append(port)
        port += width
    return tuple(found)


@contextmanager
def running(servers: Sequence[ServerProcess]) -> Iterator[None]:
    """All of them, until the end of the block."""
    try:
        for server in servers:
            server.wait_ready()
        yield
    finally:
        for server in servers:
            server.kill()
        for server in servers:
            server.join()


def _all_free(ports: range) -> bool:
    with ExitStack() as held:
        for port in ports:
            one = held.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((HOST, port))
            except OSError:
                return False
    return True


def _dying_with_us() -> tuple[str, ...]:
    return ("setpriv", "--pdeathsig", "KILL", "nice", "-n", "5")


def _environment(folder: Path) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "JAVA_HOME") if key in os.environ}
    return {**kept, "HOME": str(folder), "ROCKETMQ_HOME": str(folder), "LC_ALL": "C.UTF-8"}
