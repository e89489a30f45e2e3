"""Everything that people set up in clusters of real servers, as values to compare: before, after.

`exported` asks with our own client, `mqadmin_exported` lets RocketMQ's own tool of the same version
write down what it finds: it shares no line with the operator.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from fakes.rocketmq_pairs import SOURCE, TARGET, Pair
from fakes.rocketmq_processes import mqadmin
from rocketmq import system_names
from rocketmq.admin import Admin
from rocketmq.errors import TopicNotExistError
from rocketmq.pool import ClientSettings, Pool
from rocketmq.system_names import is_system_topic, user_groups

Export = dict[str, Any]
_AT_ONCE = 2


def export(pair: Pair, *names: str) -> Export:
    """What all brokers and name servers have that has one of these names in its own.

    Topics, groups, committed offsets and routes; several tests share the servers, so each has names
    that no other has.
    """
    return asyncio.run(_exported(pair, names))


async def _exported(pair: Pair, names: Sequence[str]) -> Export:
    async with Pool(ClientSettings()) as pool:
        admin = Admin(pool)
        brokers = {
            name: await _broker(admin, address, names)
            for name, address in sorted(pair.brokers.items())
        }
        routes = {address: await _routes(admin, address, names) for address in pair.name_servers}
    # Name servers have ports of their own in each run: a difference shall be readable.
    return {"brokers": brokers, "routes": list(routes.values())}


async def _broker(admin: Admin, address: str, names: Sequence[str]) -> Export:
    topics = (await admin.topics.all(address)).topic_config_table
    groups = (await admin.groups.all(address)).subscription_group_table
    offsets = (await admin.offsets.all(address)).offset_table
    return {
        "topics": {one: msgspec.to_builtins(topics[one]) for one in _named(topics, names)},
        "groups": {
            one: msgspec.to_builtins(groups[one]) for one in _named(user_groups(groups), names)
        },
        "offsets": {one: dict(sorted(offsets[one].items())) for one in _named(offsets, names)},
    }


async def _routes(admin: Admin, address: str, names: Sequence[str]) -> Export:
    found: Export = {}
    for topic in _named(await admin.name_servers.topics(address), names):
        try:
            route = await admin.name_servers.topic_route(address, topic)
        except TopicNotExistError:
            continue
        found[topic] = sorted(
            (one.broker_name, one.read_queue_nums, one.write_queue_nums, one.perm)
            for one in route.queue_datas
        )
    return found


def mqadmin_export(pair: Pair, folder: Path, *names: str) -> Export:
    """What mqadmin exports of each cluster: topics with their permissions, and groups.

    It adds up the numbers of queues of a cluster's masters.
    """

    def of(cluster: str) -> tuple[str, Export]:
        home = folder / cluster
        home.mkdir(parents=True, exist_ok=True)
        arguments = ["exportMetadata", "-c", cluster, "-f", str(home), "-s"]
        printed = mqadmin(pair.release, home, [*arguments, "-n", pair.name_servers[0]])
        assert "success" in printed, printed
        return cluster, _written(home, names)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(pool.map(of, (SOURCE, TARGET)))


def mqadmin_lag(pair: Pair, folder: Path, group: str) -> int:
    """How much a group has left according to mqadmin."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = ["consumerProgress", "-n", pair.name_servers[0], "-g", group]
    printed = mqadmin(pair.release, folder, arguments)
    found = re.search(r"Diff Total: (-?\d+)", printed)
    assert found, printed
    return int(found[1])


def _written(folder: Path, names: Sequence[str]) -> Export:
    written = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    tables = {"topics": "topicConfigTable", "groups": "subscriptionGroupTable"}
    return {
        kind: {one: written[table][one] for one in _named(written[table], names)}
        for kind, table in tables.items()
    }


def _named(found: Iterable[str], names: Sequence[str]) -> list[str]:
    return sorted(
        one
        for one in found
        if any(_parts(one) & {name, system_names.retry_topic(name)} for name in names)
        and not is_system_topic(one)
    )


def _parts(name: str) -> set[str]:
    """A name itself, and those in it: of a group in its topics, of both in `topic@group`."""
    parts = set(name.split("@")) | {name}
    return parts | {part.rpartition("%")[2] for part in parts}
