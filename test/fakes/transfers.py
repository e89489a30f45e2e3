"""TopicTransfers between the two clusters of a `Pair`: made, watched and judged by tests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from fakes.cluster_export import Export, export
from fakes.remoting_proxy import RemotingProxy
from fakes.rocketmq_client import outgoing
from fakes.rocketmq_load import GroupPlan, Load, LoadPlan
from fakes.rocketmq_load_report import Report
from fakes.rocketmq_pairs import SOURCE, TARGET, Pair
from fakes.waiting import eventually, pause
from fakes.witness import Object, Place
from rocketmq.admin import Admin
from rocketmq.errors import RocketmqError
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig
from rocketmq.pool import ClientSettings, Pool

ALL = os.environ.get("ROCKETMQ_EVERY_CALL", "") not in ("", "0")
"""Whether every call is to be tried and not a few of them: `make soak`."""
TRANSFER_S = 120.0
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
_KIND = "TopicTransfer"
_ENDED = ("Succeeded", "RolledBack")


class Scene(msgspec.Struct, frozen=True):
    """Two clusters, and a namespace whose operator reaches them by a network that can be cut."""

    pair: Pair
    network: RemotingProxy
    place: Place
    names: Iterator[int]

    def fresh(self, what: str) -> str:
        """A name that no other test has."""
        return f"{what}-{next(self.names)}"

    def create(self, topic: str, *, name: str = "", **spec: Any) -> None:
        """A TopicTransfer that is named for its topic, or otherwise."""
        basics = {
            "topic": topic,
            "sourceCluster": SOURCE,
            "targetCluster": TARGET,
            "nameServers": ";".join(self.network.proxied(one) for one in self.pair.name_servers),
            "routeRefreshSeconds": REFRESH_S,
        }
        self.place.create(
            {
                "apiVersion": "rocketmq.apache.org/v1alpha1",
                "kind": _KIND,
                "metadata": {"name": name or topic},
                "spec": basics | spec,
            }
        )

    @property
    def version(self) -> str:
        """`5.3.3`."""
        return self.pair.release.version

    def load(self, topic: str, *groups: GroupPlan, **plan: int) -> LoadPlan:
        """A load of the topic by clients that go past the network of the operator."""
        names = self.pair.name_servers
        return LoadPlan(name_servers=names, topic=topic, groups=groups, **plan)

    def delete(self, name: str) -> None:
        """Delete the resource, which asks for the same as to cancel it."""
        self.place.delete(_KIND, name)

    def cancel(self, name: str) -> None:
        """Ask for everything to be as it was before."""
        self.place.patch(_KIND, name, {"spec": {"cancel": True}})

    def status(self, name: str) -> Object:
        """The transfer's status; empty before it has one."""
        found: Object = self.place.get(_KIND, name).get("status", {})
        return found

    def stages(self) -> dict[str, str]:
        """How far every transfer is."""
        found = self.place.list(_KIND)
        return {one["metadata"]["name"]: one.get("status", {}).get("stage", "") for one in found}

    def ended(self, name: str) -> bool:
        """Whether nothing more is done."""
        return self.status(name).get("phase") in _ENDED

    def wait_phase(self, name: str, phase: str, *, within_s: float = TRANSFER_S) -> Object:
        """Wait until the transfer is in this phase."""

        def check() -> Object:
            seen = self.status(name)
            assert seen["phase"] == phase, seen
            return seen

        return eventually(check, within_s=within_s)

    def wait_stage(self, name: str, stage: str, *, within_s: float = TRANSFER_S) -> Object:
        """Wait until a transfer has come as far as this stage, or further."""
        reached = FORTH[FORTH.index(stage) :]

        def check() -> Object:
            seen = self.status(name)
            assert seen["stage"] in reached or seen["phase"] in _ENDED, seen
            return seen

        return eventually(check, within_s=within_s)

    def wait_gone(self, name: str) -> None:
        """Wait until the resource itself is no more."""

        def check() -> None:
            found = self.place.find(_KIND, name)
            assert found is None, found

        eventually(check, within_s=TRANSFER_S)

    def make(
        self,
        topics: Sequence[str],
        *,
        groups: Sequence[str] = (),
        messages: int = 0,
        order: bool = False,
    ) -> None:
        """Topics of three queues on both source masters, and groups that consumed half of each.

        One master has more queues to read from than producers write to.
        """

        async def make(admin: Admin) -> None:
            for at, address in enumerate(self.pair.masters(SOURCE)):
                for topic in topics:
                    config = TopicConfig(topic, 3, 3, order=order)
                    await admin.topics.save(address, config)
                    await _filled(admin, address, topic, messages)
                    shrunk = TopicConfig(topic, 3, 3 - at, order=order)
                    await admin.topics.save(address, shrunk, replaced=config)
                for group in groups:
                    await admin.groups.save(address, SubscriptionGroup(group, retry_max_times=7))
                    await _commit(admin, address, group, topics, messages // 2)

        with_admin(make)

    def consume(self, topic: str, group: str) -> None:
        """A group that is not online has consumed all that is there."""

        async def commit(admin: Admin) -> None:
            for address in self.pair.masters(SOURCE):
                for queue in range(3):
                    end = await admin.topics.max_offset(address, topic, queue)
                    with suppress(RocketmqError):  # the topic may have gone meanwhile
                        await admin.offsets.commit(address, group, topic, queue, offset=end)

        with_admin(commit)

    def export(self, *names: str) -> Export:
        """What all servers have that has one of these names in its own."""
        return export(self.pair, *names)

    def assert_moved(self, topic: str) -> None:
        """The topic is on the target alone."""
        found = self.export(topic)
        for name, broker in found["brokers"].items():
            assert (topic in broker["topics"]) is name.startswith(TARGET), found
        for routes in found["routes"]:
            assert {row[0] for row in routes[topic]} == {"target-0", "target-1"}, found


async def _filled(admin: Admin, address: str, topic: str, messages: int) -> None:
    for number in range(messages):
        for queue in range(3):
            message = outgoing(topic, str(number).encode())
            await admin.clients.send(address, msgspec.structs.replace(message, queue_id=queue))


async def _commit(
    admin: Admin, address: str, group: str, topics: Sequence[str], offset: int
) -> None:
    for topic in topics:
        for queue in range(3):
            await admin.offsets.commit(address, group, topic, queue, offset=offset)


def with_admin(act: Callable[[Admin], Awaitable[None]]) -> None:
    """Do something with a client that goes past the network of the operator."""

    async def run() -> None:
        async with Pool(ClientSettings()) as pool:
            await act(Admin(pool))

    asyncio.run(run())


def groups_on(found: Export, cluster: str) -> set[str]:
    """The groups of an export on one cluster."""
    brokers = found["brokers"].items()
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
