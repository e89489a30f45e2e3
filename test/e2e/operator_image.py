"""The operator's image of the working tree, called after the contents of its sources."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from e2e.cluster import cluster_tool
from fakes.control_plane import ROOT

NAME = "docker.io/apache/rocketmq-operator"
_SOURCES = ("Dockerfile", ".dockerignore", "controller", "reconcilers", "requirements", "rocketmq")
"""What the Dockerfile copies."""


def operator_image() -> tuple[str, Path]:
    """Name and archive; it is built unless an archive of the same sources is there."""
    tag = f"e2e-{_source_hash()}"
    archive = _cache() / "image-operator" / f"rocketmq-operator-{tag}.tar"
    if not archive.exists():
        archive = Path(cluster_tool("image", "operator", "--tag", f"{NAME}:{tag}"))
    return f"{NAME}:{tag}", archive


def _cache() -> Path:
    chosen = os.environ.get("ROCKETMQ_OPERATOR_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "rocketmq-operator"


def _source_hash() -> str:
    digest = hashlib.sha256()
    for path in _source_files():
        digest.update(f"{path.relative_to(ROOT)} {path.stat().st_size} ".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _source_files() -> Iterator[Path]:
    for name in _SOURCES:
        path = ROOT / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (one for one in found if one.is_file() and "__pycache__" not in one.parts)
