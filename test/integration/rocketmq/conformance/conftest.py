"""Real servers of each version, one version after the other; the tests of one share its servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fakes.control_plane import ROOT
from fakes.rocketmq_client import Record, fresh, recorded, sent, soon
from fakes.rocketmq_processes import release
from fakes.rocketmq_servers import SUPER_USER, Servers, rocketmq_servers
from rocketmq.admin import Admin
from rocketmq.clusters import Clusters
from rocketmq.messages.groups import SubscriptionGroup
from rocketmq.messages.topics import TopicConfig
from rocketmq.pool import ClientSettings, Pool
from rocketmq.tls import ClientCertificate, client_context

_HERE = Path(__file__).parent
_LEFT_OUT = pytest.StashKey[set[str]]()
_EARLY_TOPIC = TopicConfig("early-topic", read_queue_nums=3, write_queue_nums=2, perm=6)


def _versions() -> list[str]:
    lines = (ROOT / "hack" / "versions.env").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    newest = (pinned["ROCKETMQ_VERSION"], pinned["ROCKETMQ_NEWEST_VERSION"])
    return list(dict.fromkeys((*pinned["ROCKETMQ_OTHER_VERSIONS"].split(","), *newest)))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "late: runs when the others of its version are over")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.parent == _HERE]
    for item in here:
        item.add_marker(pytest.mark.timeout(300))
    # What was called in all is judged when the other tests of a version are over.
    ordered = sorted(here, key=lambda item: (_version(item), _rank(item)))
    places = [at for at, item in enumerate(items) if item.path.parent == _HERE]
    for at, item in zip(places, ordered, strict=True):
        items[at] = item


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == _HERE:
            item.config.stash.setdefault(_LEFT_OUT, set()).add(_servers_of(item))


def _rank(item: pytest.Item) -> int:
    if item.path.name == "test_all_called.py":
        return 2
    return 1 if item.get_closest_marker("late") else 0


def _version(item: pytest.Item) -> int:
    version = _servers_of(item)
    return _versions().index(version) if version else -1


def _servers_of(item: pytest.Item) -> str:
    """The version whose servers a test needs, or nothing."""
    spec = getattr(item, "callspec", None)
    version: str = spec.params.get("servers", "") if spec else ""
    return version


@pytest.fixture(scope="session", params=_versions())
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """All servers of one version, registered with both name servers."""
    version: str = request.param
    folder = tmp_path_factory.mktemp(f"rocketmq-{version}")
    with rocketmq_servers(release(version), folder) as started:
        asyncio.run(_prepared(started))
        yield started


@pytest.fixture(scope="session")
def record(servers: Servers) -> Record:
    """What was asked of this version."""
    return Record()


@pytest.fixture
def early_topic(servers: Servers) -> TopicConfig:
    """A topic with one message that the master has had since before the first test."""
    return _EARLY_TOPIC


@pytest.fixture
def whole_version(request: pytest.FixtureRequest, servers: Servers) -> bool:
    """Whether no test of this version was left out by file, name or option."""
    config = request.config
    ran = {item.path for item in request.session.items}
    return (
        ran >= set(_HERE.glob("test_*.py"))
        and not any("::" in argument for argument in config.args)
        and servers.version not in config.stash.get(_LEFT_OUT, set())
    )


@pytest.fixture
async def pool(servers: Servers) -> AsyncIterator[Pool]:
    """Calls without an account."""
    async with Pool(ClientSettings()) as made:
        yield made


@pytest.fixture
async def admin(pool: Pool, record: Record) -> Admin:
    """The client without an account."""
    return recorded(pool, record)


@pytest.fixture
async def super_pool(servers: Servers) -> AsyncIterator[Pool]:
    """Calls of the account that the guarded broker has."""
    async with Pool(ClientSettings(credentials=SUPER_USER)) as made:
        yield made


@pytest.fixture
async def super_admin(super_pool: Pool, record: Record) -> Admin:
    """The client with that account."""
    return recorded(super_pool, record)


@pytest.fixture
async def sealed_admin(servers: Servers, record: Record) -> AsyncIterator[Admin]:
    """The client with TLS and a certificate."""
    keys = servers.certificates
    ours = ClientCertificate(keys / "client.crt", keys / "client.key")
    tls = client_context(ca_file=keys / "ca.crt", certificate=ours)
    async with Pool(ClientSettings(tls=tls)) as made:
        yield recorded(made, record)


@pytest.fixture
async def topic(servers: Servers, admin: Admin) -> str:
    """A topic of four queues on the master, routed by both name servers."""
    name = fresh("topic")
    config = TopicConfig(name, read_queue_nums=4, write_queue_nums=4)
    await admin.topics.save(servers.master, config)
    for name_server in servers.name_servers:
        await soon(lambda server=name_server: admin.name_servers.topic_route(server, name))
    return name


@pytest.fixture
async def group(servers: Servers, admin: Admin) -> str:
    """A group on the master."""
    name = fresh("group")
    await admin.groups.save(servers.master, SubscriptionGroup(name))
    return name


async def _prepared(servers: Servers) -> None:
    count = 4 + len(servers.controlled)

    async def all_known() -> None:
        for server in servers.name_servers:
            view = await Clusters(admin, (server,)).view()
            assert len(view.info.addresses()) == count, view.info
            # A registered broker of 4.9 cannot tell its figures yet: see Brokers.runtime_info.
            assert {servers.master, servers.slave} <= set(view.brokers.values), view.brokers.errors

    async with Pool(ClientSettings()) as pool:
        admin = Admin(pool)
        await soon(all_known, within_s=90.0)
        await admin.topics.save(servers.master, _EARLY_TOPIC)
        await sent(admin, servers.master, _EARLY_TOPIC.topic_name, b"copied")
