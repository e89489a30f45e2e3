"""Real clusters of two versions, and the operator between which and them the network can be cut."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator

import pytest

from fakes.remoting_proxy import RemotingProxy, remoting_proxy
from fakes.rocketmq_client import soon
from fakes.rocketmq_pairs import Pair, cluster_pair
from fakes.rocketmq_processes import release
from rocketmq.admin import Admin
from rocketmq.pool import ClientSettings, Pool

VERSIONS = ("5.3.3", "4.9.7")
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session", params=VERSIONS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Both clusters of one version, registered with both name servers."""
    version: str = request.param
    with cluster_pair(release(version), tmp_path_factory.mktemp(f"pair-{version}")) as started:
        asyncio.run(_registered(started))
        yield started


@pytest.fixture
def network(pair: Pair) -> Iterator[RemotingProxy]:
    """What is between the operator and the servers."""
    with remoting_proxy(pair.addresses) as running:
        yield running


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Names that no other test has."""
    return lambda what: f"{what}-{next(_NUMBERS)}"


async def _registered(pair: Pair) -> None:
    async def all_known() -> None:
        for address in pair.name_servers:
            info = await admin.name_servers.cluster_info(address)
            assert set(info.addresses()) == set(pair.brokers.values())
        for address in pair.brokers.values():
            await admin.brokers.runtime_info(address)

    async with Pool(ClientSettings()) as pool:
        admin = Admin(pool)
        await soon(all_known, within_s=60.0)
