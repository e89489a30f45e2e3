"""Operations on the consumer offsets of a broker (dossier 2.4)."""

from __future__ import annotations

import msgspec

from rocketmq.admin.perform import perform
from rocketmq.calls import Caller
from rocketmq.fastjson import MessageQueue
from rocketmq.messages import offsets as messages
from rocketmq.messages.offsets import CommittedOffsets


class Offsets(msgspec.Struct, frozen=True):
    """Ask and tell the master: a slave takes its offsets over from time to time.

    4.9 every 10 seconds, 5.x every minute; 5.5.0 not at all once somebody has pulled from the
    master (https://github.com/apache/rocketmq/issues/10284).
    """

    caller: Caller

    async def committed(self, address: str, group: str, topic: str, queue_id: int) -> int | None:
        """The committed offset, None without one: 14 (2.4).

        A 4.x broker says 0 for a queue without one whose first message is still there.
        """
        operation = messages.committed_offset(group, topic, queue_id)
        return await perform(self.caller, address, operation)

    async def commit(
        self, address: str, group: str, topic: str, queue_id: int, *, offset: int
    ) -> None:
        """Set the committed offset, unchecked: 15 (2.4).

        A 5.x broker wants topic and group to exist (TopicNotExistError; from 5.3.0
        SubscriptionGroupNotExistError).
        """
        operation = messages.commit_offset(group, topic, queue_id, offset)
        await perform(self.caller, address, operation)

    async def clone(self, address: str, *, source: str, target: str, topic: str) -> None:
        """Give a group the offsets that another has in a topic on this broker: 314 (2.4)."""
        await perform(self.caller, address, messages.clone_offsets(source, target, topic))

    async def reset(
        self, address: str, group: str, topic: str, timestamp_ms: int, *, force: bool = True
    ) -> dict[MessageQueue, int]:
        """Set all offsets of a group in a topic to a time; -1 is the end: 222 (2.4).

        What was set, by queue. Before 5.1 (and where `useServerSideResetOffset` is off) only
        online consumers can do it, and ServerFaultError or ConsumerNotOnlineError says so;
        `force` allows them to go backwards.
        """
        operation = messages.reset_offsets(group, topic, timestamp_ms, force=force)
        return await perform(self.caller, address, operation)

    async def all(self, address: str) -> CommittedOffsets:
        """Every committed offset of the broker: 43 (2.4)."""
        return await perform(self.caller, address, messages.all_offsets())

    async def delayed(self, address: str) -> dict[int, int]:
        """How far the broker is in each queue of delayed messages, by level: 45 (2.4)."""
        return await perform(self.caller, address, messages.delay_offsets())
