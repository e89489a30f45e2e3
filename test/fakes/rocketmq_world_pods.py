"""The servers of the world as processes: the kubelet starts and stops them, sockets serve them.

Three threads meet here: the kubelet's (`start`, `state`, `stop`), the loop's (ticks and requests)
and the tests'. `lock` guards the model and what is remembered; nobody waits for the loop with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from fakes.kubelet import State
from fakes.rocketmq_world_answers import answer
from fakes.rocketmq_world_history import Call, Event, What
from fakes.rocketmq_world_listener import Line, Listener
from fakes.rocketmq_world_model import Broker, Faults, Model, Server, Timing
from fakes.rocketmq_world_settings import (
    Definition,
    NoImageError,
    NoStartError,
    config_maps,
    definition,
    server_container,
)
from fakes.witness import Object, Refused, Witness
from rocketmq.frames import Frame
from rocketmq.routes import MASTER_ID

TICK_S = 0.02
RESTART_S = 0.5
"""After this time a container that could not start is tried again."""


class Process(msgspec.Struct):
    """A pod's container. `ready` is what the kubelet believes, `serving` what a probe finds."""

    pod: Object
    address: str
    host_ip: str
    listener: Listener
    definition: Definition | None = None
    failure: State | None = None
    retry_at: float = 0.0
    ended_at: float | None = None
    serving: bool = False
    ready: bool = False
    failing_since: float | None = None


class Trap(msgspec.Struct):
    """Do something at a call that is still to come: at the last of `left`."""

    left: int
    action: Callable[[], object]
    effect: bool
    codes: frozenset[int]


class Pods:
    """A `kubelet.Runtime`; what happened is in `events` and `calls`."""

    def __init__(self, namespace: str, witness: Witness, timing: Timing) -> None:
        self.lock = threading.RLock()
        self.model = Model(timing)
        self.faults: dict[str, Faults] = {}
        self.processes: dict[str, Process] = {}
        self.storages: dict[str, str] = {}
        self.events: list[Event] = []
        self.calls: list[Call] = []
        self.traps: list[Trap] = []
        self._namespace = namespace
        self._witness = witness
        self._timing = timing
        self._origin = time.time() - time.monotonic()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    def now(self) -> float:
        """Seconds since the epoch that never go backwards."""
        return self._origin + time.monotonic()

    # The kubelet.

    def start(self, pod: Object, address: str, host_ip: str) -> None:
        """Start the pod's server, if it has one. Raises Refused: not yet."""
        if server_container(pod) is None:
            return
        name = pod["metadata"]["name"]
        if name in self.processes:
            raise Refused(409, f"the server of the former {name} has not ended")
        process = self.process(pod, address, host_ip)
        self.begin(process)
        self.processes[name] = process

    def state(self, pod: Object) -> State:
        """How the pod's server is; a pod without one is well."""
        process = self._process_of(pod)
        if process is None:
            return "ready"
        if process.failure and self.now() >= process.retry_at:
            self.begin(process)
        if process.failure:
            return process.failure
        if process.ready:
            return "ready"
        return "starting" if process.failing_since is None else "unready"

    def stop(self, pod: Object, *, removed: bool) -> bool:
        """SIGTERM; whether the server has ended by now."""
        process = self._process_of(pod)
        if process is None:
            return True
        if process.ended_at is None:
            runs = process.definition is not None and process.failure is None
            process.ended_at = self.now() + (self._timing.stop_s if runs else 0)
            if runs:
                self._note_permission(process)
                self.end(process, "stopped")
        if self.now() < process.ended_at:
            return False
        del self.processes[pod["metadata"]["name"]]
        at = process.definition
        if at and removed and not at.lasting:
            with self.lock:
                self.model.forget(at.storage)
        return True

    def _process_of(self, pod: Object) -> Process | None:
        found = self.processes.get(pod["metadata"]["name"])
        same = found is not None and found.pod["metadata"]["uid"] == pod["metadata"]["uid"]
        return found if same else None

    # Life of a process.

    def process(self, pod: Object, address: str, host_ip: str) -> Process:
        """A container that does not run yet."""
        listener = Listener(lambda line, request: self._handle(name, line, request))
        name: str = pod["metadata"]["name"]
        return Process(pod, address, host_ip, listener)

    def begin(self, process: Process) -> None:
        """Start the container; its `failure` says how that went. Raises Refused: not yet."""
        process.retry_at = self.now() + RESTART_S
        try:
            process.definition = self._definition(process)
            self.run(process, process.definition)
        except NoImageError:
            process.failure = "no-image"
        except (NoStartError, OSError) as error:
            if process.failure is None:
                self._note("crashed", process.pod["metadata"]["name"], "", str(error))
            process.failure = "crash-loop"
        else:
            process.failure, process.failing_since = None, None

    def _definition(self, process: Process) -> Definition:
        pod = process.pod
        maps = {name: self._read("ConfigMap", name).get("data", {}) for name in config_maps(pod)}
        volumes = pod["spec"].get("volumes", ())
        names = (one.get("persistentVolumeClaim", {}).get("claimName") for one in volumes)
        claims = {name: self._read("PersistentVolumeClaim", name) for name in names if name}
        uids = {name: claim["metadata"]["uid"] for name, claim in claims.items()}
        return definition(pod, process.address, process.host_ip, maps, uids)

    def _read(self, kind: str, name: str) -> Object:
        found = self._witness.find(kind, self._namespace, name)
        if found is None:
            raise Refused(404, f"no {kind} {name} to mount")
        return found

    def run(self, process: Process, at: Definition) -> None:
        """The server begins. Raises OSError when its port is taken."""
        with self.lock:
            server = self.model.start(at, self.faults.get(at.pod, Faults()), self.now())
            self.storages[at.pod] = at.storage
            # Before it can be asked anything: an answer may be its being ready.
            started = Event(self.now(), "started", at.pod, _group(server))
            self.events.append(started)
        try:
            if not server.faults.refusing:
                self._await(process.listener.open(process.address, at.port))
        except OSError:
            with self.lock:
                self.model.end(at.pod)
                self.events.remove(started)
            raise

    def end(self, process: Process, what: What, reason: str = "") -> None:
        """The server is no more."""
        at = process.definition
        assert at is not None
        with self.lock:
            group = _group(self.model.servers[at.pod])
            self.model.end(at.pod)
            process.serving = process.ready = False
            self._note(what, at.pod, group, reason)
        self._await(process.listener.close())

    def _note_permission(self, process: Process) -> None:
        """As the start script does when it ends."""
        at = process.definition
        assert at is not None
        with contextlib.suppress(Refused, NoImageError, NoStartError, LookupError):
            leaving = self._definition(process).leaving
            with self.lock:
                server = self.model.servers[at.pod]
                if isinstance(server, Broker) and server.id == MASTER_ID:
                    server.tables.note(server.settings["brokerPermission"], leaving=leaving)

    def apply_faults(self, pod: str) -> None:
        """What is wrong with a server that runs has changed."""
        with self.lock:
            server = self.model.servers.get(pod)
            if server is None:
                return
            before, server.faults = server.faults, self.faults.get(pod, Faults())
            process, port = self.processes[pod], server.definition.port
        if server.faults.refusing and not before.refusing:
            self._await(process.listener.close())
        if before.refusing and not server.faults.refusing:
            self._await(process.listener.open(process.address, port))

    def _note(self, what: What, pod: str, group: str, reason: str = "") -> None:
        with self.lock:
            self.events.append(Event(self.now(), what, pod, group, reason))

    # The loop.

    async def serve(self, started: threading.Event) -> None:
        """Run until `close`; the loop and its thread are the caller's."""
        self._loop = asyncio.get_running_loop()
        started.set()
        while not self._stopping.is_set():
            with self.lock:
                self.model.tick(self.now())
                for pod, server in self.model.servers.items():
                    self._probe(pod, server)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_S)
        for process in list(self.processes.values()):
            await process.listener.close()

    def close(self) -> None:
        """Let `serve` return."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    def _probe(self, pod: str, server: Server) -> None:
        process, now = self.processes.get(pod), self.now()
        if process is None:
            return
        serving = self.model.serving(server)
        if serving != process.serving:
            process.serving = serving
            process.failing_since = None if serving else now
            self._note("serving" if serving else "failing", pod, _group(server))
        if serving:
            process.ready = True
        elif process.failing_since and now >= process.failing_since + self._timing.unready_s:
            process.ready = False

    def _handle(self, pod: str, line: Line, request: Frame) -> None:
        trap = self._trap(self._record(pod, request))
        if trap and not trap.effect:
            trap.action()
            line.cut()
            return
        with self.lock:
            server = self.model.servers.get(pod)
            reply = answer(self.model, server, request, self.now()) if server else None
        if trap:
            trap.action()
        if reply is not None and not request.is_one_way:
            line.send(reply)

    def _record(self, pod: str, request: Frame) -> Call:
        with self.lock:
            call = Call(
                number=len(self.calls) + 1,
                at=self.now(),
                pod=pod,
                code=request.code,
                ext_fields=request.ext_fields,
                body=request.body,
            )
            self.calls.append(call)
        return call

    def _trap(self, call: Call) -> Trap | None:
        """The trap that this call springs; every trap that it matches comes nearer."""
        sprung = None
        with self.lock:
            for trap in list(self.traps):
                if trap.codes and call.code not in trap.codes:
                    continue
                trap.left -= 1
                if trap.left <= 0 and sprung is None:
                    sprung = trap
                    self.traps.remove(trap)
        return sprung

    def _await(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(work, self._loop).result(15)


def _group(server: Server) -> str:
    return server.name if isinstance(server, Broker) else ""
