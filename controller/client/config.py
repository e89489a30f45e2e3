"""Where the API server is and how we prove who we are: in a pod, or from a kubeconfig file.

A pod's service account is read here; kubernetes_asyncio (half a second and 37 MiB to import) is
loaded only for a kubeconfig file, with its contexts, client certificates and exec plugins.
No repr and no error of this module contains a credential.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import msgspec

from controller.errors import UnauthorizedError

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration
    from kubernetes_asyncio.config.kube_config import KubeConfigLoader

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
MAX_AGE_S = 60.0
"""The kubelet replaces a token at 80 % of its life (ten minutes at least), so this is early."""

MIN_AGE_S = 5.0
"""After a 401 credentials are read again, but not for every one of many 401s."""


class ConfigError(Exception):
    """There is no configuration that can be used; the message says where we looked."""


class Credentials(Protocol):
    """Proves who we are, anew for each request."""

    async def authorization(self) -> str:
        """The value of the Authorization header, "" for none; UnauthorizedError if unreadable."""
        ...

    def expire(self) -> None:
        """The server did not accept the last one: read it again for the next request."""
        ...


class ClientConfig(msgspec.Struct, frozen=True):
    """Everything a transport needs to reach one API server."""

    server: str
    """Scheme, host, port and maybe a path, without a slash at the end."""
    credentials: Credentials
    tls: ssl.SSLContext | None = None
    """Whom to trust, and the client certificate if there is one."""
    tls_server_name: str | None = None
    """The name in the server's certificate when it is not the host of the URL."""
    proxy: str | None = None
    """The URL of an HTTP proxy."""

    def __repr__(self) -> str:
        return f"<ClientConfig of {self.server}>"


class Anonymous:
    """No Authorization header: for client certificates, or for nothing at all."""

    async def authorization(self) -> str:
        """Always ""."""
        return ""

    def expire(self) -> None:
        """There is nothing to read again."""


class Cached:
    """Credentials that are read at most once a minute, or again after a 401.

    A reading that fails leaves the last good value in use: the next request tries again.
    """

    def __init__(self, read: Credentials) -> None:
        self._read = read
        self._value: str | None = None
        self._read_at = 0.0
        self._expired = False
        self._lock = asyncio.Lock()

    async def authorization(self) -> str:
        """See Credentials."""
        # One reader at a time: an exec plugin may open a browser, and does so once.
        async with self._lock:
            if self._value is None or self._due():
                await self._refresh()
            return self._value or ""

    def expire(self) -> None:
        """See Credentials."""
        self._expired = True

    def _due(self) -> bool:
        age_s = asyncio.get_running_loop().time() - self._read_at
        return age_s >= (MIN_AGE_S if self._expired else MAX_AGE_S)

    async def _refresh(self) -> None:
        if self._expired:
            self._read.expire()
        try:
            self._value = await self._read.authorization()
            self._expired = False
        except UnauthorizedError:
            if self._value is None:
                raise
        finally:
            self._read_at = asyncio.get_running_loop().time()


class TokenFile:
    """A bearer token in a file, read at each call: the kubelet replaces it from time to time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def authorization(self) -> str:
        """See Credentials."""
        token = self._content()
        if not token:
            raise UnauthorizedError(f"the token file {self._path} is empty")
        return f"Bearer {token}"

    def expire(self) -> None:
        """Nothing is kept here."""

    def _content(self) -> str:
        try:
            return self._path.read_text(encoding="ascii").strip()
        except OSError as error:
            raise UnauthorizedError(
                f"the token file {self._path} cannot be read: {error.strerror}"
            ) from None


class KubeconfigUser:
    """The user of a kubeconfig context: kubernetes_asyncio knows when a token is old."""

    def __init__(
        self, loader: KubeConfigLoader, configuration: Configuration, tls: ssl.SSLContext | None
    ) -> None:
        self._loader = loader
        self._configuration = configuration
        self._tls = tls
        self._loaded = True

    async def authorization(self) -> str:
        """See Credentials."""
        # The loader comes loaded: a plugin that asks a person should not do so twice at start.
        if not self._loaded:
            await self._load()
        self._loaded = False
        token: str = self._configuration.api_key.get("BearerToken", "")
        return token

    def expire(self) -> None:
        """The plugin said until when its token is good, and was wrong."""
        self._loader.__dict__.pop("exec_plugin_expiry", None)

    async def _load(self) -> None:
        try:
            await self._loader.load_and_set(self._configuration)
            if self._tls is not None:
                _present(self._tls, self._configuration)
        except Exception as error:  # noqa: BLE001 - plugins and token servers fail in any way
            raise UnauthorizedError(f"the kubeconfig's user: {_redacted(error)}") from None


async def load_config(
    kubeconfig: str | None,
    *,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> ClientConfig:
    """The configuration from `kubeconfig`, or from where kubectl and client-go look.

    Without a path: $KUBECONFIG, else the pod's service account, else ~/.kube/config. Raises
    ConfigError when there is none that can be used.
    """
    path = kubeconfig or environ.get("KUBECONFIG")
    if path:
        return await _from_kubeconfig(path, environ)
    if _in_pod(environ, service_account):
        return in_cluster(environ, service_account)
    return await _from_kubeconfig(str(Path.home() / ".kube" / "config"), environ)


def _in_pod(environ: Mapping[str, str], service_account: Path) -> bool:
    return bool(environ.get("KUBERNETES_SERVICE_HOST")) and service_account.is_dir()


def in_cluster(environ: Mapping[str, str], service_account: Path) -> ClientConfig:
    """The configuration that the kubelet gives to a pod; ConfigError without a CA certificate."""
    host = environ["KUBERNETES_SERVICE_HOST"]
    port = environ.get("KUBERNETES_SERVICE_PORT") or "443"
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    authority = service_account / "ca.crt"
    try:
        tls = ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise ConfigError(f"the CA certificate {authority} cannot be used: {error}") from None
    return ClientConfig(
        server,
        Cached(TokenFile(service_account / "token")),
        tls=tls,
        proxy=proxy_for(server, environ),
    )


def own_namespace(service_account: Path = SERVICE_ACCOUNT) -> str:
    """The namespace of the pod that we run in; "" outside of a pod."""
    try:
        return (service_account / "namespace").read_text(encoding="ascii").strip()
    except OSError:
        return ""


async def _from_kubeconfig(path: str, environ: Mapping[str, str]) -> ClientConfig:
    # Here, because a pod never needs it and it doubles the time to start.
    from kubernetes_asyncio.client import Configuration  # noqa: PLC0415 - see above
    from kubernetes_asyncio.config import load_kube_config  # noqa: PLC0415 - see above

    configuration = Configuration()
    try:
        loader = await load_kube_config(config_file=path, client_configuration=configuration)
        server = str(configuration.host).rstrip("/")
        tls = _tls(configuration) if server.startswith("https://") else None
    except Exception as error:  # noqa: BLE001 - the loader has no error class of its own for all
        raise ConfigError(f"the kubeconfig {path} cannot be used: {_redacted(error)}") from None
    return ClientConfig(
        server,
        Cached(KubeconfigUser(loader, configuration, tls)),
        tls=tls,
        tls_server_name=configuration.tls_server_name or None,
        proxy=configuration.proxy or proxy_for(server, environ),
    )


def _redacted(error: Exception) -> str:
    # The loader's sentences end in "... in <name>", and that name may be the whole user entry
    # with its token (KubeConfigMerger._merge in kubernetes_asyncio 36).
    return f"{type(error).__name__}: {str(error).partition(' in ')[0]}"


def _tls(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _present(context, configuration)
    return context


def _present(context: ssl.SSLContext, configuration: Configuration) -> None:
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)


def proxy_for(server: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that the environment names for this server, if any.

    NO_PROXY is read as client-go does: names, suffixes, addresses and, what Python's own rules
    lack, networks such as 10.96.0.0/12, in which the API server's Service has its address.
    """
    url = urlsplit(server)
    name = f"{url.scheme}_proxy"
    proxy = environ.get(name) or environ.get(name.upper())
    exceptions = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    host = url.hostname or ""
    if not proxy or any(_matches(host, entry.strip()) for entry in exceptions.split(",")):
        return None
    return proxy


def _matches(host: str, entry: str) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:  # one of them is a name
        domain = entry.partition(":")[0].strip(".").lower()
        return bool(domain) and f".{host}".endswith(f".{domain}")
