"""The programs that the supervisor starts, as values, and the three of the control plane."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Component:
    """One program: it starts when all of `after` are ready.

    It is ready when `ready` answers: an http(s) URL, or the path of a Unix socket; when it has
    started, where `ready` is empty; when it has ended well, where it runs `once` (it is repeated
    until then).
    """

    name: str
    arguments: tuple[str, ...]
    after: tuple[str, ...] = ()
    ready: str = ""
    once: bool = False
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a control plane lives: its folder and its addresses."""

    folder: Path
    address: str
    port: int
    etcd_client_port: int
    etcd_peer_port: int
    controller_port: int

    @property
    def keys(self) -> Path:
        """Return the folder of certificates."""
        return self.folder / "keys"

    @property
    def audit_log(self) -> Path:
        """Return the file that the API server writes each audited request to."""
        return self.folder / "audit.log"

    @property
    def server(self) -> str:
        """Return the API server's URL."""
        return f"https://{self.address}:{self.port}"

    @property
    def etcd_url(self) -> str:
        """Return etcd's URL; it listens on loopback only."""
        return f"http://127.0.0.1:{self.etcd_client_port}"

    def kubeconfig(self, identity: str) -> Path:
        """Return the kubeconfig of one identity."""
        return self.folder / "kubeconfigs" / f"{identity}.kubeconfig"


def flags(values: dict[str, object]) -> tuple[str, ...]:
    """Return command-line flags, in the order given."""
    return tuple(f"--{name}={value}" for name, value in values.items())


def etcd(program: Path, place: Place) -> Component:
    """Return etcd: its data are the cluster's life long only, so it need not wait for the disk."""
    peer = f"http://127.0.0.1:{place.etcd_peer_port}"
    values: dict[str, object] = {
        "name": "default",
        "data-dir": place.folder / "etcd",
        "listen-client-urls": place.etcd_url,
        "advertise-client-urls": place.etcd_url,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "unsafe-no-fsync": "true",
        "quota-backend-bytes": 4 * 1024**3,
        "log-level": "warn",
    }
    return Component("etcd", (str(program), *flags(values)), ready=f"{place.etcd_url}/health")


def api_server(
    program: Path, place: Place, service_range: str, *, audit: bool, extra: dict[str, object]
) -> Component:
    """Return the API server, with the authorization and admission of an ordinary cluster."""
    keys = place.keys
    values: dict[str, object] = {
        "etcd-servers": place.etcd_url,
        "bind-address": place.address,
        "secure-port": place.port,
        "service-cluster-ip-range": service_range,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",  # PodSecurity is on by default
        "client-ca-file": keys / "ca.crt",
        "tls-cert-file": keys / "apiserver.crt",
        "tls-private-key-file": keys / "apiserver.key",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": keys / "accounts.pub",
        "service-account-signing-key-file": keys / "accounts.key",
        "allow-privileged": "true",
        "profiling": "false",
        **extra,
    }
    if audit:
        values |= _audit_flags(place)
    arguments = (str(program), *flags(values))
    return Component("kube-apiserver", arguments, ("etcd",), f"{place.server}/readyz")


def _audit_flags(place: Place) -> dict[str, object]:
    return {
        "audit-policy-file": place.folder / "audit-policy.json",
        "audit-log-path": place.audit_log,
        "audit-log-mode": "blocking",  # a test may read a request as soon as it is answered
        "audit-log-maxsize": 2000,  # MB; a rotated file would look like lost requests
    }


def controller_manager(program: Path, place: Place, extra: dict[str, object]) -> Component:
    """Return the controller manager, with limits at which it is not what a test waits for."""
    kubeconfig = place.kubeconfig("controller-manager")
    values: dict[str, object] = {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "secure-port": place.controller_port,
        "tls-cert-file": place.keys / "controller-manager.crt",
        "tls-private-key-file": place.keys / "controller-manager.key",
        "root-ca-file": place.keys / "ca.crt",
        "service-account-private-key-file": place.keys / "accounts.key",
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        "kube-api-qps": 500,
        "kube-api-burst": 1000,
        "concurrent-statefulset-syncs": 20,
        "profiling": "false",
        **extra,
    }
    ready = f"https://127.0.0.1:{place.controller_port}/healthz"
    arguments = (str(program), *flags(values))
    return Component("kube-controller-manager", arguments, ("kube-apiserver",), ready)


def render_components(components: Iterable[Component]) -> str:
    """Return the supervisor's list of components."""
    return json.dumps([dataclasses.asdict(item) for item in components], indent=2) + "\n"


def parse_components(text: str) -> list[Component]:
    """Return the components that `render_components` wrote."""
    return [
        Component(**{**item, "arguments": tuple(item["arguments"]), "after": tuple(item["after"])})
        for item in json.loads(text)
    ]
