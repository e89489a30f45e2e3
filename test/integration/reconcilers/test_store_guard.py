"""The guard of a master's store, in front of replicas on loopback that say what they hold."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from fakes.frame_server import Answer, Server, frame, swallowing
from reconcilers.desired.files import GUARD_SCRIPT, REMOTING_SCRIPT, SERVER_SCRIPT

LIMIT_S = 20.0
RUNTIME_INFO = 28

# Names of pods do not resolve here. A name that is missing resolves nowhere.
NAMES = """
eval "over_tcp() $(declare -f ask | tail -n +2)"
ask() {
  case $1 in
    %s
    *) return 1 ;;
  esac
}
"""


def says(log_end: int, *, code: int = 0, binary: bool = False) -> bytes:
    """A replica's runtime information, as fastjson writes it."""
    table = (
        '{"table":{"bootTimestamp":"1","commitLogMaxOffset":"%d","commitLogMinOffset":"0",'
        '"brokerVersionDesc":"V5_3_3","putTps":"0.0 0.0 0.0"}}'
    )
    return frame(code, (table % log_end).encode(), binary=binary)


def tell(folder: Path, **known: object) -> None:
    """What the operator writes into a file of the pod, at once for its reader."""
    text = "".join(f"{key}={value}\n" for key, value in known.items())
    (folder / "new").write_text(text)
    (folder / "new").rename(folder / "group.conf")


class Guard:
    """One run of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def says(self, words: str) -> None:
        """Wait until it says this."""
        assert self.process.stdout is not None
        async with asyncio.timeout(LIMIT_S):
            while not any(words in line for line in self.lines):
                line = await self.process.stdout.readline()
                assert line, f"it ended; it said {self.lines}"
                self.lines.append(line.decode())

    async def ends(self) -> int:
        """Its exit status, once it has ended."""
        async with asyncio.timeout(LIMIT_S):
            rest, _ = await self.process.communicate()
        self.lines += rest.decode().splitlines()
        assert self.process.returncode is not None
        return self.process.returncode

    async def waits(self, for_s: float = 0.6) -> None:
        """It does not end meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                await self.process.wait()
        assert self.process.returncode is None, f"it ended; it said {self.lines}"


Start = Callable[..., "contextlib.AbstractAsyncContextManager[Guard]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Run the guard: beside these servers, with what the operator says, on this store."""

    @asynccontextmanager
    async def run(
        servers: Mapping[int, AbstractAsyncContextManager[int]],
        *,
        silent_s: int = 600,
        **known: object,
    ) -> AsyncIterator[Guard]:
        async with AsyncExitStack() as stack:
            ports = {n: await stack.enter_async_context(one) for n, one in servers.items()}
            cases = [
                f"broker-0-replica-{n}-0.b.shop.svc) over_tcp 127.0.0.1 {port} $3 ;;"
                for n, port in ports.items()
            ]
            (tmp_path / "server.sh").write_text(SERVER_SCRIPT)
            names = NAMES % "\n    ".join(cases)
            (tmp_path / "remoting.sh").write_text(REMOTING_SCRIPT + names)
            (tmp_path / "store-guard.sh").write_text(GUARD_SCRIPT)
            group = {"replicas": 1, "domain": "b.shop.svc", "replaced": ""}
            tell(tmp_path, **(group | known))
            process = await asyncio.create_subprocess_exec(
                "/bin/bash",
                str(tmp_path / "store-guard.sh"),
                str(tmp_path),
                str(tmp_path / "store"),
                env={
                    "PATH": "/usr/bin:/bin",
                    "BROKER_NAME": "broker-0",
                    "SILENT_S": str(silent_s),
                    "ASK_AGAIN_S": "0.05",
                },
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            try:
                yield Guard(process)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()

    return run


@pytest.fixture
def commit_log(tmp_path: Path) -> Path:
    folder = tmp_path / "store" / "commitlog"
    folder.mkdir(parents=True)
    return folder


def replica(answer: Answer) -> Server:
    return Server({RUNTIME_INFO: answer})


@asynccontextmanager
async def swallower() -> AsyncIterator[int]:
    with swallowing() as port:
        yield port


async def test_a_master_with_a_commit_log_starts_and_asks_nobody(
    start: Start, commit_log: Path
) -> None:
    (commit_log / "00000000000000000000").write_text("messages")
    server = replica(says(4096))
    async with start({1: server}, replaced="broker-0") as guard:
        assert await guard.ends() == 0
    assert server.asked == []


@pytest.mark.parametrize("binary", [False, True])
async def test_a_new_group_starts_as_soon_as_every_replica_holds_nothing(
    binary: bool, start: Start, commit_log: Path
) -> None:
    empty = says(0, binary=binary)
    async with start({1: replica(empty), 2: replica(empty)}, replicas=2) as guard:
        assert await guard.ends() == 0
    assert any("starting with an empty store" in line for line in guard.lines)


@pytest.mark.parametrize("store", ["no folder", "no files", "what is no log"])
async def test_an_empty_master_does_not_start_beside_a_replica_that_holds_messages(
    store: str, start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "store" / "commitlog"
    if store != "no folder":
        folder.mkdir(parents=True)
    if store == "what is no log":
        (folder / "lost+found").mkdir()
    async with start({1: replica(says(0)), 2: replica(says(4096))}, replicas=2) as guard:
        await guard.says("held by broker-0-replica-2-0 (4096 bytes): not starting")
        await guard.waits()
    assert len(guard.lines) == 1


async def test_it_starts_once_the_replicas_were_emptied(start: Start, commit_log: Path) -> None:
    server = replica(says(4096))
    async with start({1: server}, silent_s=0) as guard:
        await guard.says("not starting")
        server.answers[RUNTIME_INFO] = says(0)
        assert await guard.ends() == 0


async def test_a_replica_that_falls_silent_still_holds_what_it_held(
    start: Start, commit_log: Path
) -> None:
    server = replica(says(4096))
    async with start({1: server}, silent_s=0) as guard:
        await guard.says("not starting")
        server.answers[RUNTIME_INFO] = frame(1)
        await guard.waits()


async def test_a_store_that_is_being_copied_back_is_not_started_on(
    start: Start, commit_log: Path
) -> None:
    async with start({1: replica(says(4096))}) as guard:
        await guard.says("not starting")
        (commit_log / "00000000000000000000").write_text("the first half")
        await guard.waits()


@pytest.mark.parametrize(
    "servers",
    [{}, {1: replica(None)}, {1: replica(frame(16))}, {1: replica(frame(0, b"{}"))}],
    ids=["no such name", "no answer", "a refusal", "an answer without the figure"],
)
async def test_a_replica_that_does_not_say_what_it_holds_is_waited_for_no_longer_than_a_while(
    servers: Mapping[int, Server], start: Start, commit_log: Path
) -> None:
    async with start(servers, silent_s=4) as guard:
        begin = time.monotonic()
        await guard.says("waiting for broker-0-replica-1-0 to say what they hold, at most 4 s")
        assert await guard.ends() == 0
        assert time.monotonic() - begin >= 2.9  # bash counts whole seconds


async def test_where_a_volume_was_lost_a_silent_replica_is_waited_for_without_end(
    start: Start, commit_log: Path
) -> None:
    async with start({}, silent_s=0, replaced="broker-7 broker-0") as guard:
        await guard.says("its volume is newer than those of the replicas: not starting")
        await guard.waits()


HEADER = b'{"code":0,"flag":1,"language":"JAVA","opaque":1,"version":479}'
NEVER_ENDS = struct.pack(">II", 1 << 31, len(HEADER)) + HEADER


@pytest.mark.parametrize(
    "stranger",
    [
        replica(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        replica(struct.pack(">II", 8, 1 << 23) + b"\0" * (1 << 21)),
        replica(struct.pack(">II", 2, len(HEADER)) + HEADER),
        replica(NEVER_ENDS + b"x" * (1 << 16)),
        replica(says(4096)[:100]),
        Server({RUNTIME_INFO: says(4096, binary=True)}, piece=1, pause_s=1.0),
    ],
    ids=["another protocol", "too long a header", "no room", "too long a body", "cut", "trickle"],
)
async def test_an_answer_that_cannot_be_read_is_none_and_is_soon_given_up(
    stranger: Server, start: Start, commit_log: Path
) -> None:
    servers = {1: stranger, 2: replica(says(0))}
    async with start(servers, silent_s=0, replicas=2, replaced="broker-0") as guard:
        begin = time.monotonic()
        await guard.says("hold no messages; no answer from broker-0-replica-1-0\n")
        assert time.monotonic() - begin < 10
    assert stranger.asked


async def test_a_replica_behind_a_dead_line_keeps_no_other_from_being_heard(
    start: Start, commit_log: Path
) -> None:
    servers = {1: swallower(), 2: replica(says(4096))}
    async with start(servers, silent_s=0, replicas=2) as guard:
        begin = time.monotonic()
        await guard.says("held by broker-0-replica-2-0 (4096 bytes): not starting")
        assert time.monotonic() - begin < 10


@pytest.mark.parametrize("text", [None, "", "domain=b.shop.svc\nreplaced=\n", "replicas=\n"])
async def test_without_the_operators_word_it_does_not_start(
    text: str | None, start: Start, commit_log: Path, tmp_path: Path
) -> None:
    async with start({}, silent_s=600) as guard:
        await guard.says("at most 600 s")
        conf = tmp_path / "group.conf"
        conf.unlink()
        if text is not None:
            conf.write_text(text)
        assert await guard.ends() == 1
    assert "group.conf" in guard.lines[-1]


async def test_another_groups_loss_does_not_count(start: Start, commit_log: Path) -> None:
    async with start({}, silent_s=0, replaced="broker-00 broker-10") as guard:
        assert await guard.ends() == 0


async def test_what_the_operator_learns_later_counts_as_well(
    start: Start, commit_log: Path, tmp_path: Path
) -> None:
    async with start({}, silent_s=3) as guard:
        await guard.says("at most 3 s")
        tell(tmp_path, replicas=1, domain="b.shop.svc", replaced="broker-0")
        await guard.says("not starting before it is known")
        await guard.waits(4.0)


async def test_without_replicas_it_starts_at_once(start: Start, commit_log: Path) -> None:
    async with start({}, replicas=0) as guard:
        assert await guard.ends() == 0


async def test_it_ends_when_its_pod_is_stopped(start: Start, commit_log: Path) -> None:
    async with start({1: replica(says(4096))}) as guard:
        await guard.says("not starting")
        guard.process.send_signal(signal.SIGTERM)
        assert await guard.ends() == 143
