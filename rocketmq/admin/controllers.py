"""Operations of RocketMQ's controllers (dossier 2.5)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from rocketmq.admin.perform import perform
from rocketmq.admin.settings import change_settings
from rocketmq.calls import Caller
from rocketmq.messages import controllers as messages
from rocketmq.messages.controllers import (
    ANY_BROKER,
    ControllerMetadata,
    Elected,
    MasterInfo,
    ReplicaSet,
)
from rocketmq.messages.settings import Server, Settings, SettingsChange, get_settings


class Controllers(msgspec.Struct, frozen=True):
    """From 5.1.1. Where `leader` is asked, another controller raises NotLeaderError."""

    caller: Caller

    async def metadata(self, address: str) -> ControllerMetadata:
        """Who leads, as this controller knows it: 1005 (2.5)."""
        return await perform(self.caller, address, messages.metadata())

    async def sync_states(
        self, leader: str, broker_names: Collection[str]
    ) -> dict[str, ReplicaSet]:
        """The replicas of broker sets, alive and in sync or not: 1006 (2.5).

        Unknown names are left out; no names are no question.
        """
        if not broker_names:
            return {}
        return await perform(self.caller, leader, messages.sync_states(broker_names))

    async def master_info(self, leader: str, broker_name: str) -> MasterInfo:
        """The master of a set and who is in sync: 1004 (2.5). BrokerMetadataNotExistError."""
        return await perform(self.caller, leader, messages.master_info(broker_name))

    async def elect_master(
        self, leader: str, cluster: str, broker_name: str, *, broker_id: int = ANY_BROKER
    ) -> Elected:
        """Make a replica the master, by its controller's id, or let it choose: 1002 (2.5).

        Raises MasterStillExistError when nothing had to change, ElectMasterFailedError when the
        replica is not alive and in sync, MasterNotAvailableError when no one is,
        BrokerNeedToBeRegisteredError for an unknown set.
        """
        operation = messages.elect_master(cluster, broker_name, broker_id)
        return await perform(self.caller, leader, operation)

    async def clean_broker_data(
        self, leader: str, cluster: str, broker_name: str, broker_ids: Collection[int] = ()
    ) -> None:
        """Forget replicas that are not alive, or the whole set without ids: 1011 (2.5).

        A replica whose disk still holds its id can never register again: clean only ids whose
        volume is gone. Raises InvalidCleanBrokerMetadataError.
        """
        operation = messages.clean_broker_data(cluster, broker_name, broker_ids)
        await perform(self.caller, leader, operation)

    async def settings(self, address: str) -> Settings:
        """The controller's settings: 1010 (2.5)."""
        return await perform(self.caller, address, get_settings(Server.CONTROLLER))

    async def update_settings(self, address: str, changes: Mapping[str, str]) -> SettingsChange:
        """Change settings and read them back: 1009, 1010 (2.5); look at `not_taken`."""
        return await change_settings(self.caller, address, Server.CONTROLLER, changes)
