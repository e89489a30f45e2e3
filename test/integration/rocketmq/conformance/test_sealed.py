"""A broker that takes TLS alone, and only from those whom it knows."""

from __future__ import annotations

import pytest

from fakes.rocketmq_client import fresh
from fakes.rocketmq_servers import Servers
from rocketmq.admin import Admin
from rocketmq.errors import ConnectError, RocketmqError
from rocketmq.messages.topics import TopicConfig
from rocketmq.pool import ClientSettings, Pool
from rocketmq.tls import ClientCertificate, client_context


async def test_calls_with_a_certificate_go_through(servers: Servers, sealed_admin: Admin) -> None:
    config = TopicConfig(fresh("sealed"))
    await sealed_admin.topics.save(servers.sealed, config)
    assert await sealed_admin.topics.get(servers.sealed, config.topic_name) == config


async def test_a_line_without_tls_is_refused(servers: Servers, admin: Admin) -> None:
    with pytest.raises(RocketmqError, match=servers.sealed):
        await admin.brokers.settings(servers.sealed)


async def test_a_client_without_a_certificate_is_refused(servers: Servers) -> None:
    tls = client_context(ca_file=servers.certificates / "ca.crt")
    async with Pool(ClientSettings(tls=tls)) as pool:
        with pytest.raises(RocketmqError, match=servers.sealed):
            await Admin(pool).brokers.settings(servers.sealed)


async def test_a_server_that_no_authority_vouches_for_is_not_believed(servers: Servers) -> None:
    keys = servers.certificates
    ours = ClientCertificate(keys / "client.crt", keys / "client.key")
    tls = client_context(ca_file=keys / "stranger.crt", certificate=ours)
    async with Pool(ClientSettings(tls=tls)) as pool:
        with pytest.raises(ConnectError, match="certificate"):
            await Admin(pool).brokers.settings(servers.sealed)


async def test_verification_can_be_switched_off_by_name(servers: Servers) -> None:
    keys = servers.certificates
    ours = ClientCertificate(keys / "client.crt", keys / "client.key")
    tls = client_context(certificate=ours, verification="off")
    async with Pool(ClientSettings(tls=tls)) as pool:
        settings = await Admin(pool).brokers.settings(servers.sealed)
    assert settings.values["brokerName"] == "broker-s"
