from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.apply import Outcome
from fakes.gate_facts import NOW, a_broker, a_name_service, broker_facts, name_service_facts, seen
from reconcilers import reasons
from reconcilers.api.kube import ContainerStatus, PersistentVolumeClaim, Pod
from reconcilers.desired import names
from reconcilers.status.broker import broker_status
from reconcilers.steps.broker import decide
from reconcilers.steps.decision import GONE, Done, GrowClaim, LabelClaim, Progress, Restart
from reconcilers.steps.members import member_states
from reconcilers.steps.name_service import decide as decide_name_service
from reconcilers.steps.storage import (
    GROWS_AT_START,
    claim_steps,
    claim_trouble,
    grow_at_start,
    growing_words,
    volume_size,
)

POD = "broker-0-master-0"
OURS = {names.MANAGED_BY: names.MANAGER}
TEMPLATE = [{"spec": {"resources": {"requests": {"storage": "2Gi"}}}}]
SPEC = a_broker(storageMode="StorageClass", volumeClaimTemplates=TEMPLATE).spec
MIB = 1 << 20


def claim(
    asks: Any = "1Gi", has: Any = "1Gi", phase: str = "Bound", **metadata: Any
) -> PersistentVolumeClaim:
    given = {
        "metadata": {"name": f"broker-storage-{POD}", "uid": "c", "labels": OURS} | metadata,
        "spec": {"resources": {"requests": {"storage": asks}}},
        "status": {"phase": phase, "capacity": {"storage": has} if has else {}},
    }
    return msgspec.convert(given, PersistentVolumeClaim)


def told(type_: str, *, status: str = "True", ago_s: float = 0.0, **sizes: Any) -> Any:
    """A claim with this condition."""
    since = (NOW - timedelta(seconds=ago_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {
        "type": type_,
        "status": status,
        "message": "no room.",
        "lastTransitionTime": since,
    }
    found = msgspec.to_builtins(claim(**{"asks": "2Gi", "has": "1Gi"} | sizes))
    found["status"]["conditions"] = [condition]
    return msgspec.convert(found, PersistentVolumeClaim)


def steps(one: PersistentVolumeClaim, spec: Any = SPEC) -> list[GrowClaim | LabelClaim]:
    return list(claim_steps(spec, OURS, {POD: one}))


def test_a_claim_that_asks_for_less_than_the_spec_is_told_the_specs_size() -> None:
    assert steps(claim("1Gi")) == [GrowClaim(POD, f"broker-storage-{POD}", "c", "2Gi")]


@pytest.mark.parametrize(
    "one",
    [
        claim("2Gi"),
        claim("2048Mi"),
        claim("2Gi", "1Gi"),
        claim("3Gi", "3Gi"),
        claim("1Gi", "", phase="Pending"),
        claim("1Gi", phase="Lost"),
        claim("1Gi", deletionTimestamp="2026-01-01T00:00:00Z"),
    ],
    ids=["as wanted", "in another unit", "growing", "larger", "unbound", "lost", "being deleted"],
)
def test_any_other_claim_is_left_alone(one: PersistentVolumeClaim) -> None:
    assert steps(one) == []


def test_without_claims_in_the_spec_nothing_grows() -> None:
    assert steps(claim("1Gi"), a_broker(volumeClaimTemplates=TEMPLATE).spec) == []


def test_a_claim_of_another_operator_gets_our_labels_and_keeps_its_own() -> None:
    labelled = LabelClaim(POD, f"broker-storage-{POD}", "c", OURS)
    assert steps(claim("2Gi", labels={"app": "broker"})) == [labelled]


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_no_claim_is_ever_told_to_shrink(asks: int, wanted: int) -> None:
    template = [{"spec": {"resources": {"requests": {"storage": f"{wanted}Mi"}}}}]
    spec = a_broker(storageMode="NFS", volumeClaimTemplates=template).spec
    found = steps(claim(f"{asks}Mi", f"{asks}Mi"), spec)
    assert [one.size for one in found if isinstance(one, GrowClaim)] == (
        [f"{wanted}Mi"] if wanted > asks else []
    )


@pytest.mark.parametrize(
    ("one", "waits"),
    [
        (told("FileSystemResizePending", ago_s=120.0), True),
        (told("FileSystemResizePending", ago_s=119.0), False),
        (told("FileSystemResizePending", ago_s=600.0, status="False"), False),
        (told("FileSystemResizePending", ago_s=600.0, has="2Gi"), False),
        (told("Resizing", ago_s=600.0), False),
        (claim(), False),
    ],
)
def test_a_file_system_that_does_not_grow_in_use_within_two_minutes_waits_for_a_start(
    one: PersistentVolumeClaim, *, waits: bool
) -> None:
    runs = a_pod_made(ago_s=3600.0)
    assert grow_at_start({POD: one}, [runs], NOW) == (frozenset({POD}) if waits else frozenset())


def a_pod_made(*, ago_s: float) -> Pod:
    made = (NOW - timedelta(seconds=ago_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return msgspec.convert({"metadata": {"name": POD, "creationTimestamp": made}}, Pod)


@pytest.mark.parametrize(("ago_s", "waits"), [(601.0, True), (600.0, True), (599.0, False)])
def test_a_start_that_did_not_help_is_not_repeated(ago_s: float, *, waits: bool) -> None:
    pending = {POD: told("FileSystemResizePending", ago_s=600.0)}
    assert bool(grow_at_start(pending, [a_pod_made(ago_s=ago_s)], NOW)) is waits


def test_a_pod_that_is_not_there_needs_no_start() -> None:
    pending = {POD: told("FileSystemResizePending", ago_s=600.0)}
    assert grow_at_start(pending, [], NOW) == frozenset()


def test_a_broker_whose_volume_grows_at_its_start_goes_through_the_gate_as_any_other() -> None:
    cr = a_broker()
    replica = "broker-0-replica-1-0"
    both = broker_facts(cr, grow_at_start=frozenset({POD, replica}))
    decision = decide(cr, both, NOW)
    assert dict(decision.outdated) == {POD: GROWS_AT_START, replica: GROWS_AT_START}
    (restart,) = decision.steps
    assert isinstance(restart, Restart)
    assert (restart.pod, restart.why, restart.evict) == (replica, GROWS_AT_START, True)


def test_without_leave_to_restart_it_waits() -> None:
    cr = a_broker(allowRestart=False)
    decision = decide(cr, broker_facts(cr, grow_at_start=frozenset({POD})), NOW)
    assert decision.steps == ()
    assert decision.phase == "held"


def test_a_name_server_restarts_for_its_volume_too() -> None:
    cr = a_name_service()
    facts = name_service_facts({"ns-0": seen(), "ns-1": seen()})
    facts = msgspec.structs.replace(facts, grow_at_start=frozenset({"ns-0"}))
    decision = decide_name_service(cr, facts, NOW)
    (restart,) = decision.steps
    assert isinstance(restart, Restart)
    assert (restart.pod, restart.why) == ("ns-0", GROWS_AT_START)


@pytest.mark.parametrize("state", ["crashing", "missing", "terminating", "unscheduled"])
def test_a_volume_grows_whatever_its_broker_does(state: Any) -> None:
    cr = a_broker(storageMode="StorageClass", volumeClaimTemplates=TEMPLATE)
    facts = broker_facts(cr, {POD: seen(state=state)}, claims={POD: claim("1Gi")})
    grown = [one for one in decide(cr, facts, NOW).steps if isinstance(one, GrowClaim)]
    assert [one.pod for one in grown] == [POD]


def test_a_paused_resource_grows_nothing() -> None:
    cr = a_broker(
        storageMode="StorageClass",
        volumeClaimTemplates=TEMPLATE,
        annotations={names.PAUSED: "true"},
    )
    assert decide(cr, broker_facts(cr, claims={POD: claim("1Gi")}), NOW).steps == ()


REFUSED = Done(GrowClaim(POD, "data-x", "c", "2Gi"), "the storageclass must support resize.")


@pytest.mark.parametrize(
    ("claims", "done", "reason", "words"),
    [
        ({POD: claim(phase="Lost")}, (), reasons.VOLUME_LOST, f"delete the claim and pod {POD}"),
        ({POD: claim(phase="Lost")}, (REFUSED,), reasons.VOLUME_LOST, "does not exist any more"),
        (
            {POD: claim()},
            (REFUSED,),
            reasons.VOLUME_NOT_GROWN,
            "data-x was not allowed to grow to 2Gi: the storageclass must support resize; "
            "it is tried again: let the StorageClass allow it",
        ),
        (
            {POD: told("ControllerResizeError")},
            (),
            reasons.VOLUME_NOT_GROWN,
            "does not grow from 1Gi to 2Gi: no room; the driver tries again by itself",
        ),
        ({POD: told("NodeResizeError")}, (), reasons.VOLUME_NOT_GROWN, "no room"),
    ],
)
def test_trouble_with_a_claim_names_it_and_says_what_to_do(
    claims: Any, done: Any, reason: str, words: str
) -> None:
    found = claim_trouble(claims, done)
    assert found is not None
    assert found[0] == reason
    assert words in found[1]


@pytest.mark.parametrize(
    "one",
    [
        claim(),
        claim("2Gi", "1Gi"),
        told("ControllerResizeError", status="False"),
        told("ControllerResizeError", has="2Gi"),
        claim(has="", phase="Pending"),
    ],
)
def test_a_claim_that_is_well_or_on_its_way_is_no_trouble(one: PersistentVolumeClaim) -> None:
    assert claim_trouble({POD: one}, (Done(REFUSED.step), Done(REFUSED.step, GONE))) is None


def test_what_grows_is_told_until_it_has_grown_or_failed() -> None:
    growing = growing_words({POD: claim("2Gi", "1Gi")})
    assert growing is not None
    assert growing[0] == reasons.GROWING_VOLUMES
    assert "from 1Gi to 2Gi" in growing[1]
    assert growing_words({POD: claim("2Gi", "2Gi")}) is None
    assert growing_words({POD: told("ControllerResizeError")}) is None
    assert growing_words({POD: claim("2Gi", "", phase="Pending")}) is None


def test_the_largest_volume_is_told_in_the_words_of_its_claim() -> None:
    assert volume_size({"a": claim(has="1Gi"), "b": claim(has="1536Mi")}) == "1536Mi"
    assert volume_size({"a": claim(has="", phase="Pending")}) == ""
    assert volume_size({}) == ""


def guarded(cr: Any, servers: Any = None, **changes: Any) -> Any:
    """The facts of a Broker whose first master is asked by its guard whether it may start."""
    facts = broker_facts(
        cr, {POD: seen(state="starting", silent=True)} | (servers or {}), **changes
    )
    running = {"name": names.GUARD_CONTAINER, "state": {"running": {}}}
    pods = [
        msgspec.structs.replace(
            pod,
            status=msgspec.structs.replace(
                pod.status,
                init_container_statuses=(msgspec.convert(running, ContainerStatus),),
            ),
        )
        if pod.metadata.name == POD
        else pod
        for pod in facts.pods
    ]
    return msgspec.structs.replace(facts, pods=tuple(pods))


REPLICA, SECOND = "broker-0-replica-1-0", "broker-0-replica-2-0"


def test_an_empty_master_beside_a_replica_with_messages_waits_for_somebody_to_act() -> None:
    cr = a_broker()
    decision = decide(cr, guarded(cr, {REPLICA: seen(log_end=4096)}), NOW)
    assert decision.phase == "held"
    assert decision.steps == ()
    words = decision.waiting[POD]
    assert f"does not start beside {REPLICA}, which holds 4096 bytes" in words
    assert "copy them back" in words
    assert "deleting the claims and pods of the replicas" in words


@pytest.mark.parametrize(
    "replica",
    [
        seen(log_end=4096, revision="r1"),
        seen(log_end=4096, revision="r1", state="crashing"),
        seen(log_end=4096, revision="r1", state="starting", since_s=900.0),
    ],
    ids=["serves", "crashes", "hangs"],
)
def test_nothing_of_its_group_restarts_meanwhile(replica: Any) -> None:
    cr = a_broker()
    both = {REPLICA: replica, POD: seen(state="starting", silent=True, revision="r1", since_s=900)}
    decision = decide(cr, guarded(cr, both, replaced=("broker-0",)), NOW)
    assert decision.steps == ()
    assert decision.phase == "held"


def test_a_master_on_a_new_volume_waits_for_a_replica_that_is_silent() -> None:
    cr = a_broker()
    silent = {REPLICA: seen(state="starting", silent=True)}
    lost = decide(cr, guarded(cr, silent, replaced=("broker-0",)), NOW)
    assert lost.phase == "held"
    assert "before its replicas say whether they hold this group's messages" in lost.message
    assert f"bring back {REPLICA} (" in lost.message
    assert decide(cr, guarded(cr, silent, replaced=("broker-1",)), NOW).phase == "waiting"


def test_a_new_group_whose_master_asks_its_replicas_is_merely_starting() -> None:
    cr = a_broker()
    decision = decide(cr, guarded(cr, {REPLICA: seen(log_end=0)}), NOW)
    assert decision.phase == "waiting"
    assert decision.message == f"waits: {POD} is not ready yet"


SILENT = seen(state="starting", silent=True)
LOST: dict[str, Any] = {"replaced": ("broker-0",)}


@pytest.mark.parametrize(
    ("spec", "servers", "changes", "words"),
    [
        ({}, {REPLICA: seen(log_end=0)}, {}, ""),
        ({}, {REPLICA: seen(log_end=1)}, {}, f"beside {REPLICA}, which holds 1 bytes"),
        ({}, {REPLICA: seen(log_end=1)}, LOST, f"beside {REPLICA}, which holds 1 bytes"),
        ({}, {REPLICA: SILENT}, {}, ""),
        ({}, {REPLICA: seen(state="missing")}, LOST, f"bring back {REPLICA} ("),
        # All have answered: the guard lets it start at once.
        ({}, {REPLICA: seen(log_end=0)}, LOST, ""),
        ({"replicaPerGroup": 0}, {}, LOST, ""),
        (
            {"replicaPerGroup": 2},
            {REPLICA: seen(log_end=0), SECOND: SILENT},
            LOST,
            f"bring back {SECOND} (",
        ),
        ({"replicaPerGroup": 2}, {REPLICA: SILENT, SECOND: SILENT}, LOST, f"{REPLICA}, {SECOND} ("),
        ({"replicaPerGroup": 2}, {REPLICA: SILENT, SECOND: seen(log_end=9)}, {}, "holds 9 bytes"),
        # Another group's replica holds messages of its own.
        (
            {"size": 11},
            {REPLICA: seen(log_end=0), "broker-10-replica-1-0": seen(log_end=9)},
            {},
            "",
        ),
    ],
)
def test_what_keeps_a_master_with_an_empty_store_is_said(
    spec: dict[str, Any], servers: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    cr = a_broker(**spec)
    state = member_states(cr, guarded(cr, servers, **changes))[0]
    assert words in state.refuses_start
    assert bool(words) == bool(state.refuses_start)


def test_a_master_whose_guard_has_let_it_start_is_not_said_to_wait() -> None:
    cr = a_broker()
    facts = broker_facts(cr, {POD: SILENT, REPLICA: seen(log_end=4096)}, **LOST)
    assert member_states(cr, facts)[0].refuses_start == ""


def test_the_status_says_why_it_does_not_start() -> None:
    cr = a_broker()
    facts = guarded(cr, {REPLICA: seen(log_end=4096)})
    status = broker_status(cr, facts, Outcome(()), Progress(decide(cr, facts, NOW)), NOW)
    degraded = next(one for one in status.conditions if one.type == "Degraded")
    assert (degraded.status, degraded.reason) == ("True", reasons.EMPTY_MASTER)
    row = next(one for one in status.brokers if one.name == POD)
    assert row.reason == degraded.message
    assert "4096 bytes" in row.reason
