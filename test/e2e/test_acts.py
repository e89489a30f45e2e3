"""A random series of transfers, scalings and faults under live load: nothing is lost or stuck.

`make soak` runs a hundred acts, `make e2e` none: that takes an hour. ROCKETMQ_SEED chooses the
series, ROCKETMQ_ACTS how many of it, ROCKETMQ_FIRST_ACT where to begin (a series that was broken
off goes on there), ROCKETMQ_ACTS_S when to stop before all are done. Each act is told as it ends in
the file ROCKETMQ_ACTS_LOG.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

from e2e.deployed_operator import Operator
from e2e.faults import failing
from e2e.load import Load, Setting, start_load
from e2e.resources import NAME_SERVICE, apply, changed, name_servers, sample
from e2e.waiting import assert_ready, is_ready, servers, within
from fakes.acts import Act, Colour, State, acts
from fakes.waiting import pause
from fakes.witness import Object, Place

SEED = int(os.environ.get("ROCKETMQ_SEED", "1966"))
COUNT = int(os.environ.get("ROCKETMQ_ACTS", "5"))
FIRST = int(os.environ.get("ROCKETMQ_FIRST_ACT", "0"))
LIMIT_S = float(os.environ.get("ROCKETMQ_ACTS_S", "7200"))

RED, BLUE = ("Broker", "red"), ("Broker", "blue")
REFRESH_S = 4
"""For clients that look for routes every two seconds."""
POLL_S = 2
ACT_S = 300.0
"""An act that is not over after this time is stuck."""
FLOW_S = 90.0
LATELY_S = 5.0
READY_S = 420.0
END_S = 600.0
_STATES = [act.before for act in islice(acts(SEED), FIRST, FIRST + 1)]


@pytest.fixture(scope="module")
def place(make_namespace: Callable[..., Place], operator: Operator) -> Place:
    return make_namespace("acts", restricted=True)


def _brokers(state: State) -> Iterator[Object]:
    name_service, broker = sample("storageclass")
    yield changed(name_service, size=2)
    for (_, name), size in ((RED, state.size), (BLUE, 1)):
        named = {**broker, "metadata": {**broker["metadata"], "name": name}}
        yield changed(
            named,
            size=size,
            replicaPerGroup=0,
            routeRefreshSeconds=REFRESH_S,
            pvcRetentionPolicy="Delete",
            config={"transactionCheckInterval": "3000"},
        )


def _settled(place: Place, state: State) -> None:
    """All is Ready by its present spec, and just these brokers run."""
    for kind, name in (NAME_SERVICE, RED, BLUE):
        resource = place.get(kind, name)
        assert_ready(resource)
        assert resource["status"]["step"] == "", resource["status"]["step"]
    pods = {pod["metadata"]["name"]: is_ready(pod) for pod in servers(place)}
    groups = [f"red-{number}" for number in range(state.size)] + ["blue-0"]
    wanted = {f"{group}-master-0" for group in groups} | {"name-service-0", "name-service-1"}
    assert pods == dict.fromkeys(wanted, True), pods


@pytest.fixture(scope="module")
def ready(place: Place) -> State:
    """Two clusters as they were before the first act."""
    (state,) = _STATES
    apply(place, _brokers(state))
    within(READY_S, partial(_settled, place, state))
    return state


def _settings(home: Colour) -> Iterator[Setting]:
    limit_s = int(LIMIT_S + END_S + COUNT * ACT_S)
    shared = {"rate": 20, "poll_s": POLL_S, "audited": False, "limit_s": limit_s}
    yield Setting(topic="moving", cluster=home, **shared)
    yield Setting(
        topic="staying", cluster="red", delayed=20, delay_level=2, transactions=20, **shared
    )


@pytest.mark.timeout(LIMIT_S + END_S, func_only=True)
def test_random_acts_lose_nothing_and_all_come_to_their_end(
    place: Place, ready: State, operator: Operator, tell: Callable[[str], None]
) -> None:
    begun = time.monotonic()
    done = 0
    with ExitStack() as stack:
        loads = [
            stack.enter_context(
                start_load(place, name_servers(place), setting, pod=f"load-{setting.topic}")
            )
            for setting in _settings(ready.home)
        ]
        for act in islice(acts(SEED), FIRST, FIRST + COUNT):
            if time.monotonic() - begun > LIMIT_S:
                break
            _log(f"{_do_all(act, place, operator, loads)}")
            done += 1
        verdicts = [load.stop() for load in loads]
    took_s = time.monotonic() - begun
    tell(f"seed {SEED}, acts {FIRST} to {FIRST + done - 1} of {FIRST + COUNT} in {took_s:.0f} s")
    for verdict in verdicts:
        tell(str(verdict))
        assert verdict.lost == verdict.lost_unconfirmed == frozenset(), verdict
        assert (verdict.revived, verdict.early) == (frozenset(), frozenset())


def _log(line: str) -> None:
    if path := os.environ.get("ROCKETMQ_ACTS_LOG"):
        with Path(path).open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")


def _do_all(act: Act, place: Place, operator: Operator, loads: list[Load]) -> str:
    """Do one act while something fails, and wait until all is well; what was done, and how long."""
    begun = time.monotonic()
    try:
        with failing(act, place, operator):
            _do(act, place)
        within(ACT_S, partial(_settled, place, act.after))
        for load in loads:
            within(FLOW_S, partial(_assert_flowing, load))
    except AssertionError as error:
        error.add_note(f"in act {act}; go on with ROCKETMQ_FIRST_ACT={act.number}")
        raise
    return f"{act}: {time.monotonic() - begun:.0f} s"


def _assert_flowing(load: Load) -> None:
    assert load.sent_to(time.time() - LATELY_S)


def _do(act: Act, place: Place) -> None:
    if act.kind in ("move", "cancel"):
        _move(act, place)
    elif act.kind in ("grow", "shrink", "waver"):
        place.patch(*RED, {"spec": {"size": act.size}})
        if act.kind == "waver":
            pause(act.turn_s)
            place.patch(*RED, {"spec": {"size": act.before.size}})


def _move(act: Act, place: Place) -> None:
    home = act.before.home
    other: Colour = "blue" if home == "red" else "red"
    name = f"act-{act.number}"
    place.create(_transfer(name, home, other))
    if act.kind == "cancel":
        pause(act.turn_s)
        place.patch("TopicTransfer", name, {"spec": {"cancel": True}})
    phase = within(ACT_S, partial(_ended, place, name))
    assert phase == "Succeeded" or act.kind == "cancel", place.get("TopicTransfer", name)
    place.delete("TopicTransfer", name)
    if act.kind == "cancel" and phase == "Succeeded":
        # It was over before the user thought better of it.
        place.create(_transfer(f"{name}-back", other, home))
        assert within(ACT_S, partial(_ended, place, f"{name}-back")) == "Succeeded"


def _transfer(name: str, source: Colour, target: Colour) -> Object:
    spec = {"topic": "moving", "sourceCluster": source, "targetCluster": target}
    return {
        "apiVersion": "rocketmq.apache.org/v1alpha1",
        "kind": "TopicTransfer",
        "metadata": {"name": name},
        "spec": {**spec, "routeRefreshSeconds": REFRESH_S},
    }


def _ended(place: Place, name: str) -> str:
    status = place.get("TopicTransfer", name)["status"]
    assert status["phase"] in ("Succeeded", "RolledBack"), status
    return str(status["phase"])
