"""Operations on the subscription groups of a broker and on its clients (dossier 2.4)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from rocketmq.admin.perform import perform
from rocketmq.calls import Caller
from rocketmq.codes import ResponseCode
from rocketmq.errors import for_code
from rocketmq.messages import groups as messages
from rocketmq.messages.groups import (
    BrokerConsumeStats,
    ClientConnection,
    ConsumerConnection,
    ConsumeStats,
    GroupTable,
    ProducerInfo,
    SubscriptionGroup,
)


class Groups(msgspec.Struct, frozen=True):
    """Write to the master of each broker set; clients are known where they are connected."""

    caller: Caller

    async def all(self, address: str) -> GroupTable:
        """All groups of the broker, its own among them: 201 (2.4)."""
        return await perform(self.caller, address, messages.all_groups())

    async def get(self, address: str, group: str) -> SubscriptionGroup:
        """One group: 201 (2.4). Raises SubscriptionGroupNotExistError.

        Not 352: with it, a broker that makes groups for consumers makes the one asked for.
        """
        known = (await self.all(address)).subscription_group_table.get(group)
        if known is None:
            remark = f"No group {group} in this broker"
            raise for_code(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, remark, address)
        return known

    async def save(
        self, address: str, config: SubscriptionGroup, *, replaced: SubscriptionGroup | None = None
    ) -> None:
        """Create the group, or replace its whole record: 200 (2.4).

        `replaced` is the record that is there: of the attributes only the differences are sent.
        """
        await perform(self.caller, address, messages.save_group(config, replaced))

    async def create_all(self, address: str, configs: Iterable[SubscriptionGroup]) -> None:
        """Create groups that are not there, at once: 225 (2.4), from 5.3.1. Read them back."""
        await perform(self.caller, address, messages.create_groups(configs))

    async def delete(self, address: str, group: str, *, with_offsets: bool) -> None:
        """Delete the group on this broker: 207 (2.4). Succeeds for an unknown group.

        A consumer that is still online brings it back; its retry and dead-letter topics stay.
        """
        await perform(self.caller, address, messages.delete_group(group, with_offsets=with_offsets))

    async def consume_stats(
        self, address: str, group: str, *, topic: str | None = None
    ) -> ConsumeStats:
        """How far the group is, in one topic or in all with offsets: 208 (2.4)."""
        return await perform(self.caller, address, messages.consume_stats(group, topic))

    async def broker_consume_stats(
        self, address: str, *, ordered: bool = False
    ) -> BrokerConsumeStats:
        """How far every group is; `ordered` wants only ordered topics: 317 (2.4)."""
        return await perform(self.caller, address, messages.broker_consume_stats(ordered=ordered))

    async def consumer_ids(self, address: str, group: str) -> tuple[str, ...]:
        """The client ids of the group's connected consumers: 38 (2.4)."""
        return await perform(self.caller, address, messages.consumer_ids(group))

    async def consumer_connection(self, address: str, group: str) -> ConsumerConnection | None:
        """The connected consumers and what they subscribe to; None if nobody: 203 (2.4)."""
        return await perform(self.caller, address, messages.consumer_connection(group))

    async def producer_connections(self, address: str, group: str) -> tuple[ClientConnection, ...]:
        """The connected producers of a group: 204 (2.4)."""
        return await perform(self.caller, address, messages.producer_connections(group))

    async def all_producers(self, address: str) -> dict[str, tuple[ProducerInfo, ...]]:
        """The connected producers of every group: 328 (2.4), from 4.9."""
        return await perform(self.caller, address, messages.all_producers())
