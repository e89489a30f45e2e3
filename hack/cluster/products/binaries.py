"""Compiles the programs of the cluster from Go modules, each once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from base.commands import Call, Runner
from base.errors import ClusterError
from base.folders import CLUSTER_SOURCE, build_log, cache_folder, lock
from base.progress import phase
from products.store import Product, folder_of, is_built, obtain, source_text
from products.toolchain import find_go

MODULE = CLUSTER_SOURCE / "modules"

# Two compiles at a time keep a small machine usable; a user's own GOFLAGS win.
DEFAULT_GO_FLAGS = "-p=2"


@dataclass(frozen=True)
class Program:
    """A Go program: which version it has and which package its main is in."""

    version_key: str
    package: str


# The order is that of need: the API server first, since it takes longest and others share its work.
PROGRAMS = {
    "kube-apiserver": Program("KUBERNETES_VERSION", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "etcd": Program("ETCD_VERSION", "go.etcd.io/etcd/server/v3"),
    "kube-controller-manager": Program(
        "KUBERNETES_VERSION", "k8s.io/kubernetes/cmd/kube-controller-manager"
    ),
    "kubectl": Program("KUBERNETES_VERSION", "k8s.io/kubernetes/cmd/kubectl"),
    "kubelet": Program("KUBERNETES_VERSION", "k8s.io/kubernetes/cmd/kubelet"),
    "kube-scheduler": Program("KUBERNETES_VERSION", "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kube-proxy": Program("KUBERNETES_VERSION", "k8s.io/kubernetes/cmd/kube-proxy"),
    "coredns": Program("COREDNS_VERSION", "./coredns"),
    "local-path-provisioner": Program(
        "LOCAL_PATH_PROVISIONER_VERSION", "github.com/rancher/local-path-provisioner"
    ),
}
CONTROL_PLANE = ("kube-apiserver", "etcd", "kube-controller-manager", "kubectl")


def linker_flags(kubernetes_version: str) -> str:
    """Return the flags that give Kubernetes its version, which is not in its source."""
    major, minor, _ = kubernetes_version.split(".")
    values = {
        "gitVersion": f"v{kubernetes_version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    settings = [
        f"-X {package}.{name}={value}" for package in packages for name, value in values.items()
    ]
    return " ".join(["-s", "-w", *settings])


def binary(name: str, versions: Mapping[str, str], run: Runner) -> Path:
    """Return the path of a program, compiled now if it never was."""
    if name not in PROGRAMS:
        raise ClusterError(f"no recipe for {name}; there are: {', '.join(PROGRAMS)}")
    product = _product(name, versions)
    if not is_built(product):
        with lock(cache_folder() / "locks" / "go-build", name):
            obtain(product, lambda target: _compile(name, target, versions, run))
    return folder_of(product) / name


def _product(name: str, versions: Mapping[str, str]) -> Product:
    program = PROGRAMS[name]
    flags = linker_flags(versions["KUBERNETES_VERSION"])
    recipe = f"{program.package}\n{flags}\n{source_text(MODULE)}"
    return Product(name, versions[program.version_key], recipe)


def _compile(name: str, target: Path, versions: Mapping[str, str], run: Runner) -> None:
    command = (
        find_go(versions, run),
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        linker_flags(versions["KUBERNETES_VERSION"]),
        "-o",
        str(target / name),
        PROGRAMS[name].package,
    )
    environment = {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": f"{DEFAULT_GO_FLAGS} {os.environ.get('GOFLAGS', '')}".strip(),
    }
    with phase(name, "compiling", "compiled"):
        run(Call(command, build_log(name), MODULE, environment))
