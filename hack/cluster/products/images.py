"""The images that a cluster runs: the base, the node's own, RocketMQ and its message client."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from base.commands import Call, Runner, call
from base.errors import ClusterError
from base.folders import CLUSTER_SOURCE, IMAGE_SOURCE, REPOSITORY, build_log, cache_folder, lock
from base.progress import phase
from products.buildah import Build, build_image, build_volumes, ensure_image
from products.packages import BUSYBOX_NEEDS, IMAGE_NEEDS, PAUSE_NEEDS, install_missing, java_needs
from products.rocketmq import compile_client, rocketmq_files, scripts_version
from products.store import Product, obtain, source_text
from products.toolchain import architecture

ARCHIVE = "image.tar"
OPERATOR_IMAGE = "docker.io/rocketmq-operator/rocketmq-operator"
RELEASED_IMAGE = "docker.io/apache/rocketmq-operator"

OPERATOR_SOURCES = (
    *("Dockerfile", ".dockerignore"),
    *("controller", "reconcilers", "rocketmq", "requirements"),
)
"""What the Dockerfile copies, and how."""


def source_hash(repository: Path) -> str:
    """Return a short hash of the operator's sources: paths and contents."""
    digest = hashlib.sha256()
    for name in OPERATOR_SOURCES:
        path = repository / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                content = file.read_bytes()
                digest.update(f"{file.relative_to(repository)} {len(content)} ".encode())
                digest.update(content)
    return digest.hexdigest()[:12]


def _operator_folder() -> Path:
    return cache_folder() / "image-operator"


@dataclass(frozen=True)
class Images:
    """Builds each image when it is first asked for, and returns its OCI archive."""

    versions: Mapping[str, str]
    run: Runner

    def pause_name(self) -> str:
        """Return the name of the image that containerd makes sandboxes from."""
        return f"docker.io/rocketmq-operator/pause:{self.versions['PAUSE_VERSION']}"

    def busybox_name(self) -> str:
        """Return the name of the image that the volume provisioner runs."""
        return f"docker.io/library/busybox:{self.versions['DEBIAN_SUITE']}"

    def base_name(self) -> str:
        """Return the name of the image that Dockerfiles start from."""
        return f"docker.io/library/debian:{self.versions['DEBIAN_SUITE']}-slim"

    def base(self) -> Path:
        """Return the archive of the Debian base image."""
        suite = self.versions["DEBIAN_SUITE"]
        return self._obtain("base", suite, self._recipe("base") + _SLIM, self._build_base)

    def pause(self) -> Path:
        """Return the archive of the pause image."""
        version = self.versions["PAUSE_VERSION"]
        return self._obtain("pause", version, self._recipe("pause"), self._build_pause)

    def busybox(self) -> Path:
        """Return the archive of the busybox image."""
        suite = self.versions["DEBIAN_SUITE"]
        return self._obtain("busybox", suite, self._recipe("busybox"), self._build_busybox)

    def rocketmq(self, version: str) -> Path:
        """Return the archive of a RocketMQ image."""
        java = self.versions["JAVA_VERSION"]
        source = scripts_version(version, self.versions)
        recipe = f"{self._recipe('rocketmq', 'base')}{java}{source}"

        def build(target: Path) -> None:
            self._build_rocketmq(target, version)

        return self._obtain("rocketmq", version, recipe, build)

    def client(self, version: str) -> Path:
        """Return the archive of the message client for a RocketMQ version."""

        def build(target: Path) -> None:
            self._build_client(target, version)

        recipe = self._recipe("client", "rocketmq", "base")
        return self._obtain("message-client", version, recipe, build)

    def working_tree(self) -> tuple[str, Path]:
        """Return name and archive of the operator's image of the sources as they are.

        The tag is a hash of what the Dockerfile copies, so nothing is built twice, and a cluster
        that runs other sources gets another image.
        """
        tag = f"src-{source_hash(REPOSITORY)}"
        archive = _operator_folder() / f"rocketmq-operator-{tag}.tar"
        name = f"{RELEASED_IMAGE}:{tag}"
        # Two runs at once may want it: the second finds what the first has built.
        with lock(cache_folder() / "locks" / "image-operator", "image operator"):
            return name, archive if archive.exists() else self.operator(name)

    def operator(self, tag: str) -> Path:
        """Build the operator's image from the repository as it is now; buildah keeps the layers."""
        dockerfile = REPOSITORY / "Dockerfile"
        if not dockerfile.exists():
            raise ClusterError(f"{dockerfile} is missing")
        self._ensure(self.base_name(), self.base())
        name = tag if "/" in tag else f"{OPERATOR_IMAGE}:{tag}"
        folder = _operator_folder()
        folder.mkdir(parents=True, exist_ok=True)
        archive = folder / f"{name.rpartition('/')[2].replace(':', '-')}.tar"
        unfinished = archive.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        build = Build(name, dockerfile, REPOSITORY, volumes=build_volumes(folder))
        with phase("image operator", f"building {name}", "built"):
            build_image(build, unfinished, self.run)
        return unfinished.rename(archive)

    def named(self, spec: str) -> Path:
        """Return the archive that `rocketmq:5.3.3`, `rocketmq` or `client` stands for."""
        kind, _, version = spec.partition(":")
        makers = {"rocketmq": self.rocketmq, "client": self.client}
        if kind not in makers:
            raise ClusterError(f"no image {spec!r}; there are rocketmq[:VERSION], client[:VERSION]")
        return makers[kind](version or self.versions["ROCKETMQ_VERSION"])

    def _recipe(self, *names: str) -> str:
        sources = [IMAGE_SOURCE / name for name in names]
        if "rocketmq" in names:
            sources.append(CLUSTER_SOURCE / "products" / "rocketmq.py")
        return architecture() + source_text(*sources)

    def _obtain(self, name: str, version: str, recipe: str, build: Callable[[Path], None]) -> Path:
        product = Product(f"image-{name}", version, recipe)

        def announced(target: Path) -> None:
            with phase(f"image {name} {version}", "building", "built"):
                build(target)

        return obtain(product, announced) / ARCHIVE

    def _ensure(self, name: str, archive: Path) -> None:
        install_missing(IMAGE_NEEDS, self.run)
        ensure_image(name, archive, self.run)

    def _build(self, target: Path, build: Build) -> None:
        build_image(build, target / ARCHIVE, self.run)

    def _build_base(self, target: Path) -> None:
        install_missing(IMAGE_NEEDS, self.run)
        suite = self.versions["DEBIAN_SUITE"]
        with tempfile.TemporaryDirectory(dir=target) as folder:
            context = Path(folder)
            root = context / "root"
            log = build_log("debootstrap")
            self.run(call("debootstrap", "--variant=minbase", suite, root, log=log))
            self.run(Call(("sh", "-euc", _SLIM, "slim", str(root), suite), log))
            tar = ("tar", "--numeric-owner", "-C", root, "-cf", context / "root.tar", ".")
            self.run(call(*tar, log=log))
            shutil.rmtree(root)
            dockerfile = IMAGE_SOURCE / "base" / "Dockerfile"
            self._build(target, Build(self.base_name(), dockerfile, context))

    def _build_pause(self, target: Path) -> None:
        install_missing(PAUSE_NEEDS, self.run)
        source = IMAGE_SOURCE / "pause"
        with tempfile.TemporaryDirectory(dir=target) as context:
            program = Path(context, "pause")
            self.run(call("gcc", "-Os", "-static", "-s", "-o", program, source / "pause.c"))
            dockerfile = source / "Dockerfile"
            self._build(target, Build(self.pause_name(), dockerfile, Path(context)))

    def _build_busybox(self, target: Path) -> None:
        install_missing(BUSYBOX_NEEDS, self.run)
        with tempfile.TemporaryDirectory(dir=target) as context:
            programs = Path(context, "root", "bin")
            programs.mkdir(parents=True)
            Path(context, "root", "tmp").mkdir()
            shutil.copy2("/bin/busybox", programs / "busybox")
            for applet in self.run(call("/bin/busybox", "--list")).split():
                if applet != "busybox":
                    (programs / applet).symlink_to("busybox")
            dockerfile = IMAGE_SOURCE / "busybox" / "Dockerfile"
            self._build(target, Build(self.busybox_name(), dockerfile, Path(context)))

    def _build_rocketmq(self, target: Path, version: str) -> None:
        self._ensure(self.base_name(), self.base())
        install_missing(java_needs(self.versions["JAVA_VERSION"]), self.run)
        with tempfile.TemporaryDirectory(dir=target) as folder:
            context = Path(folder)
            rocketmq_files(context / "rocketmq", version, self.versions, self.run)
            build = Build(
                rocketmq_name(version),
                IMAGE_SOURCE / "rocketmq" / "Dockerfile",
                context,
                {"VERSION": version, "JAVA": self.versions["JAVA_VERSION"]},
            )
            self._build(target, build)

    def _build_client(self, target: Path, version: str) -> None:
        self._ensure(rocketmq_name(version), self.rocketmq(version))
        install_missing(java_needs(self.versions["JAVA_VERSION"]), self.run)
        source = IMAGE_SOURCE / "client"
        with tempfile.TemporaryDirectory(dir=target) as folder:
            context = Path(folder)
            compile_client(source, context, version, self.run)
            name = f"docker.io/rocketmq-operator/message-client:{version}"
            self._build(target, Build(name, source / "Dockerfile", context, {"VERSION": version}))


def rocketmq_name(version: str) -> str:
    """Return the stock name of a RocketMQ image."""
    return f"docker.io/apache/rocketmq:{version}"


def default_images(environment: Mapping[str, str] = os.environ) -> str:
    """Return what `up` loads unless it is told otherwise."""
    return environment.get("ROCKETMQ_OPERATOR_IMAGES", "rocketmq,client")


# What the official slim image leaves out, and where its later packages come from.
_SLIM = """
root=$1 suite=$2
find "$root/usr/share/doc" "$root/usr/share/man" "$root/usr/share/locale" \
    "$root/var/cache/apt" "$root/var/lib/apt/lists" "$root/var/log" -type f -delete
cat > "$root/etc/dpkg/dpkg.cfg.d/slim" <<EOF
path-exclude /usr/share/doc/*
path-exclude /usr/share/man/*
path-exclude /usr/share/locale/*
EOF
echo 'APT::Install-Recommends "false";' > "$root/etc/apt/apt.conf.d/slim"
echo 'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";' >> "$root/etc/apt/apt.conf.d/slim"
cat > "$root/etc/apt/sources.list" <<EOF
deb http://deb.debian.org/debian $suite main
deb http://deb.debian.org/debian $suite-updates main
deb http://deb.debian.org/debian-security $suite-security main
EOF
"""
