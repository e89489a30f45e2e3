"""Sends, pulls and heartbeats (dossier 2.6): what drains, probes and tests need of a client."""

from __future__ import annotations

import msgspec

from rocketmq.admin.perform import perform
from rocketmq.calls import Caller
from rocketmq.messages import clients as messages
from rocketmq.messages.clients import Heartbeat, Outgoing, Pull, Pulled, Sent


class Clients(msgspec.Struct, frozen=True):
    """A client that talks to one broker at a time and rebalances nothing."""

    caller: Caller

    async def send(self, address: str, message: Outgoing) -> Sent:
        """Store a message: 310 (2.6); look at `doubt`.

        The permission of the topic is not checked by the broker. After NoAnswerError or
        ConnectionLostError the message may be stored: sending again can make a duplicate.
        """
        return await perform(self.caller, address, messages.send(message))

    async def pull(self, address: str, asked: Pull) -> Pulled:
        """Read messages from an offset on: 11 (2.6); nothing is committed.

        Makes the group if the broker makes groups for consumers.
        """
        return await perform(self.caller, address, messages.pull(asked))

    async def heartbeat(self, address: str, beat: Heartbeat) -> None:
        """Tell the broker what this client produces and consumes: 34 (2.6).

        It belongs to the line that carried it. A new group gets its retry topic, which makes the
        broker register anew: wiped write permissions are undone by that.
        """
        await perform(self.caller, address, messages.heartbeat(beat))

    async def unregister(
        self,
        address: str,
        client_id: str,
        *,
        producer_group: str | None = None,
        consumer_group: str | None = None,
    ) -> None:
        """Take a heartbeat back: 35 (2.6)."""
        operation = messages.unregister(client_id, producer_group, consumer_group)
        await perform(self.caller, address, operation)
