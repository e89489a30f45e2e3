"""Building once: keys, incomplete builds, packages, proxies and recipes."""

import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from base.errors import ClusterError
from base.folders import cluster_folder
from base.progress import clock
from products.archives import merge_archives
from products.buildah import build_volumes, pip_configuration
from products.packages import missing_packages
from products.rocketmq import jvm_options, scripts_version, with_options
from products.store import Product, folder_of, obtain
from products.toolchain import directory_hash, proxies

PRODUCT = Product("thing", "1.2", "recipe")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROCKETMQ_OPERATOR_CACHE", str(tmp_path / "cache"))


def test_another_version_or_recipe_is_another_folder() -> None:
    others = [Product("thing", "1.3", "recipe"), Product("thing", "1.2", "other")]
    assert PRODUCT.key not in {other.key for other in others}
    assert PRODUCT.key.startswith("thing-1.2-")


def test_a_product_is_built_once() -> None:
    built: list[Path] = []
    assert obtain(PRODUCT, built.append) == obtain(PRODUCT, built.append)
    assert len(built) == 1


def test_an_interrupted_build_is_not_taken_for_complete_and_leaves_nothing_in_the_next() -> None:
    def interrupted(target: Path) -> None:
        (target / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        obtain(PRODUCT, interrupted)
    assert not folder_of(PRODUCT).exists()
    folder = obtain(PRODUCT, lambda target: (target / "whole").touch())
    assert [file.name for file in folder.iterdir()] == ["whole"]


def test_a_package_that_brings_two_missing_programs_is_named_once() -> None:
    needs = {"ctr": "containerd", "containerd": "containerd", "ip": "iproute2", "gcc": "gcc"}
    assert missing_packages(needs, lambda program: program == "gcc") == ["containerd", "iproute2"]


def test_only_proxies_that_hold_modules_are_asked() -> None:
    assert proxies("https://a/,direct") == ["https://a"]
    assert proxies("https://a|https://b, off") == ["https://a", "https://b"]
    assert proxies("") == []


def test_the_toolchains_sum_is_gos_own() -> None:
    # go mod download's sum of a module with only an empty go.mod file.
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert directory_hash({"go.mod": empty}) == "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY="


def test_only_releases_before_5_get_options_for_java_17() -> None:
    assert jvm_options("5.3.3") == ""
    assert "--add-opens=java.base/java.nio=ALL-UNNAMED" in jvm_options("4.9.7")


def test_the_users_own_jvm_options_stay_last() -> None:
    script = 'a\nJAVA_OPT="${JAVA_OPT} ${JAVA_OPT_EXT}"\nb\n'
    assert with_options(script, "-x") == 'a\nJAVA_OPT="${JAVA_OPT} -x ${JAVA_OPT_EXT}"\nb\n'
    with pytest.raises(ClusterError, match="has changed"):
        with_options("something else", "-x")


def test_a_release_without_a_source_archive_takes_its_neighbours_scripts() -> None:
    versions = {"ROCKETMQ_4_9_7_SCRIPTS": "4.9.8"}
    assert scripts_version("4.9.7", versions) == "4.9.8"
    assert scripts_version("5.3.3", versions) == "5.3.3"


def test_pip_in_a_build_hears_the_hosts_settings_and_certificates_at_another_path() -> None:
    text = pip_configuration({"PIP_INDEX_URL": "https://i", "SSL_CERT_FILE": "/c.pem", "X": "y"})
    assert text == "[global]\ncert = /run/host-certificates.pem\nindex-url = https://i\n"


def test_a_plain_machine_gives_a_build_nothing(tmp_path: Path) -> None:
    assert build_volumes(tmp_path, {}) == ()


def test_a_build_gets_the_certificates_and_settings_that_are_set(tmp_path: Path) -> None:
    bundle = tmp_path / "c.pem"
    bundle.touch()
    settings = {"PIP_CERT": str(bundle), "PIP_FIND_LINKS": str(tmp_path)}
    assert build_volumes(tmp_path, settings) == (
        f"{bundle}:/run/host-certificates.pem:ro",
        f"{tmp_path}/pip.conf:/etc/pip.conf:ro",
        f"{tmp_path}:{tmp_path}:ro",
    )


def test_a_merged_archive_has_every_image_and_each_layer_once(tmp_path: Path) -> None:
    one = _archive(tmp_path / "one", "first", ["blobs/a", "blobs/b"])
    two = _archive(tmp_path / "two", "second", ["blobs/b", "blobs/c"])
    merge_archives([one, two], tmp_path / "merged")
    with tarfile.open(tmp_path / "merged") as merged:
        names = merged.getnames()
        index = merged.extractfile("index.json")
        assert index is not None
        manifests = json.load(index)["manifests"]
    assert sorted(names) == ["blobs/a", "blobs/b", "blobs/c", "index.json"]
    assert manifests == ["first", "second"]


def _archive(path: Path, manifest: str, blobs: list[str]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name in [*blobs, "index.json"]:
            text = json.dumps({"manifests": [manifest]}).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, BytesIO(text))
    return path


@pytest.mark.parametrize("name", ["", "Demo", "a/b", "..", "-a", "a-", "1a", "a" * 31])
def test_a_name_that_is_no_folder_and_no_node_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="no cluster name"):
        cluster_folder(name)


def test_time_is_shown_in_minutes() -> None:
    assert [clock(0), clock(71.9), clock(3600)] == [" 0:00", " 1:11", "60:00"]
