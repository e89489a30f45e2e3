"""Reads hack/versions.env, the one place where versions are pinned."""

import re
from collections.abc import Mapping
from pathlib import Path

from base.errors import ClusterError

VERSIONS_FILE = Path(__file__).resolve().parents[2] / "versions.env"

_LINE = re.compile(r"([A-Z][A-Z0-9_]*)=([^\s'\"$`\\]*)")


def parse_versions(text: str) -> dict[str, str]:
    """Return the KEY=VALUE lines of `text`; only what sh and this parser read alike is allowed."""
    versions: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            raise ClusterError(f"versions.env line {number} is not KEY=VALUE: {line!r}")
        key, value = match.groups()
        if key in versions:
            raise ClusterError(f"versions.env line {number} repeats {key}")
        versions[key] = value
    return versions


def read_versions(path: Path = VERSIONS_FILE) -> Mapping[str, str]:
    """Return the pinned versions."""
    return parse_versions(path.read_text(encoding="utf-8"))


def version_tuple(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: `go1.26rc1` is (1, 26)."""
    match = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def at_least(version: str, minimum: str) -> bool:
    """Tell whether `version` is `minimum` or newer."""
    return version_tuple(version) >= version_tuple(minimum)
