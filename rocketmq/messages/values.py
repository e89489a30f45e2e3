"""What several areas' answers share. Pure."""

from __future__ import annotations

import msgspec


class DataVersion(msgspec.Struct, frozen=True, rename="camel"):
    """How often a table of a server was changed since it started, and when last (milliseconds)."""

    counter: int = 0
    timestamp: int = 0
    state_version: int = 0


class TopicNames(msgspec.Struct, frozen=True, rename="camel"):
    """A list of topics; a broker adds its address in some answers."""

    topic_list: tuple[str, ...] = ()
