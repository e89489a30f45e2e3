"""Which settings of a broker work at once, and the values that they should have. Pure.

A change of any other key has to restart the broker, so it is in the hash of its configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from reconcilers.api.broker import Broker
from reconcilers.api.validation import ignored_config_keys
from rocketmq.properties import PropertiesError, parsed, rendered

LIVE_DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "autoCreateSubscriptionGroup": "true",
        "autoCreateTopicEnable": "true",
        "deleteWhen": "04",
        "diskMaxUsedSpaceRatio": "75",
        "fileReservedTime": "72",
        "slaveReadEnable": "false",
        "traceOn": "true",
        "waitTimeMillsInSendQueue": "200",
    }
)
"""Keys that work at once, with the value of a broker that is told nothing (all versions agree)."""


def live_settings(cr: Broker, common_config: str | None) -> dict[str, str]:
    """The values that every broker of `cr` should have, of the keys that work at once.

    When the user's file cannot be read, only what the spec itself says: the file may say the rest.
    """
    given = {key: value for key, value in cr.spec.config.items() if key in LIVE_DEFAULTS}
    if cr.spec.volumes and common_config is None:
        return given
    try:
        from_file = parsed(common_config or "")
    except PropertiesError:
        return given
    wanted = {key: from_file.get(key, value) for key, value in LIVE_DEFAULTS.items()} | given
    ignored = ignored_config_keys(cr, wanted)
    return {key: value for key, value in wanted.items() if key not in ignored}


def without_live_settings(text: str) -> str:
    """A configuration file without the keys that need no restart; unreadable text as it is."""
    try:
        given = parsed(text)
    except PropertiesError:
        return text
    return rendered({key: value for key, value in given.items() if key not in LIVE_DEFAULTS})
