"""Installs the Debian packages whose programs are missing."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from base.commands import Call, Runner
from base.errors import ClusterError
from base.folders import build_log, cache_folder, lock
from base.progress import phase

# A program (or a file) that must be there, and the package that brings it.
CONTROL_PLANE_NEEDS = {"openssl": "openssl", "setpriv": "util-linux"}
NODE_NEEDS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "iptables": "iptables",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
}
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
IMAGE_NEEDS = {"buildah": "buildah", "debootstrap": "debootstrap"}
PAUSE_NEEDS = {"gcc": "gcc", "/usr/include/stdlib.h": "libc6-dev"}
BUSYBOX_NEEDS = {"/bin/busybox": "busybox-static"}


def java_needs(version: str) -> dict[str, str]:
    """Return what building the RocketMQ images needs."""
    return {"javac": f"openjdk-{version}-jdk-headless", "mvn": "maven"}


def missing_packages(needs: dict[str, str], present: Callable[[str], bool]) -> list[str]:
    """Return the packages to install, each once, in a stable order."""
    return sorted({package for program, package in needs.items() if not present(program)})


def is_present(program: str) -> bool:
    """Tell whether a program is on PATH, or a file is there."""
    if program.startswith("/"):
        return Path(program).exists()
    # Debian keeps ip, iptables and containerd where an ordinary user's PATH does not look.
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None


def cni_folder() -> Path | None:
    """Return the folder of the CNI plugins, where there is one."""
    return next((folder for folder in CNI_FOLDERS if (folder / "portmap").exists()), None)


def install_missing(needs: dict[str, str], run: Runner) -> None:
    """Install what `needs` lacks, saying which packages."""
    packages = missing_packages(needs, is_present)
    if needs is NODE_NEEDS and cni_folder() is None:
        packages.append("containernetworking-plugins")
    if packages:
        install(packages, run)


def install(packages: Iterable[str], run: Runner) -> None:
    """Install Debian packages."""
    names = list(packages)
    listed = ", ".join(names)
    if not is_present("apt-get") or os.geteuid() != 0:
        raise ClusterError(f"these packages are missing: {listed}; install them, or run as root")
    log = build_log("apt")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    install_them = ("apt-get", "install", "-y", "--no-install-recommends", *names)
    with (
        lock(cache_folder() / "locks" / "apt", "apt"),
        phase("Debian packages", f"installing {listed}", "installed"),
    ):
        run(Call(("apt-get", "update"), log, environment=environment))
        run(Call(install_them, log, environment=environment))
