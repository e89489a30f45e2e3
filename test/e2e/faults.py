"""What fails on the node while somebody acts, and heals by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from e2e.deployed_operator import Operator
from fakes.acts import Act, Fault
from fakes.waiting import pause
from fakes.witness import Object, Place, Refused

HANG_S = 8.0
_COMPONENT = "app.kubernetes.io/component"


def signal_servers(place: Place, name: str, *pods: str) -> None:
    """Send a signal to the JVM in each of these pods."""
    script = (
        "for one in /proc/[0-9]*; do"
        f' [ "$(cat $one/comm)" != java ] || kill -{name} "${{one#/proc/}}"; done'
    )
    for pod in pods:
        place.kubectl("exec", pod, "--", "bash", "-c", script)


@contextmanager
def failing(act: Act, place: Place, operator: Operator) -> Iterator[None]:
    """Meanwhile what the act says fails at its time; it is over when this context is."""
    stopped = threading.Event()

    def fail() -> None:
        stopped.wait(act.fault_s)
        # A pod that is just going cannot fail any more.
        with suppress(AssertionError, LookupError, Refused):
            _fail(act.fault, act.chance, place, operator)

    thread = threading.Thread(target=fail, name="fault", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _fail(fault: Fault, chance: float, place: Place, operator: Operator) -> None:
    if fault == "operator":
        operator.place.delete("Pod", operator.leader()["metadata"]["name"], gracePeriodSeconds=0)
    elif fault == "name-server":
        place.delete("Pod", _pick(place, "name-server", chance))
    elif fault == "broker":
        signal_servers(place, "KILL", _pick(place, "broker", chance))
    elif fault:
        _hang(place, _pick(place, fault.removeprefix("hanging-"), chance))


def _hang(place: Place, pod: str) -> None:
    signal_servers(place, "STOP", pod)
    try:
        pause(HANG_S)
    finally:
        signal_servers(place, "CONT", pod)


def _pick(place: Place, component: str, chance: float) -> str:
    names = sorted(pod["metadata"]["name"] for pod in place.list("Pod") if _is(pod, component))
    return names[int(chance * len(names))]


def _is(pod: Object, component: str) -> bool:
    return bool(pod["metadata"].get("labels", {}).get(_COMPONENT) == component)
