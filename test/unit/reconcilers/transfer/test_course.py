"""Whole transfers in a topic world: nothing lost, all or nothing, and what users are told."""

from __future__ import annotations

from collections import Counter

import pytest

from fakes.topic_world import Fault, TopicWorld
from fakes.topic_world_clusters import V4, V5, consumer, producer, two_clusters
from fakes.topic_world_export import export, lost
from fakes.transfer_run import TransferRun
from rocketmq.calls import Request
from rocketmq.codes import READS, MQVersion, RequestCode

versions = pytest.mark.parametrize("version", [V4, V5], ids=["4.9", "5.3"])


def settled(world: TopicWorld, seconds: float = 120.0) -> None:
    world.advance(seconds)


@versions
async def test_a_topic_under_load_is_moved_and_nothing_is_lost(version: MQVersion) -> None:
    world = two_clusters(version)
    had, sends = consumer(world), producer(world)
    world.advance(30)
    run = TransferRun(world)
    run.apply()
    cr = await run.run()
    assert cr is not None
    assert (cr.status.phase, cr.status.lag) == ("Succeeded", 0)
    sends.until = world.now
    settled(world)
    assert sends.idle
    assert world.ledger.missing(had.group, ["orders"]) == set()
    assert lost(world, had, "orders") == set()
    source, target = export(world, "a")["brokers"], export(world, "b")["brokers"]
    assert all("orders" not in one["topics"] for one in source.values())
    assert all(one["topics"]["orders"].perm == 6 for one in target.values())
    assert all("payers" in one["groups"] for one in target.values())
    assert "orders" not in export(world, "a")["routes"]["n-0:9876"]


@versions
@pytest.mark.parametrize("at", ["CreateTopic", "OpenTarget", "CloseSource", "Drain"])
async def test_a_cancelled_transfer_leaves_everything_as_it_was(
    version: MQVersion, at: str
) -> None:
    world = two_clusters(version)
    had, sends = consumer(world), producer(world)
    world.advance(30)
    before = export(world, "b")
    source = export(world, "a")["brokers"]
    run = TransferRun(world)
    run.apply()
    await run.run(until=lambda cr: cr.status.stage == at)
    run.apply(cancel=True)
    cr = await run.run()
    assert cr is not None
    assert cr.status.phase == "RolledBack"
    sends.until = world.now
    settled(world)
    assert world.ledger.missing(had.group, ["orders"]) == set()
    assert export(world, "b") == before
    after = export(world, "a")["brokers"]
    for name, was in source.items():
        assert after[name]["topics"] == was["topics"]
        assert after[name]["groups"] == was["groups"]


class EachWriteTwice:
    """Whoever writes something for the first time dies before it is done; for the second, after."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, int, str, bytes]] = Counter()

    def __call__(self, _number: int, address: str, request: Request) -> Fault | None:
        if request.code in READS or request.code == RequestCode.GET_KV_CONFIG:
            return None
        what = (address, request.code, str(sorted(request.ext_fields.items())), request.body)
        self.seen[what] += 1
        return {1: Fault.DIES, 2: Fault.DIED}.get(self.seen[what])


def three_times(number: int, verb: str) -> str:
    """Of every three writes to the API server one is not done, and one is and nobody hears."""
    return "" if verb == "get" else ("before", "after", "")[number % 3]


@versions
@pytest.mark.parametrize("cancel_at", ["", "Drain", "DeleteGroups"])
async def test_an_operator_that_dies_at_any_write_leaves_what_its_successor_completes(
    version: MQVersion, cancel_at: str
) -> None:
    world = two_clusters(version)
    had, sends = consumer(world), producer(world)
    world.advance(30)
    before = export(world, "b")
    source = export(world, "a")["brokers"]
    run = TransferRun(world)
    run.apply()
    world.faults, run.client.faults = EachWriteTwice(), three_times
    if cancel_at:
        await run.run(until=lambda cr: cr.status.stage == cancel_at)
        run.apply(cancel=True)
    cr = await run.run()
    assert cr is not None
    assert run.deaths > 50
    world.successor()
    sends.until = world.now
    settled(world)
    assert world.ledger.missing(had.group, ["orders"]) == set()
    if not cancel_at:
        assert cr.status.phase == "Succeeded"
        return
    assert cr.status.phase == "RolledBack"
    assert export(world, "b") == before
    after = export(world, "a")["brokers"]
    for name, was in source.items():
        assert after[name]["topics"] == was["topics"]
        assert after[name]["groups"] == was["groups"]
