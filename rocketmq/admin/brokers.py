"""Operations on a broker as a whole (dossier 2.2); a slave can be asked all of them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from rocketmq.admin.perform import perform
from rocketmq.admin.settings import change_settings
from rocketmq.calls import Caller
from rocketmq.messages import brokers as messages
from rocketmq.messages.brokers import Epochs, HaStatus, RuntimeInfo
from rocketmq.messages.settings import Server, Settings, SettingsChange, get_settings


class Brokers(msgspec.Struct, frozen=True):
    """Settings, figures and replication of one broker at a time."""

    caller: Caller

    async def settings(self, address: str) -> Settings:
        """All settings that have a value: 26 (2.2)."""
        return await perform(self.caller, address, get_settings(Server.BROKER))

    async def update_settings(self, address: str, changes: Mapping[str, str]) -> SettingsChange:
        """Change settings and read them back: 25, 26 (2.2); look at `not_taken`.

        The broker takes an unknown key or an unreadable value without a word, and changes fields
        that must not change while it runs: what may be changed is the caller's decision (4.3).
        Raises NoPermissionError for a black-listed key.
        """
        return await change_settings(self.caller, address, Server.BROKER, changes)

    async def runtime_info(self, address: str) -> RuntimeInfo:
        """Version, offsets, rates, disks: 28 (2.2).

        A 4.9 broker raises ServerFaultError in its first seconds, before it has taken samples.
        """
        return await perform(self.caller, address, messages.runtime_info())

    async def ha_status(self, address: str) -> HaStatus:
        """Replication as master or slave sees it: 907 (2.2), from 5.0."""
        return await perform(self.caller, address, messages.ha_status())

    async def epochs(self, address: str) -> Epochs:
        """The masters' terms in the log of a broker in controller mode: 1007 (2.2), from 5.0.

        Raises ServerFaultError when the broker is not in controller mode.
        """
        return await perform(self.caller, address, messages.epochs())

    async def reset_master_flush_offset(self, address: str, offset: int) -> None:
        """Tell a slave how far its master's log is on disk: 908 (2.2), from 5.0.

        A master says SUCCESS and does nothing.
        """
        await perform(self.caller, address, messages.reset_master_flush_offset(offset))
