"""A live load: a producer and a consumer of the stock Java library in a pod, and the verdict.

The clients write down what they see (`fakes/load_journal.py`); nothing here counts for them. When
the producer has ended, a fresh group reads the whole topic again: what a consumer had before a
broker lost its disk is received, but no longer stored.
"""

from __future__ import annotations

import secrets
import shlex
import time

import msgspec

from e2e.messages import PROGRAM, start_pod
from e2e.versions import NEW
from e2e.waiting import within
from fakes.load_journal import Ack, Line, Receipt, is_ended, whole_lines
from fakes.load_verdict import EvidenceError, Journals, Verdict, awaited, verdict
from fakes.waiting import pause
from fakes.witness import Place

LIMIT_S = 900
"""Clients end by themselves after this time, and the verdict is then refused."""
DRAIN_S = 120.0
_START_S = 120.0
_END_S = 75.0
"""A send that was begun may take three timeouts; the program itself gives up after a minute."""
_EXEC_S = 30.0
_POLL_S = 1.0
_MEMORY = "768Mi"
_FOLDER = "/tmp/load"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of load."""

    topic: str = "load"
    """Made on every master. Not to be used by another load of this place."""
    rate: int = 50
    """Messages in a second, from all threads; what an outage held up is not made up for."""
    threads: int = 4
    queues: int = 4
    """On each master."""
    ordered: bool = False
    """A thread's messages share a queue and are consumed in order; the library sends each once."""
    version: str = NEW
    """Of the client library."""


PLAIN = Setting()


class Load:
    """A load that runs. Leaving it as a context ends it, with or without a verdict."""

    def __init__(self, place: Place, pod: str, name_servers: str, setting: Setting) -> None:
        self._place = place
        self._pod = pod
        self._name_servers = name_servers
        self._setting = setting
        self._run = secrets.token_hex(4)
        self._producer = self._process("produced")
        self._consumer = self._process("consumed")
        self._auditor = self._process("stored")

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *error: object) -> None:
        self._place.delete("Pod", self._pod)

    def begin(self) -> None:
        """Start both clients; a message was acknowledged and one was received on return."""
        setting = self._setting
        self._produce(rate=setting.rate, threads=setting.threads, queues=setting.queues)
        self._producer.wait_for(Ack)
        self._consume(self._consumer, "live")
        self._consumer.wait_for(Receipt)

    def journals(self) -> Journals:
        """What the clients have written until now."""
        return Journals(self._producer.read(), self._consumer.read(), self._auditor.read())

    def stop(self, *, within_s: float = DRAIN_S) -> Verdict:
        """End the producer, let both readers get every acknowledged message, and judge.

        What they have not got `within_s` is lost or erased. EvidenceError (an AssertionError) when
        a client died or ended early, or nothing was acknowledged.
        """
        self._producer.end()
        self._consume(self._auditor, "audit")
        deadline = time.monotonic() + within_s
        while awaited(self.journals()) and time.monotonic() < deadline:
            pause(_POLL_S)
        self._consumer.end()
        self._auditor.end()
        try:
            return verdict(self.journals())
        except EvidenceError as error:
            for process in (self._producer, self._consumer, self._auditor):
                error.add_note(process.said())
            raise

    def _process(self, name: str) -> _Process:
        return _Process(self._place, self._pod, name)

    def _produce(self, **options: int) -> None:
        self._producer.start("produce", **self._shared(), **options)

    def _consume(self, process: _Process, group: str) -> None:
        process.start("consume", **self._shared(), group=f"{group}-{self._run}")

    def _shared(self) -> dict[str, object]:
        return {
            "namesrv": self._name_servers,
            "topic": self._setting.topic,
            "run": self._run,
            "seconds": LIMIT_S,
            "ordered": str(self._setting.ordered).lower(),
        }


def start_load(
    place: Place, name_servers: str, setting: Setting = PLAIN, *, pod: str = "load"
) -> Load:
    """A load that runs: messages have been acknowledged and received when this returns."""
    start_pod(place, pod, setting.version, memory=_MEMORY)
    load = Load(place, pod, name_servers, setting)
    load.begin()
    return load


class _Process:
    """One process of the client's program in the pod, and its journal as far as it was read."""

    def __init__(self, place: Place, pod: str, name: str) -> None:
        self._place = place
        self._pod = pod
        self._journal = f"{_FOLDER}/{name}"
        self._lines: list[Line] = []
        self._read_bytes = 0
        self._pid = 0

    def start(self, command: str, **options: object) -> None:
        """Start it; it outlives the session that starts it."""
        words = [*PROGRAM, command, "--journal", self._journal]
        for name, value in options.items():
            words += [f"--{name}", str(value)]
        background = f"{shlex.join(words)} >{self._journal}.said 2>&1 & echo $!"
        self._pid = int(self._shell(f"mkdir -p {_FOLDER}; {background}"))

    def read(self) -> tuple[Line, ...]:
        """All it has written, but for a line that is not complete."""
        tail = f"tail -c +{self._read_bytes + 1} {self._journal}"
        said = within(_EXEC_S, lambda: self._shell(f"test ! -e {self._journal} || {tail}"))
        lines, length = whole_lines(said.encode("ascii"))
        self._lines += lines
        self._read_bytes += length
        return tuple(self._lines)

    def wait_for(self, kind: type[Line]) -> None:
        """Wait until it has written such a line; AssertionError with what it said instead."""

        def written() -> None:
            assert any(isinstance(line, kind) for line in self.read()), self.said()

        within(_START_S, written)

    def end(self) -> None:
        """Tell it to end and wait for its last line; the verdict misses it if it never comes."""
        self._shell(f"kill -TERM {self._pid} || true")
        deadline = time.monotonic() + _END_S
        while not is_ended(self.read()) and time.monotonic() < deadline:
            pause(_POLL_S)

    def said(self) -> str:
        """Its other output: errors of the program and warnings of the library."""
        path = f"{self._journal}.said"
        return self._shell(f"echo {path}; test ! -e {path} || tail -n 40 {path}")

    def _shell(self, script: str) -> str:
        return self._place.kubectl("exec", self._pod, "--", "sh", "-c", script)
