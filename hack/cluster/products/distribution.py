"""RocketMQ itself, unpacked: what an image has as ROCKETMQ_HOME, without the image."""

from collections.abc import Mapping
from pathlib import Path

from base.commands import Runner
from base.folders import CLUSTER_SOURCE
from base.progress import phase
from products.packages import install_missing, java_needs
from products.rocketmq import POM, jvm_options, rocketmq_files, scripts_version
from products.store import Product, obtain, source_text


def distribution(version: str, versions: Mapping[str, str], run: Runner) -> Path:
    """Return the folder with bin/, conf/ and lib/ of a version, collected now if it never was."""
    source = source_text(POM, CLUSTER_SOURCE / "products" / "rocketmq.py")
    recipe = f"{source}{scripts_version(version, versions)}{jvm_options(version)}"

    def collect(target: Path) -> None:
        install_missing(java_needs(versions["JAVA_VERSION"]), run)
        with phase(f"rocketmq {version}", "collecting", "collected"):
            rocketmq_files(target, version, versions, run)

    return obtain(Product("rocketmq", version, recipe), collect)
