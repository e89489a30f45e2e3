"""Finds a Go that is new enough, or fetches one from the Go module proxy."""

import base64
import hashlib
import json
import os
import platform
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path

from base.commands import Runner, call
from base.errors import ClusterError
from base.progress import phase
from base.versions import at_least
from products.store import Product, obtain

DEFAULT_PROXY = "https://proxy.golang.org"


def architecture() -> str:
    """Return this machine's architecture as Go, Debian and OCI name it."""
    machine = platform.machine()
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    if machine not in names:
        raise ClusterError(f"no recipe for a {machine} machine")
    return names[machine]


def find_go(versions: Mapping[str, str], run: Runner) -> str:
    """Return the path of a `go` of at least GO_MINIMUM_VERSION."""
    found = shutil.which("go")
    if found is not None:
        settings = json.loads(run(call(found, "env", "-json", "GOVERSION")))
        if at_least(settings["GOVERSION"], versions["GO_MINIMUM_VERSION"]):
            return found
    product = Product("go", versions["GO_VERSION"], architecture())
    folder = obtain(product, lambda target: _fetch_go(target, versions))
    return str(folder / "bin" / "go")


def proxies(setting: str) -> list[str]:
    """Return the proxies of a GOPROXY value, without `direct` and `off`, which hold no modules."""
    parts = [part.strip() for part in setting.replace("|", ",").split(",")]
    return [part.rstrip("/") for part in parts if part not in {"", "direct", "off"}]


def _fetch_go(target: Path, versions: Mapping[str, str]) -> None:
    # Go publishes its own releases as a module: https://go.dev/doc/toolchain#download
    module = f"v0.0.1-go{versions['GO_VERSION']}.linux-{architecture()}"
    archive = target / "toolchain.zip"
    with phase("go", f"fetching Go {versions['GO_VERSION']}", "fetched"):
        _download(f"golang.org/toolchain/@v/{module}.zip", archive)
        with zipfile.ZipFile(archive) as content:
            _check_sum(content, versions[f"GO_SUM_{architecture().upper()}"])
            _unpack(content, target, f"golang.org/toolchain@{module}/")
    archive.unlink()


def _download(path: str, target: Path) -> None:
    addresses = proxies(os.environ.get("GOPROXY", "")) or [DEFAULT_PROXY]
    reasons = []
    for address in addresses:
        try:
            # GOPROXY is the user's own setting, file:// proxies included.
            answer = urllib.request.urlopen(f"{address}/{path}")  # noqa: S310
            with answer, target.open("wb") as stream:
                shutil.copyfileobj(answer, stream)
        except (urllib.error.URLError, OSError) as error:
            reasons.append(f"{address}: {error}")
        else:
            return
    raise ClusterError(f"no Go module proxy has {path}: {'; '.join(reasons)}")


def directory_hash(files: Mapping[str, str]) -> str:
    """Return the h1 hash of named SHA-256 sums: https://pkg.go.dev/golang.org/x/mod/sumdb/dirhash."""
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    return "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()


def _check_sum(content: zipfile.ZipFile, expected: str) -> None:
    sums = {}
    for name in content.namelist():
        sums[name] = hashlib.sha256(content.read(name)).hexdigest()
    if directory_hash(sums) != expected:
        raise ClusterError(f"the Go toolchain's checksum is {directory_hash(sums)}, not {expected}")


def _unpack(content: zipfile.ZipFile, target: Path, prefix: str) -> None:
    for member in content.infolist():
        path = target / member.filename.removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        with content.open(member) as source, path.open("wb") as stream:
            shutil.copyfileobj(source, stream)
        # A module zip has no modes; go itself sets these by the same rule.
        if path.parent.name == "bin" or "pkg/tool" in path.parent.as_posix():
            path.chmod(0o755)
