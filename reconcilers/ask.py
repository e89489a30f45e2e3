"""Asks brokers and name servers what only they know. It decides nothing; silence is an answer.

Servers are asked by the IP of their pod: a name could lead to the pod before this one, or after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

import msgspec

from reconcilers.api.kube import Pod
from reconcilers.desired import names
from reconcilers.facts import BrokerAnswer, NameServerAnswer, Silence
from reconcilers.steps.members import broker_address
from reconcilers.steps.settings import OBSERVED
from rocketmq.admin import Admin
from rocketmq.errors import RocketmqError, UnsupportedError

ANSWER_WITHIN_S = 4.0
"""Longer than a busy broker needs; a hung one must not hold up the others' reconciles."""

T = TypeVar("T")


async def ask_brokers(admin: Admin, pods: Iterable[Pod]) -> dict[str, BrokerAnswer | Silence]:
    """What the broker of each pod says of itself, by pod; masters are asked before replicas.

    So a replica that keeps up is never behind what its master said.
    """
    running = [pod for pod in pods if pod.status.pod_ip and not pod.terminating]
    masters = [pod for pod in running if pod.metadata.labels.get(names.BROKER_ID_LABEL) == "0"]
    replicas = [pod for pod in running if pod not in masters]
    first = await ask_each(_addresses(masters), partial(_ask_master, admin))
    return first | await ask_each(_addresses(replicas), partial(_ask_broker, admin))


async def ask_name_servers(
    admin: Admin, addresses: Mapping[str, str]
) -> dict[str, NameServerAnswer | Silence]:
    """Which brokers each name server knows, by the keys of `addresses`."""

    async def ask(address: str) -> NameServerAnswer:
        info = await admin.name_servers.cluster_info(address)
        return NameServerAnswer(
            {name: dict(found.broker_addrs) for name, found in info.broker_addr_table.items()}
        )

    return await ask_each(addresses, ask)


def _addresses(pods: Iterable[Pod]) -> dict[str, str]:
    return {pod.metadata.name: broker_address(pod) for pod in pods}


async def _ask_broker(admin: Admin, address: str) -> BrokerAnswer:
    info = await admin.brokers.runtime_info(address)
    settings = await admin.brokers.settings(address)
    return BrokerAnswer(
        version=info.table.get("brokerVersionDesc", ""),
        boot_time_ms=info.boot_time_ms,
        log_end=info.commit_log_max_offset,
        settings={key: value for key, value in settings.values.items() if key in OBSERVED},
    )


async def _ask_master(admin: Admin, address: str) -> BrokerAnswer:
    answer = await _ask_broker(admin, address)
    if answer.version.startswith("V4_"):
        return answer
    try:
        status = await admin.brokers.ha_status(address)
    except UnsupportedError:
        return answer
    return msgspec.structs.replace(answer, replicas_connected=len(status.ha_connection_info))


async def ask_each(
    addresses: Mapping[str, str],
    call: Callable[[str], Awaitable[T]],
    *,
    within_s: float = ANSWER_WITHIN_S,
) -> dict[str, T | Silence]:
    """What each address answered in this time, by the keys of `addresses`."""

    async def ask(address: str) -> T | Silence:
        try:
            async with asyncio.timeout(within_s):
                return await call(address)
        except TimeoutError:
            return Silence(f"no answer within {within_s:.0f} s")
        except RocketmqError as error:
            return Silence(str(error))

    async with asyncio.TaskGroup() as group:
        asked = {name: group.create_task(ask(address)) for name, address in addresses.items()}
    return {name: task.result() for name, task in asked.items()}
