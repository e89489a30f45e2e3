"""Makes the keys and certificates of one cluster with openssl."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from base.commands import Runner, call


@dataclass(frozen=True)
class Identity:
    """Whom a certificate is for: user and group as Kubernetes reads them, and server names."""

    file: str
    user: str
    group: str = ""
    server_names: tuple[str, ...] = ()


# openssl's own configuration would add a second, contradicting set of extensions.
_CONFIGURATION = "[req]\ndistinguished_name = name\n[name]\n"
_LOOPBACK = ("IP:127.0.0.1",)
_LIFE_DAYS = "3650"


def identities(node: str, addresses: tuple[str, ...]) -> tuple[Identity, ...]:
    """Return everyone who speaks to or as the API server."""
    service = "kubernetes.default.svc"
    names = ("kubernetes", "kubernetes.default", service, f"{service}.cluster.local", "localhost")
    server_names = tuple(f"DNS:{name}" for name in names) + tuple(f"IP:{a}" for a in addresses)
    node_names = (f"DNS:{node}", *(f"IP:{address}" for address in addresses))
    return (
        Identity("apiserver", "kube-apiserver", server_names=server_names),
        Identity("apiserver-kubelet", "kube-apiserver-kubelet-client", "system:masters"),
        Identity("admin", "admin", "system:masters"),
        Identity("controller-manager", "system:kube-controller-manager", server_names=_LOOPBACK),
        Identity("scheduler", "system:kube-scheduler", server_names=_LOOPBACK),
        # The group and the name are what the Node authorizer goes by.
        Identity("kubelet", f"system:node:{node}", "system:nodes", node_names),
        Identity("proxy", "system:kube-proxy"),
        Identity("dns", "system:coredns"),
        Identity("provisioner", "local-path-provisioner"),
    )


def subject(identity: Identity) -> str:
    """Return the subject of a certificate as openssl wants it."""
    group = f"/O={identity.group}" if identity.group else ""
    return f"{group}/CN={identity.user}"


def extensions(identity: Identity) -> list[str]:
    """Return the extensions of a certificate."""
    usage = "serverAuth,clientAuth" if identity.server_names else "clientAuth"
    wanted = ["basicConstraints=critical,CA:FALSE", f"extendedKeyUsage={usage}"]
    if identity.server_names:
        wanted.append(f"subjectAltName={','.join(identity.server_names)}")
    return wanted


def make_certificates(folder: Path, wanted: tuple[Identity, ...], run: Runner) -> None:
    """Write an authority, a pair for each identity and the key that signs account tokens."""
    folder.mkdir(parents=True, mode=0o700)
    (folder / "openssl.cnf").write_text(_CONFIGURATION, encoding="utf-8")
    _authority(folder, run)
    with ThreadPoolExecutor() as pool:
        pairs = [pool.submit(_pair, folder, identity, run) for identity in wanted]
        key = pool.submit(_account_key, folder, run)
        for task in [*pairs, key]:
            task.result()


def _request(folder: Path, name: str) -> list[str]:
    return [
        *("openssl", "req", "-x509", "-config", str(folder / "openssl.cnf"), "-days", _LIFE_DAYS),
        *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")),
    ]


def _authority(folder: Path, run: Runner) -> None:
    extension = ["-addext", "basicConstraints=critical,CA:TRUE"]
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    run(call(*_request(folder, "ca"), "-subj", "/CN=rocketmq-operator-cluster", *extension, *usage))


def _pair(folder: Path, identity: Identity, run: Runner) -> None:
    signed_by = ["-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key")]
    added = [part for text in extensions(identity) for part in ("-addext", text)]
    run(call(*_request(folder, identity.file), *signed_by, "-subj", subject(identity), *added))


def _account_key(folder: Path, run: Runner) -> None:
    run(call("openssl", "genrsa", "-out", folder / "accounts.key", "2048"))
    public = folder / "accounts.pub"
    run(call("openssl", "rsa", "-in", folder / "accounts.key", "-pubout", "-out", public))
