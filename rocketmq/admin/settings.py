"""Changes a server's settings and reads them back."""

from __future__ import annotations

from collections.abc import Mapping

from rocketmq.admin.perform import perform
from rocketmq.calls import Caller
from rocketmq.messages.settings import (
    Server,
    SettingsChange,
    get_settings,
    update_settings,
)


async def change_settings(
    caller: Caller, address: str, server: Server, changes: Mapping[str, str]
) -> SettingsChange:
    """What was asked for and what the server has now; nothing is sent for no changes."""
    if changes:
        await perform(caller, address, update_settings(server, changes))
    now = await perform(caller, address, get_settings(server))
    return SettingsChange(dict(changes), {key: now.values.get(key) for key in changes})
