"""Builds container images with buildah, in a storage of our own, without a registry."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from base.commands import Call, Runner
from base.errors import CommandError
from base.folders import build_log, cache_folder, lock
from products.packages import IMAGE_NEEDS, install_missing

# Where a build step finds the host's certificates: not at their usual place, since Debian's
# ca-certificates must be able to write there.
BUILD_CERTIFICATES = "/run/host-certificates.pem"
PIP_CONFIGURATION = "/etc/pip.conf"


@dataclass(frozen=True)
class Build:
    """One image to build: from a Dockerfile, in a context folder, under a full name."""

    name: str
    dockerfile: Path
    context: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()


# buildah keeps mounts of its storage for later. In a mount namespace of its own they end with it;
# its notes on what is mounted must then end too, as after a reboot, so they are put into memory.
_ENTER = 'mount -t tmpfs tmpfs "$1" && shift && exec buildah "$@"'


def buildah(*arguments: str) -> tuple[str, ...]:
    """Return a buildah command on a storage in our cache, away from the user's own."""
    folder = cache_folder() / "buildah"
    notes = folder / "run"
    notes.mkdir(parents=True, exist_ok=True)
    driver = os.environ.get("STORAGE_DRIVER", "overlay")
    options = ("--storage-driver", driver, "--root", str(folder / "images"))
    enter = ("unshare", "--mount", "sh", "-c", _ENTER, "buildah", str(notes))
    return (*enter, *options, "--runroot", str(notes), *arguments)


def build_image(build: Build, archive: Path, run: Runner) -> None:
    """Build an image and write it as an OCI archive."""
    install_missing(IMAGE_NEEDS, run)
    log = build_log(build.name.rpartition("/")[2].replace(":", "-"))
    arguments = [f"--build-arg={key}={value}" for key, value in build.arguments.items()]
    arguments += [f"--volume={volume}" for volume in build.volumes]
    # chroot isolation needs nothing of the kernel that a container may not have.
    options = ("--isolation", "chroot", "--pull=never", "--layers", "--force-rm", "--format", "oci")
    file = ("--file", str(build.dockerfile), "--tag", build.name, str(build.context))
    with _storage_lock(build.name):
        run(Call(buildah("bud", *options, *arguments, *file), log))
        run(Call(buildah("push", build.name, f"oci-archive:{archive}:{build.name}"), log))


def ensure_image(name: str, archive: Path, run: Runner) -> None:
    """Bring a built image back into the storage, where a later build starts from it."""
    with _storage_lock(name):
        try:
            run(Call(buildah("inspect", "--type", "image", name)))
        except CommandError:
            run(Call(buildah("pull", f"oci-archive:{archive}")))


def _storage_lock(name: str) -> AbstractContextManager[None]:
    return lock(cache_folder() / "locks" / "buildah", name)


def pip_configuration(environment: Mapping[str, str]) -> str:
    """Return the PIP_* settings of this machine as a pip.conf, for builds that run pip."""
    settings = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in environment.items()
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE"
    }
    if certificates(environment) is not None:
        settings["cert"] = BUILD_CERTIFICATES
    lines = [f"{name} = {value}" for name, value in sorted(settings.items())]
    return "\n".join(["[global]", *lines, ""])


def certificates(environment: Mapping[str, str]) -> str | None:
    """Return the file of certificates that this machine was told to trust, if it was."""
    names = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    return next((environment[name] for name in names if environment.get(name)), None)


def build_volumes(folder: Path, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return what a build that fetches needs of this machine: certificates and pip's settings."""
    bundle = certificates(environment)
    pip = pip_configuration(environment)
    volumes = []
    if bundle is not None and Path(bundle).is_file():
        volumes.append(f"{bundle}:{BUILD_CERTIFICATES}:ro")
    if pip.count("\n") > 1:
        file = folder / "pip.conf"
        file.write_text(pip, encoding="utf-8")
        volumes.append(f"{file}:{PIP_CONFIGURATION}:ro")
    links = environment.get("PIP_FIND_LINKS", "")
    if links.startswith("/") and Path(links).is_dir():
        volumes.append(f"{links}:{links}:ro")
    return tuple(volumes)
