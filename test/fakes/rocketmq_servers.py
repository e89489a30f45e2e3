"""One of everything that the admin client can meet, of one version, all at once.

Cluster `plain`: two name servers, master and slave `broker-a`. Cluster `guarded`: a broker with
ACL, 1.0 or 2.0 as the version has it. Cluster `sealed`: a broker that takes TLS alone, and only
with a client certificate. From 5.0 cluster `controlled`: three controllers, two brokers of
`broker-c`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from fakes.rocketmq_processes import (
    BROKER,
    CONTROLLER,
    HOST,
    NAME_SERVER,
    Program,
    Release,
    ServerProcess,
    free_port_blocks,
    running,
)
from rocketmq.acl import Credentials

SUPER_USER = Credentials("rocketmq-admin", "Secret-12345")
"""The account that every guarded broker has."""

SMALL_BROKER = {
    "mappedFileSizeCommitLog": "4194304",
    "mappedFileSizeConsumeQueue": "60000",
    "maxMessageSize": "1048576",
    "maxHashSlotNum": "500",
    "maxIndexNum": "2000",
    "mappedFileSizeTimerLog": "1048576",
    "sendMessageThreadPoolNums": "2",
    "pullMessageThreadPoolNums": "2",
    "adminBrokerThreadPoolNums": "2",
    "clientManageThreadPoolNums": "2",
    "consumerManageThreadPoolNums": "2",
    "heartbeatThreadPoolNums": "1",
    "registerNameServerPeriod": "10000",
    "fetchNamesrvAddrByAddressServer": "false",
    "flushDelayOffsetInterval": "500",
    "transactionCheckInterval": "2000",
    "timerWheelEnable": "false",
    "brokerIP1": HOST,
    "brokerIP2": HOST,
}
"""What every broker of a test has in its configuration, to be small."""
# The wheel takes 38 MB, and without it a 5.x broker says ERROR to the deletion of a topic.
WITH_TIMERS = {"timerWheelEnable": "true"}
_SLAVE = {**WITH_TIMERS, "slaveReadEnable": "true"}
_AUTH = "org.apache.rocketmq.auth."


class Servers(msgspec.Struct, frozen=True):
    """Where everything is; `controllers` and `controlled` are empty before 5.0."""

    release: Release
    name_servers: tuple[str, str]
    master: str
    slave: str
    guarded: str
    sealed: str
    certificates: Path
    controllers: tuple[str, ...]
    controlled: tuple[str, ...]
    processes: dict[str, ServerProcess]

    @property
    def version(self) -> str:
        """`5.3.3`."""
        return self.release.version


class _Plan:
    """Collects the servers of a version and gives out their ports and folders."""

    def __init__(self, release: Release, folder: Path) -> None:
        self.release = release
        self.folder = folder
        self.processes: dict[str, ServerProcess] = {}
        self._ports = iter(free_port_blocks(12))

    def port(self) -> int:
        """A broker's port: two below and one above are its own too."""
        return next(self._ports) + 2

    def start(
        self, name: str, program: Program, settings: dict[str, str], *options: str
    ) -> ServerProcess:
        """Start a server."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        process = ServerProcess(self.release, program, folder, settings, *options)
        self.processes[name] = process
        return process

    def broker(
        self,
        name: str,
        cluster: str,
        name_servers: tuple[str, ...],
        settings: dict[str, str],
        *options: str,
    ) -> str:
        """Start a broker and return its address."""
        port, store = self.port(), self.folder / name / "store"
        chosen = {
            **SMALL_BROKER,
            "brokerClusterName": cluster,
            "listenPort": str(port),
            "haListenPort": str(port + 1),
            "namesrvAddr": ";".join(name_servers),
            "storePathRootDir": str(store),
            "storePathCommitLog": str(store / "commitlog"),
            **settings,
        }
        self.start(name, BROKER, chosen, *options)
        return f"{HOST}:{port}"


@contextmanager
def rocketmq_servers(release: Release, folder: Path) -> Iterator[Servers]:
    """Start all of them side by side and end them with the block."""
    plan = _Plan(release, folder)
    try:
        name_servers = (_name_server(plan, "name-server-0"), _name_server(plan, "name-server-1"))
        controllers = _controllers(plan) if release.five else ()
        certificates = make_certificates(folder / "certificates")
        for process in tuple(plan.processes.values()):
            process.wait_ready()  # a broker that finds nobody tries again ten seconds later
        servers = Servers(
            release=release,
            name_servers=name_servers,
            master=plan.broker(
                "master", "plain", name_servers, _replica("broker-a", 0) | WITH_TIMERS
            ),
            slave=plan.broker("slave", "plain", name_servers, _replica("broker-a", 1) | _SLAVE),
            guarded=_guarded(plan, name_servers),
            sealed=_sealed(plan, name_servers, certificates),
            certificates=certificates,
            controllers=controllers,
            controlled=_controlled(plan, name_servers, controllers),
            processes=plan.processes,
        )
    except BaseException:
        for process in plan.processes.values():
            process.kill()
        raise
    with running(tuple(plan.processes.values())):
        yield servers


def _name_server(plan: _Plan, name: str) -> str:
    port, home = plan.port(), plan.folder / name
    settings = {
        "listenPort": str(port),
        "kvConfigPath": str(home / "kvConfig.json"),
        "configStorePath": str(home / "server.properties"),
        "orderMessageEnable": "true",
    }
    plan.start(name, NAME_SERVER, settings)
    return f"{HOST}:{port}"


def _replica(broker_name: str, broker_id: int) -> dict[str, str]:
    role = "SLAVE" if broker_id else "ASYNC_MASTER"
    return {"brokerName": broker_name, "brokerId": str(broker_id), "brokerRole": role}


def _controllers(plan: _Plan) -> tuple[str, ...]:
    ports = {f"n{number}": plan.port() for number in range(3)}
    peers = ";".join(f"{name}-{HOST}:{port}" for name, port in ports.items())
    for name in ports:
        settings = {
            "controllerDLegerGroup": "group",
            "controllerDLegerPeers": peers,
            "controllerDLegerSelfId": name,
            "controllerStorePath": str(plan.folder / f"controller-{name}" / "store"),
            "mappedFileSize": "1048576",
            "scanNotActiveBrokerInterval": "1000",
        }
        plan.start(f"controller-{name}", CONTROLLER, settings)
    return tuple(f"{HOST}:{port}" for port in ports.values())


def _controlled(
    plan: _Plan, name_servers: tuple[str, ...], controllers: tuple[str, ...]
) -> tuple[str, ...]:
    settings = {
        "brokerName": "broker-c",
        "enableControllerMode": "true",
        "controllerAddr": ";".join(controllers),
        "checkSyncStateSetPeriod": "1000",
        "syncBrokerMetadataPeriod": "1000",
        "controllerHeartBeatTimeoutMills": "5000",
    }
    count = 2 if controllers else 0
    return tuple(
        plan.broker(f"controlled-{number}", "controlled", name_servers, settings)
        for number in range(count)
    )


def _guarded(plan: _Plan, name_servers: tuple[str, ...]) -> str:
    identity = _replica("broker-g", 0)
    if plan.release.acl_2:
        return plan.broker("guarded", "guarded", name_servers, identity | _acl_2())
    conf = plan.folder / "guarded" / "conf"
    conf.mkdir(parents=True)
    accounts = (
        "accounts:\n"
        f"- accessKey: {SUPER_USER.access_key}\n"
        f"  secretKey: {SUPER_USER.secret_key}\n"
        "  admin: true\n"
    )
    (conf / "plain_acl.yml").write_text(accounts, encoding="utf-8")
    return plan.broker("guarded", "guarded", name_servers, identity | {"aclEnable": "true"})


def _acl_2() -> dict[str, str]:
    user, secret = SUPER_USER.access_key, SUPER_USER.secret_key
    return {
        "authenticationEnabled": "true",
        "authenticationProvider": f"{_AUTH}authentication.provider.DefaultAuthenticationProvider",
        "authenticationMetadataProvider": (
            f"{_AUTH}authentication.provider.LocalAuthenticationMetadataProvider"
        ),
        "initAuthenticationUser": f'{{"username":"{user}","password":"{secret}"}}',
        "innerClientAuthenticationCredentials": (
            f'{{"accessKey":"{user}","secretKey":"{secret}"}}'
        ),
        "authorizationEnabled": "true",
        "authorizationProvider": f"{_AUTH}authorization.provider.DefaultAuthorizationProvider",
        "authorizationMetadataProvider": (
            f"{_AUTH}authorization.provider.LocalAuthorizationMetadataProvider"
        ),
    }


def _sealed(plan: _Plan, name_servers: tuple[str, ...], certificates: Path) -> str:
    tls = plan.folder / "tls.properties"
    tls.write_text(
        "tls.test.mode.enable=false\n"
        "tls.server.need.client.auth=require\n"
        "tls.server.authClient=true\n"
        f"tls.server.keyPath={certificates}/server.key\n"
        f"tls.server.certPath={certificates}/server.crt\n"
        f"tls.server.trustCertPath={certificates}/ca.crt\n",
        encoding="utf-8",
    )
    options = ("-Dtls.server.mode=enforcing", f"-Dtls.config.file={tls}")
    return plan.broker("sealed", "sealed", name_servers, _replica("broker-s", 0), *options)


def make_certificates(folder: Path) -> Path:
    """An authority, `server` for 127.0.0.1, `client`; and `stranger`, whom nobody believes."""
    folder.mkdir(parents=True)
    for name in ("ca", "stranger"):
        _openssl(folder, "req", "-x509", "-nodes", *_new_key(name), "-out", f"{name}.crt")
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "")):
        _openssl(folder, "req", "-nodes", *_new_key(name), "-out", f"{name}.csr")
        (folder / "extensions").write_text(extension, encoding="utf-8")
        sign = ("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key")
        where = ("-CAcreateserial", "-extfile", "extensions", "-out", f"{name}.crt")
        _openssl(folder, *sign, *where, "-days", "30")
    return folder


def _new_key(name: str) -> tuple[str, ...]:
    # Netty reads PKCS#8 keys alone: that is what `req -newkey` writes.
    return ("-newkey", "rsa:2048", "-keyout", f"{name}.key", "-subj", f"/CN={name}", "-days", "30")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607
