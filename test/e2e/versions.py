"""The versions of RocketMQ that the cluster has images of: those of hack/versions.env."""

from __future__ import annotations

from fakes.control_plane import ROOT


def _versions() -> dict[str, str]:
    text = (ROOT / "hack" / "versions.env").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


NEW = _versions()["ROCKETMQ_VERSION"]
OLD = _versions()["ROCKETMQ_OTHER_VERSIONS"]


def image(version: str) -> str:
    """The stock image."""
    return f"docker.io/apache/rocketmq:{version}"
