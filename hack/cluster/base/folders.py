"""Where things are kept: the cache of built products, and the state of each cluster."""

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from base.errors import ClusterError
from base.progress import say

REPOSITORY = Path(__file__).resolve().parents[3]
CLUSTER_SOURCE = REPOSITORY / "hack" / "cluster"
IMAGE_SOURCE = REPOSITORY / "hack" / "images"

# A DNS label, since the node is named after the cluster; short, since cgroups and sockets are too.
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?")


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of products that any cluster may use."""
    chosen = environment.get("ROCKETMQ_OPERATOR_CACHE")
    return Path(chosen).resolve() if chosen else Path.home() / ".cache" / "rocketmq-operator"


def state_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that holds the state of every cluster."""
    chosen = environment.get("ROCKETMQ_OPERATOR_STATE")
    if chosen:
        return Path(chosen).resolve()
    return Path.home() / ".local" / "state" / "rocketmq-operator"


def clusters_folder() -> Path:
    """Return the folder with one folder for each cluster."""
    return state_folder() / "clusters"


def cluster_folder(name: str) -> Path:
    """Return the folder of the cluster `name`, after a check that it is a usable name."""
    if _NAME.fullmatch(name) is None:
        raise ClusterError(
            f"{name!r} is no cluster name: lower-case letters, digits and dashes, at most 30"
        )
    return clusters_folder() / name


def build_log(name: str) -> Path:
    """Return the log file of a build."""
    return cache_folder() / "logs" / f"{name}.log"


@contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel frees it when the process ends.

    The holder may delete the file: whoever waited for it notices, and takes the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("w", encoding="utf-8") as stream:
            _take(stream, what)
            if _is_file_at(stream, path):
                yield
                return


def _take(stream: TextIO, what: str) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"{what}: waiting for another run that works on it")
        fcntl.flock(stream, fcntl.LOCK_EX)


def _is_file_at(stream: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False
