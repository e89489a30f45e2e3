"""Topics and groups of a broker as `mqadmin` exports them: nothing of the operator's is in between.

Offsets are read from the broker's own file: it writes them every five seconds.
"""

from __future__ import annotations

import json
import re
import secrets

import msgspec

from e2e.resources import BROKER
from e2e.shutdown import BrokerFiles
from fakes.witness import Object, Place

_MQADMIN = (
    'exec "$JAVA_HOME/bin/java" -Xms32m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 '
    "-Drocketmq.client.logRoot=/tmp/rocketmq-client-logs "
    '-cp "$ROCKETMQ_HOME/conf:$ROCKETMQ_HOME/lib/*" '
    'org.apache.rocketmq.tools.command.MQAdminStartup "$@"'
)
"""The stock script starts the same class with a heap of a gigabyte."""
_BARE_NUMBER = re.compile(r"([{,]\s*)(\d+):")
"""fastjson writes maps with whole numbers as keys without quotes."""


class Metadata(msgspec.Struct, frozen=True):
    """What one broker has of its users, as mqadmin exports it."""

    topics: dict[str, Object]
    groups: dict[str, Object]


def masters(place: Place) -> list[str]:
    """The addresses of the masters that the Broker has."""
    rows = place.get(*BROKER)["status"]["brokers"]
    return [row["address"] for row in rows if row["role"] == "Master"]


def mqadmin(place: Place, pod: str, *arguments: str) -> str:
    """What a command of mqadmin prints, in a pod that has RocketMQ."""
    return place.kubectl("exec", pod, "--", "sh", "-c", _MQADMIN, "mqadmin", *arguments)


def exported(place: Place, pod: str, broker: str, *, retry: bool = False) -> Metadata:
    """Topics and groups of the broker at this address; the topics of retries only if asked."""
    special = ("-s",) if retry else ()
    topics = _export(place, pod, broker, "topic", ("-t", *special))
    groups = _export(place, pod, broker, "subscriptionGroup", ("-g",))
    return Metadata(topics["topicConfigTable"], groups["subscriptionGroupTable"])


def _export(place: Place, pod: str, broker: str, name: str, what: tuple[str, ...]) -> Object:
    # A folder of its own: mqadmin says nothing by its exit code, and leaves old files behind.
    folder = f"/tmp/exported-{secrets.token_hex(4)}"
    said = mqadmin(place, pod, "exportMetadata", "-b", broker, "-f", folder, *what)
    try:
        text = place.kubectl("exec", pod, "--", "cat", f"{folder}/{name}.json")
    except AssertionError as error:
        error.add_note(said)
        raise
    read: Object = json.loads(text)
    return read


def committed(files: BrokerFiles) -> dict[str, dict[str, int]]:
    """The offsets of each `topic@group` by queue, as the broker last wrote them."""
    text = (files.store / "config" / "consumerOffset.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, int]] = json.loads(_BARE_NUMBER.sub(r'\1"\2":', text))["offsetTable"]
    return table
