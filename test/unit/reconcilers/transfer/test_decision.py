"""What may be done when, and what stands against a beginning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from fakes.topic_world import TopicWorld
from fakes.topic_world_clusters import NAMES, TOPIC, V4, V5, consumer, producer, two_clusters
from fakes.topic_world_model import Stored
from fakes.transfer_run import TransferRun
from rocketmq.calls import Request
from rocketmq.codes import READS as _READS
from rocketmq.codes import MQVersion, RequestCode
from rocketmq.messages.topics import TopicConfig

_SAVE_TOPIC = RequestCode.UPDATE_AND_CREATE_TOPIC
_BEFORE = {"CreateGroups", "CreateTopic", "AwaitConsumers", "OpenTarget", "CloseSource", "Drain"}
_AFTER = {"DeleteTopic", "DeleteGroups", "CreateRetryTopics"}
_ALLOWED: dict[tuple[int, str], set[str]] = {
    (RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, "b"): _BEFORE | _AFTER,
    (_SAVE_TOPIC, "b"): {"CreateTopic", "OpenTarget", "CreateRetryTopics"},
    (RequestCode.UPDATE_CONSUMER_OFFSET, "b"): {"CreateTopic"},
    (_SAVE_TOPIC, "a"): {"CloseSource"},
    (RequestCode.DELETE_TOPIC_IN_BROKER, "a"): {"DeleteTopic", "DeleteGroups"},
    (RequestCode.DELETE_TOPIC_IN_NAMESRV, "n"): {"DeleteTopic", "DeleteGroups"},
    (RequestCode.UPDATE_CONSUMER_OFFSET, "a"): {"DeleteTopic"},
    (RequestCode.DELETE_SUBSCRIPTIONGROUP, "a"): {"DeleteGroups"},
}
"""By what is written to which side: the stages that announce it. All else is only read."""
_READS_WITHOUT_NAME = {RequestCode.GET_KV_CONFIG}


@pytest.mark.parametrize("version", [V4, V5], ids=["4.9", "5.3"])
@pytest.mark.parametrize("ordered", [True, False])
async def test_what_is_done_was_announced_by_an_earlier_status(
    version: MQVersion, ordered: bool
) -> None:
    world = two_clusters(version)
    consumer(world)
    producer(world)
    world.advance(40)
    run = TransferRun(world)
    run.apply(ordered=ordered)
    done: set[tuple[int, str]] = set()

    def spy(_number: int, address: str, request: Request) -> None:
        what = (request.code, address[0])
        if what in _ALLOWED:
            cr = run.get()
            assert cr is not None
            done.add(what)
            assert cr.status.stage in _ALLOWED[what], (what, cr.status.stage)
            assert cr.status.phase == (
                "Completing" if cr.status.stage in _AFTER else "Transferring"
            )
            assert cr.metadata.finalizers
            assert cr.status.record is not None
        else:
            assert request.code in _READS or request.code in _READS_WITHOUT_NAME, what

    world.faults = spy
    cr = await run.run()
    assert cr is not None
    assert cr.status.phase == "Succeeded"
    assert {_SAVE_TOPIC, RequestCode.DELETE_TOPIC_IN_BROKER} <= {code for code, _ in done}


def _in_the_target(config: TopicConfig, *, messages: bool = False) -> Callable[[TopicWorld], None]:
    def change(world: TopicWorld) -> None:
        for master in world.masters("b"):
            master.save_topic(config)
            if messages:
                master.put(Stored(id="old", topic="orders"), "orders", 0)
        world.settle()

    return change


def _old_name_server(world: TopicWorld) -> None:
    world.name_servers[NAMES[0]].version = MQVersion.V4_9_3


@pytest.mark.parametrize(
    ("spec", "change", "reason", "words"),
    [
        ({"topic": "nothing"}, None, "UnknownTopic", "no broker of a has a topic nothing"),
        ({"sourceCluster": "c"}, None, "UnknownCluster", "cluster c"),
        ({"targetCluster": "c"}, None, "UnknownCluster", "cluster c"),
        ({"topic": "a-0"}, None, "SystemTopic", "a-0"),
        (
            {},
            _in_the_target(msgspec.structs.replace(TOPIC, write_queue_nums=2)),
            "TopicExists",
            "other settings",
        ),
        ({}, _in_the_target(TOPIC, messages=True), "TopicExists", "with messages"),
        ({}, _old_name_server, "UnsupportedVersion", "4.9.3"),
        (
            {"targetCluster": "a", "targetNameServers": ";".join(NAMES)},
            None,
            "SameCluster",
            "same cluster",
        ),
    ],
)
async def test_what_stands_against_a_beginning_is_told_and_nothing_is_changed(
    spec: dict[str, Any], change: Callable[[TopicWorld], None] | None, reason: str, words: str
) -> None:
    world = two_clusters()
    if change is not None:
        change(world)
    run = TransferRun(world)
    run.apply(**spec)
    written: list[int] = []

    def spy(_number: int, _address: str, request: Request) -> None:
        written.extend([request.code] if request.code not in _READS else [])

    world.faults = spy
    assert await run.reconcile() >= 15.0
    cr = run.get()
    assert cr is not None
    (ready,) = [one for one in cr.status.conditions if one.type == "Ready"]
    assert (ready.status, ready.reason) == ("False", reason)
    assert words in ready.message
    assert (cr.status.phase, cr.status.stage) == ("Waiting", "")
    assert not set(written) - _READS_WITHOUT_NAME
    assert [event.reason for event in run.events] == [reason]
    writes = len(run.client.writes)
    await run.reconcile()
    assert len(run.client.writes) == writes
    assert len(run.events) == 1


async def test_an_equal_empty_topic_on_the_target_is_used_and_stays_after_a_rollback() -> None:
    world = two_clusters()
    consumer(world)
    _in_the_target(TOPIC)(world)
    world.advance(40)
    run = TransferRun(world)
    run.apply()
    await run.run(until=lambda cr: cr.status.stage == "CloseSource")
    run.apply(cancel=True)
    cr = await run.run()
    assert cr is not None
    assert cr.status.phase == "RolledBack"
    assert all("orders" in one.topics for one in world.masters("b"))
