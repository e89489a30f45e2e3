"""Operations on the topics of a broker (dossier 2.3)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from rocketmq.admin.perform import perform
from rocketmq.calls import Caller
from rocketmq.codes import ResponseCode
from rocketmq.errors import UnsupportedError, for_code
from rocketmq.messages import topics as messages
from rocketmq.messages.topics import TopicConfig, TopicStats, TopicTable


class Topics(msgspec.Struct, frozen=True):
    """Write to the master of each broker set: some versions take a write at a slave and lose it."""

    caller: Caller

    async def all(self, address: str) -> TopicTable:
        """All topics of the broker, its own among them: 21 (2.3)."""
        return await perform(self.caller, address, messages.all_topics())

    async def get(self, address: str, topic: str) -> TopicConfig:
        """One topic: 351, or 21 on a broker before 5.0 (2.3). Raises TopicNotExistError."""
        try:
            return await perform(self.caller, address, messages.topic(topic))
        except UnsupportedError:
            known = (await self.all(address)).topic_config_table.get(topic)
        if known is None:
            raise for_code(
                ResponseCode.TOPIC_NOT_EXIST, f"No topic {topic} in this broker", address
            )
        return known

    async def save(
        self, address: str, config: TopicConfig, *, replaced: TopicConfig | None = None
    ) -> None:
        """Create the topic, or replace its whole record: 17 (2.3).

        `replaced` is the record that is there: of the attributes only the differences are sent,
        for a broker refuses an immutable one that it has already. Permissions and numbers of
        queues are not checked by the broker, and 4.x does not keep `order`. Name servers hear of
        it a moment later.
        """
        await perform(self.caller, address, messages.save_topic(config, replaced))

    async def create_all(self, address: str, configs: Iterable[TopicConfig]) -> None:
        """Create topics that are not there, at once: 18 (2.3), from 5.3.0.

        At one that is there already with the same settings a 5.3 broker says SUCCESS and leaves
        out the rest: read them back.
        """
        await perform(self.caller, address, messages.create_topics(configs))

    async def delete(self, address: str, topic: str) -> None:
        """Delete the topic and its queues on this broker: 215 (2.3).

        Succeeds for an unknown topic; the route stays until the name servers are told. A 5.3
        broker whose timer wheel is off raises ServerFaultError, and has deleted the topic.
        """
        await perform(self.caller, address, messages.delete_topic(topic))

    async def stats(self, address: str, topic: str) -> TopicStats:
        """Offsets and time of the last message by queue: 202 (2.3). Raises TopicNotExistError."""
        return await perform(self.caller, address, messages.topic_stats(topic))

    async def max_offset(self, address: str, topic: str, queue_id: int) -> int:
        """The next offset to be written, 0 for an unknown topic: 30 (2.3)."""
        return await perform(self.caller, address, messages.max_offset(topic, queue_id))

    async def min_offset(self, address: str, topic: str, queue_id: int) -> int:
        """The oldest offset that is still there, 0 for an unknown topic: 31 (2.3)."""
        return await perform(self.caller, address, messages.min_offset(topic, queue_id))

    async def offset_at(self, address: str, topic: str, queue_id: int, timestamp_ms: int) -> int:
        """The first offset stored at or after a time: 29 (2.0)."""
        operation = messages.offset_at(topic, queue_id, timestamp_ms)
        return await perform(self.caller, address, operation)

    async def system_topics(self, address: str) -> tuple[str, ...]:
        """The topics that the broker made for itself: 305 (2.3)."""
        return await perform(self.caller, address, messages.system_topics())

    async def groups(self, address: str, topic: str) -> tuple[str, ...]:
        """The groups that consume it on this broker, now or once: 300 (2.4). Ask all masters."""
        return await perform(self.caller, address, messages.groups_of_topic(topic))
