from __future__ import annotations

import sys
from asyncio import sleep
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from controller.client.config import (
    Cached,
    ClientConfig,
    ConfigError,
    TokenFile,
    load_config,
    own_namespace,
    proxy_for,
)
from controller.errors import UnauthorizedError

AUTHORITY = """-----BEGIN CERTIFICATE-----
MIIBdDCCARugAwIBAgIUFhW6XAtV1MIhB81AvMFxMfWwrX8wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjMxNjM1MzJaGA8yMTI2MTAzMDE2MzUz
MlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCpj
ksNUmIjYrqE6ai2dByuiqzugsgF/60I39gP8gV5jiGSTUDz/GeN3QEbPVQdElgyW
0WzEFfmu055KwYhdabSjUzBRMB0GA1UdDgQWBBSN45sxtSJbyJ4YGs5ENwKHLDDv
EjAfBgNVHSMEGDAWgBSN45sxtSJbyJ4YGs5ENwKHLDDvEjAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0cAMEQCIH2zAzipdc61HrI8PS7D7u/RjpWTx3/Ch0Dq
0UU3rLgAAiAOeBToi6vGZ8T8KF4mAeN0Hp4e5qdwPQXXLdiVoMctTg==
-----END CERTIFICATE-----
"""
IN_POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def service_account(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_text(AUTHORITY)
    return tmp_path


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Callable[..., str]:
    def write(user: dict[str, object], **cluster: object) -> str:
        path = tmp_path / "config"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [
                {"name": "c", "cluster": {"server": "http://api.example:8080", **cluster}}
            ],
            "users": [{"name": "u", "user": user}],
        }
        path.write_bytes(msgspec.json.encode(content))
        return str(path)

    return write


class Reader:
    """Credentials that count their readings and can be made to fail."""

    def __init__(self) -> None:
        self.readings = 0
        self.expirations = 0
        self.broken = False

    async def authorization(self) -> str:
        self.readings += 1
        if self.broken:
            raise UnauthorizedError("unreadable")
        return f"Bearer {self.readings}"

    def expire(self) -> None:
        self.expirations += 1


async def test_in_a_pod_the_service_account_is_used(service_account: Path) -> None:
    config = await load_config(None, environ=IN_POD, service_account=service_account)
    assert config.server == "https://10.96.0.1:443"
    assert await config.credentials.authorization() == "Bearer first"
    assert config.tls is not None
    assert [c["subject"] for c in config.tls.get_ca_certs()] == [((("commonName", "test"),),)]


async def test_in_a_pod_kubernetes_asyncio_is_not_imported(service_account: Path) -> None:
    loaded = {name for name in sys.modules if name.startswith("kubernetes_asyncio")}
    await load_config(None, environ=IN_POD, service_account=service_account)
    assert {name for name in sys.modules if name.startswith("kubernetes_asyncio")} == loaded


async def test_an_ipv6_service_address_is_bracketed(service_account: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    config = await load_config(None, environ=environ, service_account=service_account)
    assert config.server == "https://[fd00::1]:6443"


async def test_without_a_ca_certificate_a_pod_has_no_configuration(service_account: Path) -> None:
    (service_account / "ca.crt").unlink()
    with pytest.raises(ConfigError, match=r"ca\.crt cannot be used"):
        await load_config(None, environ=IN_POD, service_account=service_account)


@pytest.mark.looptime
async def test_a_token_file_is_read_again_after_a_minute(service_account: Path) -> None:
    credentials = Cached(TokenFile(service_account / "token"))
    assert await credentials.authorization() == "Bearer first"
    (service_account / "token").write_text("second")
    await sleep(59)
    assert await credentials.authorization() == "Bearer first"
    await sleep(1)
    assert await credentials.authorization() == "Bearer second"


@pytest.mark.looptime
async def test_a_token_that_was_refused_is_read_again_but_not_for_each_of_many_refusals() -> None:
    reader = Reader()
    credentials = Cached(reader)
    await credentials.authorization()
    await sleep(6)
    credentials.expire()
    assert await credentials.authorization() == "Bearer 2"
    credentials.expire()
    assert await credentials.authorization() == "Bearer 2"
    await sleep(5)
    assert await credentials.authorization() == "Bearer 3"
    assert reader.expirations == 2


@pytest.mark.looptime
async def test_a_token_that_cannot_be_read_again_stays_in_use() -> None:
    reader = Reader()
    credentials = Cached(reader)
    await credentials.authorization()
    reader.broken = True
    await sleep(60)
    assert await credentials.authorization() == "Bearer 1"


async def test_a_token_that_was_never_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnauthorizedError, match="No such file"):
        await Cached(TokenFile(tmp_path / "token")).authorization()
    (tmp_path / "token").write_text("\n")
    with pytest.raises(UnauthorizedError, match="is empty"):
        await Cached(TokenFile(tmp_path / "token")).authorization()


async def test_a_kubeconfig_gives_server_and_token(kubeconfig: Callable[..., str]) -> None:
    config = await load_config(kubeconfig({"token": "secret"}), environ={})
    assert (config.server, config.tls) == ("http://api.example:8080", None)
    assert await config.credentials.authorization() == "Bearer secret"


async def test_a_kubeconfig_named_by_the_environment_wins_over_the_pod(
    kubeconfig: Callable[..., str], service_account: Path
) -> None:
    environ = {**IN_POD, "KUBECONFIG": kubeconfig({})}
    config = await load_config(None, environ=environ, service_account=service_account)
    assert config.server == "http://api.example:8080"
    assert await config.credentials.authorization() == ""


async def test_a_kubeconfig_may_name_a_proxy_and_the_certificates_name(
    kubeconfig: Callable[..., str],
) -> None:
    path = kubeconfig(
        {}, **{"proxy-url": "http://proxy.example:3128", "tls-server-name": "kubernetes"}
    )
    config = await load_config(path, environ={"http_proxy": "http://other.example"})
    assert (config.proxy, config.tls_server_name) == ("http://proxy.example:3128", "kubernetes")


@pytest.fixture(params=[{}, {"token": "top-secret"}, {"exec": {"command": "top-secret"}}])
def broken_kubeconfig(kubeconfig: Callable[..., str], request: pytest.FixtureRequest) -> str:
    path = Path(kubeconfig(request.param))
    content = path.read_text().replace('"server"', '"sever"')
    path.write_text(content.replace('"name":"c"', '"name":"d"'))
    return str(path)


async def test_a_broken_kubeconfig_is_an_error_without_secrets(broken_kubeconfig: str) -> None:
    with pytest.raises(ConfigError) as raised:
        await load_config(broken_kubeconfig, environ={})
    assert "top-secret" not in str(raised.value)
    assert broken_kubeconfig in str(raised.value)


async def test_an_incomplete_user_is_an_error_that_does_not_show_the_user(
    kubeconfig: Callable[..., str],
) -> None:
    provider = {"name": "oidc", "config": {"refresh-token": "top-secret"}}
    with pytest.raises(ConfigError, match="Expected key client-id") as raised:
        await load_config(kubeconfig({"auth-provider": provider}), environ={})
    assert "top-secret" not in str(raised.value)


async def test_a_kubeconfig_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        await load_config(str(tmp_path / "nowhere"), environ={})


def test_no_repr_shows_a_credential(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("top-secret")
    credentials = Cached(TokenFile(tmp_path / "token"))
    credentials._value = "Bearer top-secret"
    config = ClientConfig("https://api.example", credentials, proxy="http://me:top-secret@proxy")
    assert repr(config) == "<ClientConfig of https://api.example>"
    assert "top-secret" not in repr(credentials) + repr(credentials._read)


@pytest.mark.parametrize(
    ("environ", "proxied"),
    [
        ({}, False),
        ({"HTTPS_PROXY": "http://p"}, True),
        ({"https_proxy": "http://p"}, True),
        ({"http_proxy": "http://p"}, False),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "*"}, False),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "other.example"}, True),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "10.96.0.1"}, False),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "localhost, 10.96.0.0/12"}, False),
        ({"HTTPS_PROXY": "http://p", "no_proxy": "10.96.0.0/30"}, False),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "10.97.0.0/16,fd00::/8"}, True),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": ""}, True),
    ],
)
def test_a_proxy_is_used_only_where_the_environment_says_so(
    environ: dict[str, str], proxied: bool
) -> None:
    assert (proxy_for("https://10.96.0.1:443", environ) is not None) is proxied


@pytest.mark.parametrize(
    ("no_proxy", "proxied"),
    [
        ("example", False),
        (".example", False),
        ("api.example", False),
        ("API.example:6443", False),
        ("ample", True),
        ("10.0.0.0/8", True),
    ],
)
def test_names_are_excepted_by_suffix(no_proxy: str, proxied: bool) -> None:
    environ = {"https_proxy": "http://p", "no_proxy": no_proxy}
    assert (proxy_for("https://api.example:6443", environ) is not None) is proxied


def test_the_own_namespace_is_the_pods_and_nothing_outside_of_one(service_account: Path) -> None:
    assert own_namespace(service_account) == ""
    (service_account / "namespace").write_text("messaging\n")
    assert own_namespace(service_account) == "messaging"
