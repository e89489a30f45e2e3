"""Whole clusters behind a list of name servers: asks and tells every server that it concerns.

Nothing here stops at the first error: what each address answered is in the results, and a broker
set that has no master to write to is an error under its name. What a name
server does not know may still exist, so views are merged from all that answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from rocketmq.admin import Admin
from rocketmq.errors import RocketmqError, TopicNotExistError
from rocketmq.fanout import AT_ONCE, Results, each
from rocketmq.messages.brokers import RuntimeInfo
from rocketmq.messages.groups import ConsumeStats, SubscriptionGroup
from rocketmq.messages.settings import SettingsChange
from rocketmq.messages.topics import TopicConfig
from rocketmq.routes import (
    ClusterInfo,
    Disagreement,
    TopicRoute,
    disagreements,
    merged,
    merged_routes,
)

T = TypeVar("T")


class NoNameServerError(RocketmqError):
    """No name server answered; `errors` has what each said."""

    retriable = True

    def __init__(self, errors: Mapping[str, RocketmqError]) -> None:
        super().__init__("; ".join(str(error) for error in errors.values()) or "no name servers")
        self.errors = dict(errors)


class NoMasterError(RocketmqError):
    """A broker set has no master now: what was to be written there was not."""

    retriable = True

    def __init__(self, broker_name: str) -> None:
        super().__init__(f"{broker_name} has no master")


class ClusterView(msgspec.Struct, frozen=True):
    """What the name servers know, and what each broker says of itself."""

    name_servers: Results[ClusterInfo]
    info: ClusterInfo
    brokers: Results[RuntimeInfo]

    @property
    def disagreements(self) -> tuple[Disagreement, ...]:
        """Where the name servers that answered differ."""
        return disagreements(self.name_servers.values)


class Progress(msgspec.Struct, frozen=True):
    """How far a group is, over all broker sets; without those in `errors` it is no proof."""

    stats: ConsumeStats
    errors: dict[str, RocketmqError]


class Clusters(msgspec.Struct, frozen=True):
    """Clusters by the name servers that know them. `cluster` None means all clusters."""

    admin: Admin
    name_servers: tuple[str, ...]
    at_once: int = AT_ONCE

    async def view(self, cluster: str | None = None) -> ClusterView:
        """Name servers and brokers, all asked. Raises NoNameServerError."""
        servers = await self.infos()
        info = merged(servers.values.values())
        addresses = info.addresses(cluster)
        return ClusterView(
            servers, info, await self._each(addresses, self.admin.brokers.runtime_info)
        )

    async def infos(self) -> Results[ClusterInfo]:
        """Each name server's own view. Raises NoNameServerError."""
        return self._known(
            await self._each(self.name_servers, self.admin.name_servers.cluster_info)
        )

    async def info(self) -> ClusterInfo:
        """What the name servers know together. Raises NoNameServerError."""
        return merged((await self.infos()).values.values())

    async def topics(self) -> tuple[str, ...]:
        """Every topic that a name server knows, sorted. Raises NoNameServerError."""
        lists = self._known(await self._each(self.name_servers, self.admin.name_servers.topics))
        return tuple(sorted({topic for names in lists.values.values() for topic in names}))

    async def system_topics(self) -> tuple[str, ...]:
        """The names of clusters and brokers, which are topics. Raises NoNameServerError."""
        ask = self.admin.name_servers.system_topics
        lists = self._known(await self._each(self.name_servers, ask))
        return tuple(sorted({topic for names in lists.values.values() for topic in names}))

    async def topic_route(self, topic: str) -> TopicRoute:
        """The route that the name servers know together.

        Raises TopicNotExistError when all that answered say so, NoNameServerError if none did.
        """
        found = await self._each(
            self.name_servers, lambda one: self.admin.name_servers.topic_route(one, topic)
        )
        if found.values:
            return merged_routes(found.values.values())
        missing = [one for one in found.errors.values() if isinstance(one, TopicNotExistError)]
        if missing:
            raise missing[0]
        raise NoNameServerError(found.errors)

    async def save_topic(
        self,
        cluster: str,
        config: TopicConfig,
        *,
        replaced: Mapping[str, TopicConfig] | None = None,
    ) -> Results[None]:
        """Write a topic to every master; `replaced` has the records there, by address."""
        before = replaced or {}

        async def save(address: str) -> None:
            await self.admin.topics.save(address, config, replaced=before.get(address))

        return await self._masters(cluster, save)

    async def delete_topic(self, cluster: str, topic: str) -> Results[None]:
        """Delete a topic on every master, which their slaves follow, and then its routes."""
        brokers = await self._masters(cluster, lambda one: self.admin.topics.delete(one, topic))
        routes = await self._each(
            self.name_servers,
            lambda one: self.admin.name_servers.delete_topic(one, topic, cluster=cluster),
        )
        return brokers.joined(routes)

    async def save_group(self, cluster: str, config: SubscriptionGroup) -> Results[None]:
        """Write a group to every master."""
        return await self._masters(cluster, lambda one: self.admin.groups.save(one, config))

    async def delete_group(self, cluster: str, group: str, *, with_offsets: bool) -> Results[None]:
        """Delete a group on every master; its retry and dead-letter topics stay."""
        return await self._masters(
            cluster,
            lambda one: self.admin.groups.delete(one, group, with_offsets=with_offsets),
        )

    async def groups_of_topic(self, topic: str) -> Results[tuple[str, ...]]:
        """The groups that consume a topic, as each broker set of its route knows them."""
        readers = _readers(await self.topic_route(topic))
        return await self._each(readers, lambda one: self.admin.topics.groups(one, topic))

    async def progress(self, group: str, *, topic: str | None = None) -> Progress:
        """How far a group is: every master is asked, or a slave where there is none."""
        found = await self._each(
            (await self.info()).readers(),
            lambda one: self.admin.groups.consume_stats(one, group, topic=topic),
        )
        parts = tuple(found.values.values())
        table = {queue: state for part in parts for queue, state in part.offset_table.items()}
        return Progress(ConsumeStats(table, sum(part.consume_tps for part in parts)), found.errors)

    async def update_settings(
        self, cluster: str, changes: Mapping[str, str]
    ) -> Results[SettingsChange]:
        """Change settings of every broker, masters and slaves; look at each `not_taken`."""
        return await self._each(
            (await self.info()).addresses(cluster),
            lambda one: self.admin.brokers.update_settings(one, changes),
        )

    async def wipe_write_permission(self, broker_name: str) -> Results[int]:
        """Take the write permission from a broker set in every name server."""
        ask = self.admin.name_servers.wipe_write_permission
        return await self._each(self.name_servers, lambda one: ask(one, broker_name))

    async def add_write_permission(self, broker_name: str) -> Results[int]:
        """Give it back in every name server."""
        ask = self.admin.name_servers.add_write_permission
        return await self._each(self.name_servers, lambda one: ask(one, broker_name))

    async def _each(
        self, addresses: Iterable[str], call: Callable[[str], Awaitable[T]]
    ) -> Results[T]:
        return await each(addresses, call, at_once=self.at_once)

    async def _masters(self, cluster: str, call: Callable[[str], Awaitable[T]]) -> Results[T]:
        info = await self.info()
        done = await self._each(info.masters(cluster), call)
        missing = {name: NoMasterError(name) for name in info.without_master(cluster)}
        return Results(done.values, {**done.errors, **missing})

    def _known(self, results: Results[T]) -> Results[T]:
        if not results.values:
            raise NoNameServerError(results.errors)
        return results


def _readers(route: TopicRoute) -> tuple[str, ...]:
    return tuple(one.addresses[0] for one in route.broker_datas if one.addresses)
