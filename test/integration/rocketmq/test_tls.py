"""TLS on real sockets: who is believed, who is not, and what a wrong choice says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fakes.certificates import Authority
from rocketmq.calls import Request
from rocketmq.codes import RequestCode
from rocketmq.errors import ConnectError, ConnectionLostError, ProtocolError, RocketmqError
from rocketmq.frames import Frame, FrameReader, frame_bytes
from rocketmq.pool import ClientSettings, Pool
from rocketmq.tls import ClientCertificate, Verification, client_context

READ = Request(RequestCode.GET_BROKER_CONFIG)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Authority:
    return Authority(folder, "stranger")


@pytest.fixture(scope="module")
def by_address(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("by-address", alternative="IP:127.0.0.1")


@pytest.fixture(scope="module")
def by_other_name(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("by-name", alternative="DNS:broker.example")


class _Server(asyncio.Protocol):
    def __init__(self) -> None:
        self._frames = FrameReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.WriteTransport)
        self._frames.receive_data(data)
        while (frame := self._frames.next_frame()) is not None:
            self._transport.write(frame_bytes(Frame(0, frame.opaque, 1, body=b"fine")))


@asynccontextmanager
async def server(
    certificate: tuple[Path, Path] | None, *, clients: Authority | None = None
) -> AsyncIterator[str]:
    """A server's address; without a certificate it speaks plainly."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        if clients is not None:
            context.load_verify_locations(clients.certificate_file)
            context.verify_mode = ssl.CERT_REQUIRED
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(_Server, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        await asyncio.sleep(0.05)  # for the server's ends to go


async def answered(address: str, tls: ssl.SSLContext | None) -> bytes:
    settings = ClientSettings(tls=tls, connect_timeout_s=2)
    async with Pool(settings) as pool:
        return (await pool.call(address, READ, timeout_s=3)).body


@pytest.mark.parametrize("verification", ["full", "chain", "off"])
async def test_a_certificate_of_our_authority_for_the_address_is_believed(
    authority: Authority, by_address: tuple[Path, Path], verification: Verification
) -> None:
    tls = client_context(ca_file=authority.certificate_file, verification=verification)
    async with server(by_address) as address:
        assert await answered(address, tls) == b"fine"


@pytest.mark.parametrize(
    ("verification", "believed"), [("full", False), ("chain", True), ("off", True)]
)
async def test_a_certificate_for_another_name_is_believed_by_its_chain_alone(
    authority: Authority,
    by_other_name: tuple[Path, Path],
    verification: Verification,
    believed: bool,
) -> None:
    tls = client_context(ca_file=authority.certificate_file, verification=verification)
    async with server(by_other_name) as address:
        if believed:
            assert await answered(address, tls) == b"fine"
        else:
            with pytest.raises(ConnectError, match="IP address mismatch"):
                await answered(address, tls)


@pytest.mark.parametrize(
    ("verification", "believed"), [("full", False), ("chain", False), ("off", True)]
)
async def test_a_certificate_of_a_stranger_is_believed_only_when_nothing_is_verified(
    stranger: Authority, by_address: tuple[Path, Path], verification: Verification, believed: bool
) -> None:
    tls = client_context(ca_file=stranger.certificate_file, verification=verification)
    async with server(by_address) as address:
        if believed:
            assert await answered(address, tls) == b"fine"
        else:
            with pytest.raises(ConnectError, match="certificate verify failed"):
                await answered(address, tls)


async def test_a_client_certificate_is_shown_also_from_an_encrypted_key(
    authority: Authority, by_address: tuple[Path, Path]
) -> None:
    own = ClientCertificate(
        *authority.issue("client", alternative="DNS:client", password="s3cret"),
        key_password="s3cret",
    )
    tls = client_context(ca_file=authority.certificate_file, certificate=own)
    async with server(by_address, clients=authority) as address:
        assert await answered(address, tls) == b"fine"

    assert "s3cret" not in f"{own!r} {own} {own.__rich_repr__()}"


async def test_without_the_certificate_it_wants_a_server_refuses(
    authority: Authority, by_address: tuple[Path, Path]
) -> None:
    tls = client_context(ca_file=authority.certificate_file)
    async with server(by_address, clients=authority) as address:
        # With TLS 1.3 the server refuses after the client has seen the line open.
        with pytest.raises((ConnectError, ConnectionLostError)):
            await answered(address, tls)


def test_a_wrong_password_is_an_error_and_no_question_on_the_terminal(
    authority: Authority,
) -> None:
    files = authority.issue("locked", alternative="DNS:client", password="right-one")
    for password in (None, "wrong"):
        with pytest.raises(ssl.SSLError):
            client_context(certificate=ClientCertificate(*files, password))


async def test_tls_towards_a_plain_server_is_a_connect_error(authority: Authority) -> None:
    tls = client_context(ca_file=authority.certificate_file)
    async with server(None) as address:
        with pytest.raises(ConnectError, match="cannot connect"):
            await answered(address, tls)


async def test_plain_words_towards_a_tls_server_are_an_error(
    by_address: tuple[Path, Path],
) -> None:
    async with server(by_address) as address:
        with pytest.raises(RocketmqError) as caught:
            await answered(address, None)

    assert isinstance(caught.value, ConnectionLostError | ProtocolError)


async def test_a_server_that_never_shakes_hands_is_given_up(authority: Authority) -> None:
    tls = client_context(ca_file=authority.certificate_file)
    settings = ClientSettings(tls=tls, connect_timeout_s=0.3)
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    address = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with Pool(settings) as pool:
        with pytest.raises(ConnectError, match=r"cannot connect within 0\.3 s"):
            await pool.call(address, READ)
    listener.close()
    await asyncio.sleep(0.05)
