"""A live load: a producer and consumers of the stock Java library in a pod, and the verdict.

The clients write down what they see (`fakes/load_journal.py`); nothing here counts for them. When
the producer has ended, a fresh group reads the whole topic again: what a consumer had before a
broker lost its disk is received, but no longer stored. Further groups may read along: slow ones,
and some that go away and come back.
"""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from e2e.messages import PROGRAM, start_pod
from e2e.metadata import masters, mqadmin
from e2e.versions import NEW
from e2e.waiting import within
from fakes.load_journal import Ack, Line, Receipt, is_ended, joined, whole_lines
from fakes.load_verdict import EvidenceError, Journals, Verdict, awaited, verdict
from fakes.waiting import pause
from fakes.witness import Place

LIMIT_S = 900
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
    """On each master; 0: the topic is there already."""
    cluster: str = ""
    """The RocketMQ cluster that the topic is made in; empty: every one."""
    with_groups: bool = False
    """Whether the groups of the readers are made first, for brokers that make none themselves."""
    ordered: bool = False
    """A thread's messages share a queue and are consumed in order; the library sends each once."""
    retries: int = 2
    """How often the library sends again what failed, to another broker; in order it never does."""
    delayed: int = 0
    """One message in so many has a delay level."""
    delay_level: int = 3
    """3 is 10 s, 5 is a minute."""
    timed: int = 0
    """One message in so many has a timer; RocketMQ 5."""
    timer_s: int = 10
    transactions: int = 0
    """One message in so many is a transaction: committed, left undecided, or rolled back."""
    poll_s: int = 0
    """How often clients look for routes; 0: as the library does, every 30 s."""
    limit_s: int = LIMIT_S
    """Clients end by themselves after this time, and the verdict is then refused."""
    audited: bool = True
    """Whether a fresh group reads everything at the end."""
    version: str = NEW
    """Of the client library."""

    def producing(self) -> dict[str, object]:
        """Options of the producer alone."""
        where = {"cluster": self.cluster} if self.cluster else {}
        return {
            **where,
            "rate": self.rate,
            "threads": self.threads,
            "queues": self.queues,
            "retries": self.retries,
            "delayed": self.delayed,
            "delay-level": self.delay_level,
            "timed": self.timed,
            "timer-seconds": self.timer_s,
            "transactions": self.transactions,
        }


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
        self._consumer = self._reader("consumed", "live")
        self._auditor = self._reader("stored", "audit")
        self._others: dict[str, Reader] = {}

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *error: object) -> None:
        self._place.delete("Pod", self._pod)

    def begin(self) -> None:
        """Start both clients; a message was acknowledged and one was received on return."""
        self._producer.start("produce", **self._shared(), **self._setting.producing())
        self._producer.wait_for(Ack)
        self._make_groups(self._consumer, self._auditor)
        self._consumer.come()

    def read_along(self, name: str, *, slow_ms: int = 0, from_last: bool = False) -> Reader:
        """Start a further group; it is to get every message, and has got one on return.

        One that takes what comes after its start (`from_last`) does not get the first ones.
        """
        reader = self._reader(name, name, slow=slow_ms, **{"from-last": str(from_last).lower()})
        self._make_groups(reader)
        reader.come()
        self._others[name] = reader
        return reader

    def _make_groups(self, *readers: Reader) -> None:
        if self._setting.with_groups:
            for reader in readers:
                for broker in masters(self._place):
                    what = ("-b", broker, "-g", reader.group)
                    mqadmin(self._place, self._pod, "updateSubGroup", *what)

    def journals(self) -> Journals:
        """What the clients have written until now."""
        return Journals(
            self._producer.read(),
            self._consumer.read(),
            self._auditor.read() if self._setting.audited else None,
            {name: reader.read() for name, reader in self._others.items()},
        )

    def groups(self) -> set[str]:
        """The groups that read along, the live one among them."""
        return {reader.group for reader in (self._consumer, *self._others.values())}

    def sent_to(self, since: float) -> set[str]:
        """The groups of brokers that acknowledged a message since then, in seconds."""
        lines = self._producer.read()
        return {one.broker for one in lines if isinstance(one, Ack) and one.at_ms > since * 1000}

    def stop(self, *, within_s: float = DRAIN_S) -> Verdict:
        """End the producer, let the readers get every acknowledged message, and judge.

        What they have not got `within_s` is lost, erased or missed. EvidenceError (an
        AssertionError) when a client died or ended early, or nothing was acknowledged.
        """
        self._producer.end()
        if self._setting.audited:
            self._auditor.come(wait=False)
        deadline = time.monotonic() + within_s
        while awaited(self.journals()) and time.monotonic() < deadline:
            pause(_POLL_S)
        readers = [self._consumer, *self._others.values()]
        readers += [self._auditor] if self._setting.audited else []
        for reader in readers:
            reader.leave()
        try:
            return verdict(self.journals())
        except EvidenceError as error:
            for said in (self._producer.said(), *(reader.said() for reader in readers)):
                error.add_note(said)
            raise

    def refusals(self, *codes: int) -> str:
        """What the libraries logged of answers with these response codes."""
        words = "|".join(f"CODE: {code} " for code in codes)
        logs = "/tmp/rocketmq-client-logs $HOME/logs/rocketmqlogs"
        script = f"grep -rhE '{words}' {_FOLDER} {logs} 2>/dev/null | head -n 20 || true"
        return self._place.kubectl("exec", self._pod, "--", "sh", "-c", script)

    def _process(self, name: str) -> _Process:
        return _Process(self._place, self._pod, name)

    def _reader(self, name: str, group: str, **options: object) -> Reader:
        own = {**self._shared(), "group": f"{group}-{self._run}", **options}
        return Reader(lambda part: self._process(f"{name}-{part}"), own)

    def _shared(self) -> dict[str, object]:
        return {
            "namesrv": self._name_servers,
            "topic": self._setting.topic,
            "run": self._run,
            "seconds": self._setting.limit_s,
            "ordered": str(self._setting.ordered).lower(),
            "poll": self._setting.poll_s,
        }


class Reader:
    """A consumer group of a load: one client, which may go away and come back."""

    def __init__(self, process: Callable[[int], _Process], options: Mapping[str, object]) -> None:
        self._process = process
        self._options = options
        self._parts: list[_Process] = []

    @property
    def group(self) -> str:
        """The name of the group."""
        return str(self._options["group"])

    def come(self, *, wait: bool = True) -> None:
        """Start its client; unless told otherwise, wait until it has received a message."""
        process = self._process(len(self._parts))
        process.start("consume", **self._options)
        self._parts.append(process)
        if wait:
            process.wait_for(Receipt)

    def leave(self) -> None:
        """End its client in order: what it has taken is committed."""
        self._parts[-1].end()

    def read(self) -> Sequence[Line]:
        """All that its clients have written."""
        return joined([part.read() for part in self._parts])

    def said(self) -> str:
        """The other output of its clients."""
        return "\n".join(part.said() for part in self._parts)


def start_load(
    place: Place, name_servers: str, setting: Setting = PLAIN, *, pod: str = "load"
) -> Load:
    """A load that runs: messages have been acknowledged and received when this returns."""
    start_pod(place, pod, setting.version, memory=_MEMORY)
    load = Load(place, pod, name_servers, setting)
    try:
        load.begin()
    except BaseException:
        place.delete("Pod", pod)  # or it would stand in the way of the next load as well
        raise
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
