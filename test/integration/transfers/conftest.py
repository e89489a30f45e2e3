"""Real clusters of two versions, and the operator between which and them the network can be cut."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.remoting_proxy import RemotingProxy, remoting_proxy
from fakes.rocketmq_client import soon
from fakes.rocketmq_pairs import Pair, cluster_pair
from fakes.rocketmq_processes import release
from fakes.transfers import Scene
from fakes.witness import Place
from rocketmq.admin import Admin
from rocketmq.pool import ClientSettings, Pool

_HERE = Path(__file__).parent
VERSIONS = ("5.3.3", "4.9.7")
_NUMBERS = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Six servers a version: two processes that share the tests shall not both start all twelve.
    for item in items:
        spec = getattr(item, "callspec", None)
        if item.path.parent == _HERE and spec is not None and "pair" in spec.params:
            item.add_marker(pytest.mark.xdist_group(spec.params["pair"]))


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
def scene(pair: Pair, network: RemotingProxy, place: Place) -> Scene:
    """Where a test makes its transfers."""
    return Scene(pair, network, place, _NUMBERS)


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
