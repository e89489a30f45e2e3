import copy
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.apply import Line, Outcome, execute, reported
from controller.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    ThrottledError,
    UnreachableError,
)
from controller.metrics import Metrics
from controller.objects import Desired, Manifest, ObjectRef, OwnerReference, Resource
from controller.plan import APPLIED_FIELDS, Plan, Unchanged, Update, Waiting, plan
from fakes.kube_client import FakeKubeClient

SERVICE = Resource("", "v1", "services", "Service")
CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap")
STATEFUL_SET = Resource("apps", "v1", "statefulsets", "StatefulSet")

OWNER = OwnerReference(api_version="example.org/v1", kind="Broker", name="b", uid="owner-1")
OURS = msgspec.structs.replace(OWNER, controller=True)
OTHER = msgspec.structs.replace(OWNER, name="other", uid="owner-2", controller=True)
DYING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
EARLIER = msgspec.structs.replace(OWNER, uid="owner-0", controller=True)


def desired(resource: Resource, name: str, **fields: Any) -> Desired:
    return Desired(resource, {"metadata": {"name": name, "namespace": "mq"}, **fields})


def ref(resource: Resource, name: str) -> ObjectRef:
    return ObjectRef(resource, "mq", name)


def wishes() -> list[Desired]:
    """A small cluster in apply order."""
    return [
        desired(CONFIG_MAP, "config", data={"broker.conf": "a=1", "other": None}),
        desired(SERVICE, "headless", spec={"clusterIP": "None", "ports": [{"port": 10911}]}),
        desired(
            STATEFUL_SET,
            "master",
            spec={
                "replicas": 1,
                "template": {
                    "spec": {
                        "containers": [
                            {
                                "name": "broker",
                                "image": "i:1",
                                "env": [
                                    {"name": "A", "value": "1"},
                                    {"name": "B", "value": ""},
                                ],
                                "resources": {"limits": {"memory": "1024Mi", "cpu": 1}},
                            }
                        ],
                        "volumes": [{"name": "tmp", "emptyDir": {}}],
                    }
                },
            },
        ),
    ]


def defaults(resource: Resource, manifest: Manifest) -> None:
    """What an API server fills in and spells its own way."""
    if resource == SERVICE:
        spec = manifest["spec"]
        spec.setdefault("sessionAffinity", "None")
        for port in spec["ports"]:
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port["port"])
    if resource == STATEFUL_SET:
        manifest["spec"].setdefault("revisionHistoryLimit", 10)
        manifest["spec"]["template"]["spec"].setdefault("restartPolicy", "Always")
        container = manifest["spec"]["template"]["spec"]["containers"][0]
        container["imagePullPolicy"] = "IfNotPresent"
        container["resources"] = {"limits": {"memory": "1Gi", "cpu": "1"}}
        for variable in container["env"]:
            if variable.get("value") == "":
                del variable["value"]


@pytest.fixture
def server() -> FakeKubeClient:
    return FakeKubeClient(defaults=defaults)


def planned(server: FakeKubeClient, wanted: Sequence[Desired]) -> Plan:
    return plan(wanted, server.snapshots(), OWNER)


async def converged(server: FakeKubeClient, wanted: Sequence[Desired]) -> Outcome:
    return await execute(planned(server, wanted), server)


def actions(lines: Iterable[Line]) -> dict[str, str]:
    return {line.ref.name: line.action for line in lines}


def foreign(name: str, *owners: OwnerReference, **metadata: Any) -> Manifest:
    """A ConfigMap that somebody else made."""
    references = [msgspec.to_builtins(owner) for owner in owners]
    identity = {"name": name, "namespace": "mq", "ownerReferences": references}
    return {"kind": "ConfigMap", "metadata": identity | metadata, "data": {"theirs": "1"}}


async def test_what_is_missing_is_created_in_the_order_of_the_wishes(
    server: FakeKubeClient,
) -> None:
    outcome = await converged(server, wishes())
    assert [line.ref.name for line in outcome.writes] == ["config", "headless", "master"]
    assert {line.action for line in outcome.lines} == {"created"}
    stored = server.objects[ref(SERVICE, "headless")]
    (owner,) = stored["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == ("owner-1", True)
    assert (stored["apiVersion"], stored["kind"]) == ("v1", "Service")


async def test_a_second_plan_over_what_was_applied_is_empty(server: FakeKubeClient) -> None:
    await converged(server, wishes())
    second = planned(server, wishes())
    assert [type(step) for step in second.steps] == [Unchanged, Unchanged, Unchanged]
    server.calls.clear()
    outcome = await execute(second, server)
    assert (server.calls, outcome.writes) == ([], ())


async def test_drift_is_put_back_and_named(server: FakeKubeClient) -> None:
    await converged(server, wishes())
    service = server.objects[ref(SERVICE, "headless")]
    service["spec"]["clusterIP"] = "10.0.0.1"
    (line,) = (await converged(server, wishes())).writes
    stored = server.objects[ref(SERVICE, "headless")]
    version = stored["metadata"]["resourceVersion"]
    drifted = ("spec.clusterIP",)
    assert line == Line(ref(SERVICE, "headless"), "changed", drifted, version=version)
    assert stored["spec"]["clusterIP"] == "None"


async def test_fields_of_other_managers_stay(server: FakeKubeClient) -> None:
    await converged(server, wishes())
    theirs = copy.deepcopy(server.objects[ref(SERVICE, "headless")])
    theirs["metadata"]["annotations"]["team"] = "payments"
    server.put(SERVICE, theirs)
    changed = wishes()
    changed[1].manifest["spec"]["publishNotReadyAddresses"] = True
    await converged(server, changed)
    stored = server.objects[ref(SERVICE, "headless")]
    assert stored["metadata"]["annotations"]["team"] == "payments"
    assert stored["spec"]["publishNotReadyAddresses"] is True


async def test_a_field_that_we_stop_setting_is_released(server: FakeKubeClient) -> None:
    await converged(server, wishes())
    less = wishes()
    container = less[2].manifest["spec"]["template"]["spec"]["containers"][0]
    del container["env"][0]
    (line,) = (await converged(server, less)).writes
    assert line.paths == (f'metadata.annotations["{APPLIED_FIELDS}"]',)
    stored = server.objects[ref(STATEFUL_SET, "master")]["spec"]["template"]["spec"]
    assert [variable["name"] for variable in stored["containers"][0]["env"]] == ["B"]
    assert (await converged(server, less)).writes == ()


async def test_a_map_may_be_emptied(server: FakeKubeClient) -> None:
    await converged(server, [desired(CONFIG_MAP, "config", data={"a": "1"})])
    await converged(server, [desired(CONFIG_MAP, "config")])
    assert "data" not in server.objects[ref(CONFIG_MAP, "config")]


@pytest.mark.parametrize(
    ("owners", "message"),
    [
        ((), "ConfigMap mq/config exists and belongs to nobody"),
        ((OTHER,), "ConfigMap mq/config exists and belongs to Broker other"),
        # An owner that does not control is no claim.
        ((OWNER,), "ConfigMap mq/config exists and belongs to nobody"),
    ],
)
async def test_an_object_of_somebody_else_is_refused(
    server: FakeKubeClient, owners: tuple[OwnerReference, ...], message: str
) -> None:
    theirs = server.put(CONFIG_MAP, foreign("config", *owners))
    before = copy.deepcopy(server.objects[theirs])
    outcome = await converged(server, wishes())
    assert outcome.refused == (Line(theirs, "refused", reason="NameTaken", message=message),)
    assert server.objects[theirs] == before
    assert actions(outcome.writes) == {"headless": "created", "master": "created"}


async def test_an_object_that_the_cache_does_not_know_is_not_taken_over(
    server: FakeKubeClient,
) -> None:
    blind = planned(server, wishes())
    theirs = server.put(CONFIG_MAP, foreign("config", OTHER))
    outcome = await execute(blind, server)
    assert [line.reason for line in outcome.refused] == ["NameTaken"]
    assert server.objects[theirs]["data"] == {"theirs": "1"}


async def test_a_cache_that_lags_behind_our_own_create_makes_no_second_write(
    server: FakeKubeClient,
) -> None:
    blind = planned(server, wishes())
    await execute(blind, server)
    server.calls.clear()
    outcome = await execute(blind, server)
    assert server.writes == []
    assert {line.action for line in outcome.lines} == {"unchanged"}


@pytest.mark.parametrize("owner", [EARLIER, OURS])
async def test_an_object_that_is_going_away_is_waited_for(
    server: FakeKubeClient, owner: OwnerReference
) -> None:
    server.put(CONFIG_MAP, foreign("config", owner, **({} if owner is EARLIER else DYING)))
    first = planned(server, wishes())
    assert isinstance(first.steps[0], Waiting)
    outcome = await execute(first, server)
    assert actions(outcome.waiting) == {"config": "waiting"}
    assert (outcome.refused, len(outcome.writes)) == ((), 2)


async def test_what_was_written_is_told_with_what_a_cache_has_to_show(
    server: FakeKubeClient,
) -> None:
    made = (await converged(server, wishes())).writes
    stored = {at: found["metadata"] for at, found in server.objects.items()}
    assert [line.version for line in made] == [stored[line.ref]["resourceVersion"] for line in made]
    deleted = (await converged(server, [])).writes
    assert [line.uid for line in deleted] == [stored[line.ref]["uid"] for line in deleted]
    assert [line.version for line in deleted] == ["", "", ""]


async def test_what_is_not_desired_any_more_goes_in_reverse_order(server: FakeKubeClient) -> None:
    await converged(server, wishes())
    for theirs in (foreign("free"), foreign("others", OTHER)):
        server.put(CONFIG_MAP, theirs)
    writes = (await converged(server, wishes()[:1])).writes
    assert [line.ref.name for line in writes] == ["master", "headless"]
    assert sorted(found.name for found in server.objects) == ["config", "free", "others"]


async def test_only_the_object_that_was_seen_is_deleted(server: FakeKubeClient) -> None:
    old = server.put(CONFIG_MAP, foreign("surplus", OURS))
    stale = planned(server, [])
    server.remove(old)
    server.put(CONFIG_MAP, foreign("surplus", OTHER))
    with pytest.raises(ConflictError):
        await execute(stale, server)
    assert old in server.objects


@pytest.mark.parametrize("replaced", [True, False])
async def test_a_change_meets_no_other_object_than_the_one_that_was_seen(
    server: FakeKubeClient, replaced: bool
) -> None:
    await converged(server, [desired(CONFIG_MAP, "config", data={"a": "1"})])
    stale = planned(server, [desired(CONFIG_MAP, "config", data={"a": "2"})])
    assert isinstance(stale.steps[0], Update)
    server.remove(ref(CONFIG_MAP, "config"))
    if replaced:
        server.put(CONFIG_MAP, foreign("config", OTHER))
    with pytest.raises(ConflictError):
        await execute(stale, server)
    assert (ref(CONFIG_MAP, "config") in server.objects) == replaced


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InvalidError("spec.clusterIP: Invalid value: field is immutable"), "ImmutableField"),
        (
            InvalidError(
                "Forbidden: updates to statefulset spec for fields other than 'replicas', "
                "'ordinals' are forbidden"
            ),
            "ImmutableField",
        ),
        (InvalidError("spec.clusterIP: may not change once set"), "ImmutableField"),
        (InvalidError("spec.replicas: must be >= 0"), "Invalid"),
        (ForbiddenError("exceeded quota"), "Forbidden"),
    ],
)
async def test_a_refused_object_is_told_with_the_servers_sentence_and_the_others_go_on(
    server: FakeKubeClient, error: ApiError, reason: str
) -> None:
    server.refuse = lambda verb, at, _: error if (verb, at.name) == ("apply", "headless") else None
    outcome = await converged(server, wishes())
    assert outcome.refused == (
        Line(ref(SERVICE, "headless"), "refused", reason=reason, message=error.message),
    )
    assert actions(outcome.writes) == {"config": "created", "master": "created"}


@pytest.mark.parametrize(
    "error", [UnreachableError("cut"), ConflictError("busy"), ThrottledError("slow"), ApiError("5")]
)
async def test_an_error_that_may_pass_ends_the_plan_after_recording_what_was_done(
    server: FakeKubeClient, error: ApiError
) -> None:
    server.refuse = lambda verb, at, _: error if (verb, at.name) == ("apply", "headless") else None
    lines: list[Line] = []
    with pytest.raises(type(error)):
        await execute(planned(server, wishes()), server, record=lines.append)
    assert actions(lines) == {"config": "created"}
    assert list(server.objects) == [ref(CONFIG_MAP, "config")]


@given(crash_at=st.lists(st.integers(0, 7), max_size=5), shrink=st.booleans())
async def test_a_plan_that_dies_at_any_calls_ends_where_an_undisturbed_one_does(
    crash_at: list[int], shrink: bool
) -> None:
    """Before and after the write: the server may have done what it could not answer."""
    first, then = wishes(), wishes()[:2] if shrink else wishes()
    calm, stormy = FakeKubeClient(defaults=defaults), FakeKubeClient(defaults=defaults)
    for server in (calm, stormy):
        await converged(server, first)
    then[1].manifest["spec"]["publishNotReadyAddresses"] = True
    await converged(calm, then)
    for number in crash_at:
        count = iter(range(100))
        stormy.refuse = lambda *_, at=number, count=count: (
            UnreachableError("cut") if next(count) == at else None
        )
        try:
            await converged(stormy, then)
        except UnreachableError:
            continue
    stormy.refuse = lambda *_: None
    await converged(stormy, then)
    assert (await converged(stormy, then)).writes == ()
    assert sorted(map(str, stormy.objects)) == sorted(map(str, calm.objects))
    for at, stored in calm.objects.items():
        assert _without_versions(stormy.objects[at]) == _without_versions(stored)


def _without_versions(manifest: Manifest) -> Manifest:
    identity = {"uid": "", "resourceVersion": ""}
    return manifest | {"metadata": manifest["metadata"] | identity}


async def test_an_apply_that_changed_nothing_is_told_as_such() -> None:
    def rounding(_resource: Resource, manifest: Manifest) -> None:
        manifest["spec"] = {"size": 1}

    stubborn = FakeKubeClient(defaults=rounding)
    wish = [desired(SERVICE, "s", spec={"size": 2})]
    await converged(stubborn, wish)
    metrics = Metrics()
    value = metrics.registry.get_sample_value
    outcome = await execute(planned(stubborn, wish), stubborn, record=reported(metrics))
    assert [line.noop for line in outcome.lines] == [True]
    assert value("rocketmq_operator_apply_noop_total") == 1
    labels = {"verb": "apply", "kind": "Service"}
    assert value("rocketmq_operator_writes_total", labels) == 1
