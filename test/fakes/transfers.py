"""TopicTransfers between the two clusters of a `Pair`: made, watched and judged by tests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from fakes.cluster_export import Export
from fakes.remoting_proxy import RemotingProxy
from fakes.rocketmq_client import outgoing
from fakes.rocketmq_load import Load
from fakes.rocketmq_load_report import Report
from fakes.rocketmq_pairs import SOURCE, TARGET, Pair
from fakes.waiting import eventually, pause
from fakes.witness import Object, Place
from rocketmq.admin import Admin
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig
from rocketmq.pool import ClientSettings, Pool

ALL = os.environ.get("ROCKETMQ_EVERY_CALL", "") not in ("", "0")
"""Whether every call is to be tried and not a few of them: `make soak`."""
TRANSFER_S = 60.0
REFRESH_S = 1
"""What clients get to notice a route: those of `rocketmq_load` look twice a second."""
FORTH = (
    "Recorded",
    "CreateGroups",
    "CreateTopic",
    "AwaitConsumers",
    "OpenTarget",
    "CloseSource",
    "Drain",
)
"""The stages before the point of no return, in their order."""
ENDED = ("Succeeded", "RolledBack")


def transfer(topic: str, pair: Pair, network: RemotingProxy, **spec: Any) -> Object:
    """A TopicTransfer that is named for its topic; the operator reaches servers by the network."""
    addresses = ";".join(network.proxied(one) for one in pair.name_servers)
    basics = {
        "topic": topic,
        "sourceCluster": SOURCE,
        "targetCluster": TARGET,
        "nameServers": addresses,
        "routeRefreshSeconds": REFRESH_S,
    }
    return {
        "apiVersion": "rocketmq.apache.org/v1alpha1",
        "kind": "TopicTransfer",
        "metadata": {"name": topic.lower()},
        "spec": basics | spec,
    }


def status(place: Place, topic: str) -> Object:
    """The transfer's status; LookupError before it has one."""
    found: Object = place.get("TopicTransfer", topic.lower())["status"]
    return found


def wait_phase(place: Place, topic: str, *phases: str, within_s: float = TRANSFER_S) -> Object:
    """Wait until the transfer is in one of these phases."""

    def check() -> Object:
        seen = status(place, topic)
        assert seen["phase"] in phases, seen
        return seen

    return eventually(check, within_s=within_s)


def wait_stage(place: Place, topic: str, stage: str, *, within_s: float = TRANSFER_S) -> Object:
    """Wait until a transfer has come as far as this stage, or further."""
    reached = FORTH[FORTH.index(stage) :]

    def check() -> Object:
        seen = status(place, topic)
        assert seen["stage"] in reached or seen["phase"] in ENDED, seen
        return seen

    return eventually(check, within_s=within_s)


def cancel(place: Place, topic: str) -> None:
    """Ask for everything to be as it was before."""
    place.patch("TopicTransfer", topic.lower(), {"spec": {"cancel": True}})


def made(
    pair: Pair,
    topics: Sequence[str],
    *,
    groups: Sequence[str] = (),
    messages: int = 0,
    order: bool = False,
) -> None:
    """Topics of three queues on both source masters, and groups that consumed half of each queue.

    One master has more queues to read from than producers write to.
    """

    async def make(admin: Admin) -> None:
        for at, address in enumerate(pair.masters(SOURCE)):
            for topic in topics:
                config = TopicConfig(topic, 3, 3, order=order)
                await admin.topics.save(address, config)
                await _filled(admin, address, topic, messages)
                if at:
                    shrunk = TopicConfig(topic, 3, 2, order=order)
                    await admin.topics.save(address, shrunk, replaced=config)
            for group in groups:
                await admin.groups.save(address, SubscriptionGroup(group, retry_max_times=7))
                for topic in topics:
                    for queue in range(3):
                        await admin.offsets.commit(
                            address, group, topic, queue, offset=messages // 2
                        )

    with_admin(make)


async def _filled(admin: Admin, address: str, topic: str, messages: int) -> None:
    for number in range(messages):
        for queue in range(3):
            message = outgoing(topic, str(number).encode())
            await admin.clients.send(address, msgspec.structs.replace(message, queue_id=queue))


def with_admin(act: Callable[[Admin], Awaitable[None]]) -> None:
    """Do something with a client that goes past the network of the operator."""

    async def run() -> None:
        async with Pool(ClientSettings()) as pool:
            await act(Admin(pool))

    asyncio.run(run())


def topics_on(export: Export, cluster: str) -> dict[str, set[str]]:
    """The topics of an export by broker of one cluster."""
    return {
        name: set(broker["topics"])
        for name, broker in export["brokers"].items()
        if name.startswith(cluster)
    }


def groups_on(export: Export, cluster: str) -> set[str]:
    """The groups of an export on one cluster."""
    brokers = export["brokers"].items()
    return {group for name, one in brokers if name.startswith(cluster) for group in one["groups"]}


def acknowledged(load: Load, number: int, *, to: str = "") -> None:
    """Wait until so many messages (to one broker, or to any) were acknowledged."""

    def check() -> None:
        report = load.report()
        found = report.by_broker.get(to, 0) if to else len(report.acknowledged)
        assert found >= number, report

    eventually(check, within_s=TRANSFER_S)


def some_more(load: Load, number: int) -> None:
    """Wait until so many more messages were acknowledged."""
    acknowledged(load, len(load.acknowledged) + number)


def completed(load: Load, what: str) -> Report:
    """Stop sending and wait until every group has everything; AssertionError if one has not."""
    load.stop_sending()

    def check() -> None:
        assert load.quiet
        assert load.report().all_missing == {}, load.report()

    eventually(check, within_s=TRANSFER_S)
    pause(0.5)
    report = load.report()
    print(f"{what}: {report}")  # noqa: T201 - the figures, for whoever looks at them
    assert report.reordered == [], report
    return report


def consumed(pair: Pair, topic: str, group: str) -> None:
    """A group that is not online has consumed all that is there."""

    async def commit(admin: Admin) -> None:
        for address in pair.masters(SOURCE):
            for queue in range(3):
                end = await admin.topics.max_offset(address, topic, queue)
                await admin.offsets.commit(address, group, topic, queue, offset=end)

    with_admin(commit)
