"""Keeps built products: one folder each, keyed by version and recipe, complete or absent."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from base.folders import cache_folder, lock


@dataclass(frozen=True)
class Product:
    """A thing to build: `recipe` is everything but the version that its bytes depend on."""

    name: str
    version: str
    recipe: str

    @property
    def key(self) -> str:
        """Return the name of its folder in the cache."""
        digest = hashlib.sha256(self.recipe.encode()).hexdigest()[:12]
        return f"{self.name}-{self.version}-{digest}"


def folder_of(product: Product) -> Path:
    """Return where `product` is, once it is built."""
    return cache_folder() / product.name / product.key


def is_built(product: Product) -> bool:
    """Tell whether `product` is complete in the cache."""
    return folder_of(product).is_dir()


def obtain(product: Product, build: Callable[[Path], None]) -> Path:
    """Return the folder of `product`; `build` fills it, in a folder that is renamed at the end."""
    folder = folder_of(product)
    if folder.is_dir():
        return folder
    with lock(cache_folder() / "locks" / product.name, product.name):
        if folder.is_dir():
            return folder
        # The name has no process id: what an interrupted run left is found and removed here.
        unfinished = folder.with_name(folder.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        build(unfinished)
        os.sync()  # a rename must not outlive the bytes that it promises
        unfinished.rename(folder)
    return folder


def source_text(*paths: Path) -> str:
    """Return the contents of files and folders as one text, for a recipe."""
    files = [
        file
        for path in paths
        for file in (sorted(path.rglob("*")) if path.is_dir() else [path])
        if file.is_file()
    ]
    return "\n".join(f"{file.name}\n{file.read_text(encoding='utf-8')}" for file in files)
