"""Joins OCI image archives into one that has each layer once."""

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

INDEX = "index.json"


def merge_archives(archives: Iterable[Path], target: Path) -> None:
    """Write the images of all `archives` into one; most of their layers are the same."""
    manifests: list[object] = []
    seen: set[str] = set()
    with tarfile.open(target, "w") as merged:
        for archive in archives:
            with tarfile.open(archive) as source:
                for member in source:
                    content = source.extractfile(member) if member.isfile() else None
                    if content is not None and member.name == INDEX:
                        manifests += json.load(content)["manifests"]
                    elif member.name not in seen:
                        seen.add(member.name)
                        merged.addfile(member, content)
        _add_index(merged, manifests)


def _add_index(merged: tarfile.TarFile, manifests: list[object]) -> None:
    text = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
    entry = tarfile.TarInfo(INDEX)
    entry.size = len(text)
    merged.addfile(entry, io.BytesIO(text))
