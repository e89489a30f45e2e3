"""Settings of name servers, brokers and controllers, as properties text (dossier 1.4, 2.2). Pure.

A server writes its values as they are and reads ours as java.util.Properties does, so the two
directions differ: a backslash is doubled only on the way in.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import Enum

import msgspec

from rocketmq import properties
from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode
from rocketmq.messages.operation import Operation, body_as, nothing
from rocketmq.messages.values import DataVersion


class Server(Enum):
    """What kind of server settings belong to: the codes to read and to change them."""

    NAME_SERVER = (RequestCode.GET_NAMESRV_CONFIG, RequestCode.UPDATE_NAMESRV_CONFIG)
    BROKER = (RequestCode.GET_BROKER_CONFIG, RequestCode.UPDATE_BROKER_CONFIG)
    CONTROLLER = (RequestCode.GET_CONTROLLER_CONFIG, RequestCode.UPDATE_CONTROLLER_CONFIG)


class Settings(msgspec.Struct, frozen=True):
    """All keys that have a value; `version` counts a broker's changes, others do not tell."""

    values: dict[str, str]
    version: DataVersion | None = None

    def __repr__(self) -> str:
        return f"Settings({len(self.values)} keys)"  # a broker's hold passwords


class SettingsChange(msgspec.Struct, frozen=True):
    """What was asked for, and what the server had for those keys when it was read afterwards."""

    asked: dict[str, str]
    found: dict[str, str | None]

    def __repr__(self) -> str:
        return f"SettingsChange({sorted(self.asked)}, not taken: {sorted(self.not_taken)})"

    @property
    def not_taken(self) -> dict[str, str | None]:
        """The keys that do not have the value asked for, with the value that they have.

        Servers answer SUCCESS to an unknown key and to a value that they cannot read; only this
        tells.
        """
        return {
            key: self.found.get(key)
            for key, value in self.asked.items()
            if not same_value(value, self.found.get(key))
        }


def get_settings(server: Server) -> Operation[Settings]:
    """GET_BROKER_CONFIG 26, GET_NAMESRV_CONFIG 319, GET_CONTROLLER_CONFIG 1010."""
    return Operation(Request(server.value[0]), _settings)


def update_settings(server: Server, changes: Mapping[str, str]) -> Operation[None]:
    """UPDATE_BROKER_CONFIG 25, UPDATE_NAMESRV_CONFIG 318, UPDATE_CONTROLLER_CONFIG 1009."""
    body = properties.rendered(changes).encode()
    return Operation(Request(server.value[1], {}, body), nothing)


def settings_values(text: str) -> dict[str, str]:
    """Keys and values as a server writes them: one line each, nothing escaped."""
    lines = (line.partition("=") for line in text.split("\n"))
    return {key: value for key, equals, value in lines if equals}


def same_value(asked: str, found: str | None) -> bool:
    """Whether a server that has `found` has what was asked for; 0.50 is 0.5, TRUE is true."""
    if found is None:
        return asked == ""
    if asked == found or {asked.lower(), found.lower()} in ({"true"}, {"false"}):
        return True
    try:
        return Decimal(asked) == Decimal(found)
    except InvalidOperation:
        return False


def _settings(response: Response) -> Settings:
    version = response.ext_fields.get("version")
    return Settings(
        settings_values(response.body.decode("utf-8", "replace")),
        body_as(DataVersion, version.encode()) if version else None,
    )
