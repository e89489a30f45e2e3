"""The kind TopicTransfer: its place among other objects, apart from what a transfer does."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from controller.objects import Change, ObjectMeta, ObjectRef
from fakes.topic_world_clusters import consumer, producer, two_clusters
from fakes.transfer_run import NAMESPACE, TransferRun
from reconcilers.api.kube import SECRET
from reconcilers.api.topic_transfer import FINALIZER, TOPIC_TRANSFER, TopicTransfer
from reconcilers.signing_caller import SigningCaller
from reconcilers.topic_transfer import edited, ended
from rocketmq.acl import Credentials, signed
from rocketmq.admin import Admin
from rocketmq.calls import Request

MOVE = ObjectRef(TOPIC_TRANSFER, NAMESPACE, "move")


def ready(run: TransferRun, name: str = "move") -> tuple[str, str]:
    cr = run.get(name)
    assert cr is not None
    (found,) = [one for one in cr.status.conditions if one.type == "Ready"]
    return found.reason, found.message


async def test_the_older_of_two_transfers_of_a_topic_goes_first() -> None:
    world = two_clusters()
    consumer(world)
    run = TransferRun(world)
    run.apply("first")
    world.advance(5)
    run.apply("second", targetCluster="a", sourceCluster="b")
    await run.reconcile("second")
    assert ready(run, "second")[0] == "AnotherTransfer"
    assert "shop/first" in ready(run, "second")[1]
    assert (await run.run("first")) is not None
    run.apply("third")
    await run.reconcile("second")
    assert ready(run, "second")[0] == "Transferring"
    await run.reconcile("third")
    assert ready(run, "third")[0] == "AnotherTransfer"


async def test_of_two_that_recorded_at_the_same_time_one_waits() -> None:
    world = two_clusters()
    run = TransferRun(world)
    run.apply("x")
    await run.reconcile("x")  # it has recorded, and changed nothing
    run.apply("w", sourceCluster="a")  # of the same second, and first by its name
    await run.reconcile("w")
    await run.reconcile("x")
    assert ready(run, "x")[0] == "AnotherTransfer"
    await run.run("w", until=lambda cr: cr.status.stage == "CreateTopic")


async def test_a_dry_run_holds_nothing_up_and_keeps_no_finalizer() -> None:
    world = two_clusters()
    consumer(world)
    world.advance(40)
    run = TransferRun(world)
    run.apply("plan", dryRun=True)
    run.apply("move")
    cr = await run.run("plan")
    assert cr is not None
    assert cr.status.phase == "Planned"
    assert [line[:3] for line in cr.status.plan] == [f"{step}/7" for step in range(1, 8)]
    assert "payers" in cr.status.plan[0]
    assert not cr.metadata.finalizers
    assert (await run.run("move")) is not None


async def test_it_is_held_by_a_finalizer_from_its_record_to_its_end() -> None:
    world = two_clusters()
    consumer(world)
    run = TransferRun(world)
    run.apply()
    await run.reconcile()
    cr = run.get()
    assert cr is not None
    assert (cr.status.stage, cr.metadata.finalizers) == ("Recorded", (FINALIZER,))
    cr = await run.run()
    assert cr is not None
    assert cr.metadata.finalizers == ()


async def test_one_that_is_deleted_is_undone_and_then_gone() -> None:
    world = two_clusters()
    consumer(world)
    producer(world)
    world.advance(40)
    run = TransferRun(world)
    run.apply()
    await run.run(until=lambda cr: cr.status.stage == "Drain")
    run.delete()
    assert await run.run() is None
    assert all(one.topics["orders"].perm == 6 for one in world.masters("a"))
    assert all("orders" not in one.topics for one in world.masters("b"))


async def test_one_that_is_deleted_after_the_point_of_no_return_ends_first() -> None:
    world = two_clusters()
    consumer(world)
    run = TransferRun(world)
    run.apply()
    await run.run(until=lambda cr: cr.status.phase == "Completing")
    run.delete()
    assert await run.run() is None
    assert all("orders" not in one.topics for one in world.masters("a"))
    assert all("orders" in one.topics for one in world.masters("b"))


async def test_one_whose_name_service_is_gone_waits_and_can_be_deleted() -> None:
    run = TransferRun(two_clusters())
    run.apply(nameServers="")
    await run.reconcile()
    assert ready(run)[0] == "NameServiceNotFound"
    run.client.objects[MOVE]["metadata"]["finalizers"] = [FINALIZER]
    run.client.objects[MOVE]["status"]["stage"] = "Drain"
    run.delete()
    await run.reconcile()
    assert run.get() is None


async def test_a_stored_spec_that_breaks_a_rule_is_told_and_not_tried_again() -> None:
    run = TransferRun(two_clusters())
    run.apply(targetCluster="a")
    assert await run.reconcile() == 60.0
    assert ready(run)[0] == "InvalidCluster"
    assert run.world.calls == []


async def test_a_record_that_cannot_be_read_is_never_written_over() -> None:
    run = TransferRun(two_clusters())
    run.apply()
    await run.reconcile()
    run.client.objects[MOVE]["status"]["record"] = "of another release"
    before = msgspec.json.encode(run.client.objects[MOVE])
    await run.reconcile()
    assert msgspec.json.encode(run.client.objects[MOVE]) == before
    run.client.objects[MOVE]["status"]["record"] = None
    run.client.objects[MOVE]["spec"]["topic"] = 7
    await run.reconcile()
    assert run.client.objects[MOVE]["status"]["conditions"][0]["reason"] == "InvalidSpec"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "no Secret account"),
        ({}, "needs the keys accessKey and secretKey"),
        ({"accessKey": "b3BlcmF0b3I="}, "needs the keys"),
        ({"accessKey": "b3BlcmF0b3I=", "secretKey": "/w=="}, "secretKey of Secret account"),
    ],
)
async def test_an_account_that_cannot_be_used_is_told_without_its_secret(
    data: dict[str, str] | None, words: str
) -> None:
    run = TransferRun(two_clusters())
    if data is not None:
        metadata = {"namespace": NAMESPACE, "name": "account"}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
        run.client.put(SECRET, secret)
    run.apply(credentialsSecret={"name": "account"})
    await run.reconcile()
    assert ready(run)[0] == "CredentialsNotFound"
    assert words in ready(run)[1]


async def test_each_side_is_asked_by_its_own_account() -> None:
    world = two_clusters()
    run = TransferRun(world)
    asked: list[Credentials | None] = []
    run.reconciler._admin_for = lambda account: asked.append(account) or Admin(world)  # type: ignore[func-returns-value]
    for name in ("one", "other"):
        data = {
            "accessKey": base64.b64encode(name.encode()).decode(),
            "secretKey": base64.b64encode(b"s3cret\n").decode(),
        }
        metadata = {"namespace": NAMESPACE, "name": name}
        run.client.put(
            SECRET, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
        )
    run.apply(credentialsSecret={"name": "one"})
    run.apply("both", credentialsSecret={"name": "one"}, targetCredentialsSecret={"name": "other"})
    await run.reconcile()
    await run.reconcile("both")
    one, other = Credentials("one", "s3cret"), Credentials("other", "s3cret")
    assert asked == [one, one, one, other]


async def test_what_is_signed_is_passed_on_signed() -> None:
    passed: list[Request] = []

    class Caller:
        async def call(self, _address: str, request: Request, **_: Any) -> Any:
            passed.append(request)

        async def send_one_way(self, _address: str, request: Request) -> None:
            passed.append(request)

    account = Credentials("operator", "s3cret")
    caller, request = SigningCaller(Caller(), account), Request(105, {"topic": "orders"})
    await caller.call("n:9876", request)
    await caller.send_one_way("n:9876", request)
    assert passed == [signed(request, account)] * 2


def cr(name: str, topic: str = "orders", phase: str = "", **metadata: Any) -> TopicTransfer:
    spec = {"topic": topic, "sourceCluster": "a", "targetCluster": "b"}
    given = {"metadata": {"name": name, "namespace": NAMESPACE, "uid": name} | metadata}
    return msgspec.convert(given | {"spec": spec, "status": {"phase": phase}}, TopicTransfer)


def test_a_status_that_we_wrote_wakes_nobody() -> None:
    old = cr("move", generation=1, resourceVersion="1")
    key = old.metadata.key
    status = cr("move", phase="Transferring", generation=1, resourceVersion="2")
    assert tuple(edited(Change(key, old, status))) == ()
    assert tuple(edited(Change(key, old, cr("move", generation=2)))) == (key,)
    assert tuple(edited(Change(key, None, old))) == (key,)
    assert tuple(edited(Change(key, old, None))) == (key,)


def test_the_end_of_a_transfer_wakes_those_that_waited_for_it() -> None:
    run = TransferRun(two_clusters())
    run.apply("second")
    run.apply("elsewhere", topic="refunds")
    trigger = ended(run.reconciler.cached)
    old = cr("first", phase="Completing")
    (second,) = trigger(Change(old.metadata.key, old, cr("first", phase="Succeeded")))
    assert second.name == "second"
    assert tuple(trigger(Change(old.metadata.key, old, None))) == (second,)
    assert tuple(trigger(Change(old.metadata.key, old, old))) == ()
    assert isinstance(old.metadata, ObjectMeta)
