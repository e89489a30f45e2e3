"""Operations of name servers (dossier 2.1); each asks or tells one of them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from rocketmq.admin.perform import perform
from rocketmq.admin.settings import change_settings
from rocketmq.calls import Caller
from rocketmq.codes import RequestCode, ResponseCode, version_name
from rocketmq.errors import for_code
from rocketmq.messages import name_servers as messages
from rocketmq.messages.settings import Server, Settings, SettingsChange, get_settings
from rocketmq.routes import BrokerData, ClusterInfo, TopicRoute
from rocketmq.versions import supports


class NameServers(msgspec.Struct, frozen=True):
    """Name servers do not talk to each other: tell every one what all should know."""

    caller: Caller

    async def cluster_info(self, address: str) -> ClusterInfo:
        """Clusters, broker sets and addresses: 106 (2.1).

        Empty for up to 30 seconds after the name server started.
        """
        return await perform(self.caller, address, messages.cluster_info())

    async def topic_route(self, address: str, topic: str) -> TopicRoute:
        """Where a topic's queues are: 105 (2.1). Raises TopicNotExistError."""
        return await perform(self.caller, address, messages.topic_route(topic))

    async def topics(self, address: str) -> tuple[str, ...]:
        """Every topic, those of the servers and of groups among them: 206 (2.1)."""
        return await perform(self.caller, address, messages.topics())

    async def topics_of_cluster(self, address: str, cluster: str) -> tuple[str, ...]:
        """The topics of a cluster's broker sets, none for an unknown cluster: 224 (2.1)."""
        return await perform(self.caller, address, messages.topics_of_cluster(cluster))

    async def system_topics(self, address: str) -> tuple[str, ...]:
        """The names of clusters and brokers, which are topics too: 304 (2.1)."""
        return await perform(self.caller, address, messages.system_topics())

    async def wipe_write_permission(self, address: str, broker_name: str) -> int:
        """Take the write permission from all routes of a broker set: 205 (2.1).

        The number of topics changed, 0 for an unknown set. The broker does not know of it, and a
        new consumer group undoes it: repeat it, or set `brokerPermission` on the broker.
        """
        return await perform(self.caller, address, messages.wipe_write_permission(broker_name))

    async def add_write_permission(self, address: str, broker_name: str) -> int:
        """Make all routes of a broker set readable and writable: 327 (2.1), from 4.9.2.

        The number of topics changed; they get permission 6 whatever they had before.
        """
        await self._require(address, RequestCode.ADD_WRITE_PERM_OF_BROKER)
        return await perform(self.caller, address, messages.add_write_permission(broker_name))

    async def delete_topic(self, address: str, topic: str, *, cluster: str | None = None) -> None:
        """Forget a topic's route, or from 4.9.4 on only its part in `cluster`: 216 (2.1).

        Succeeds for a topic that is not there.
        """
        await perform(self.caller, address, messages.delete_topic(topic, cluster))

    async def broker_members(
        self, address: str, cluster: str, broker_name: str
    ) -> BrokerData | None:
        """The brokers of one set: 901 (2.1), from 5.0."""
        await self._require(address, RequestCode.GET_BROKER_MEMBER_GROUP)
        return await perform(self.caller, address, messages.broker_members(cluster, broker_name))

    async def settings(self, address: str) -> Settings:
        """The name server's settings: 319 (2.1)."""
        return await perform(self.caller, address, get_settings(Server.NAME_SERVER))

    async def update_settings(self, address: str, changes: Mapping[str, str]) -> SettingsChange:
        """Change settings and read them back: 318, 319 (2.1); look at `not_taken`.

        Raises NoPermissionError for a black-listed key.
        """
        return await change_settings(self.caller, address, Server.NAME_SERVER, changes)

    async def put_pair(self, address: str, namespace: str, key: str, value: str) -> None:
        """Keep a value, as for ordered topics: 100 (2.1)."""
        await perform(self.caller, address, messages.put_pair(namespace, key, value))

    async def pair(self, address: str, namespace: str, key: str) -> str | None:
        """A kept value: 101 (2.1)."""
        return await perform(self.caller, address, messages.pair(namespace, key))

    async def delete_pair(self, address: str, namespace: str, key: str) -> None:
        """Drop a kept value: 102 (2.1). Succeeds for one that is not there."""
        await perform(self.caller, address, messages.delete_pair(namespace, key))

    async def pairs(self, address: str, namespace: str) -> dict[str, str]:
        """All values of a namespace: 219 (2.1)."""
        return await perform(self.caller, address, messages.pairs(namespace))

    async def version(self, address: str) -> int:
        """The name server's MQVersion ordinal, as every answer has it: 101 (2.1)."""
        return await perform(self.caller, address, messages.server_version())

    async def _require(self, address: str, code: RequestCode) -> None:
        # A name server before 5.0 does not answer a code that it does not know: a call would run
        # into its time-out, and say nothing of the reason.
        version = await self.version(address)
        if not supports(version, code):
            refused = ResponseCode.REQUEST_CODE_NOT_SUPPORTED
            raise for_code(refused, f"not in {version_name(version)}", address)
