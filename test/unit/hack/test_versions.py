"""hack/versions.env: one file that Python and sh read alike, and that go.mod agrees with."""

import re

import pytest
from base.errors import ClusterError
from base.versions import VERSIONS_FILE, at_least, parse_versions, read_versions
from products.binaries import MODULE, PROGRAMS
from products.modules import render_go_mod, staged_modules


def test_a_file_of_comments_blank_lines_and_values_is_read() -> None:
    assert parse_versions("# about\n\nA=1.2\nB_C=v0=x\n") == {"A": "1.2", "B_C": "v0=x"}


@pytest.mark.parametrize("line", ["A = 1", "a=1", "A='1'", "A=$B", "export A=1", "A=1 2"])
def test_what_sh_would_read_otherwise_is_refused(line: str) -> None:
    with pytest.raises(ClusterError, match="line 1 is not KEY=VALUE"):
        parse_versions(line)


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(ClusterError, match="line 2 repeats A"):
        parse_versions("A=1\nA=2\n")


@pytest.mark.parametrize(
    ("version", "minimum", "enough"),
    [
        ("go1.26.0", "1.26.0", True),
        ("go1.26", "1.26.0", False),
        ("go1.27rc1", "1.26.8", True),
        ("go1.9.7", "1.26.0", False),
        ("4.9.7", "5.0", False),
        ("devel", "1.0", False),
    ],
)
def test_versions_compare_by_number(version: str, minimum: str, enough: bool) -> None:
    assert at_least(version, minimum) is enough


def test_the_pinned_file_has_a_version_for_every_program() -> None:
    versions = read_versions()
    assert {program.version_key for program in PROGRAMS.values()} <= versions.keys()


def test_go_mod_names_the_pinned_versions() -> None:
    text = (MODULE / "go.mod").read_text(encoding="utf-8")
    versions = read_versions()
    required = dict(re.findall(r"^(?:require |\t)(\S+) v(\S+)", text, re.MULTILINE))
    assert required["k8s.io/kubernetes"] == versions["KUBERNETES_VERSION"]
    assert required["go.etcd.io/etcd/server/v3"] == versions["ETCD_VERSION"]
    assert required["github.com/coredns/coredns"] == versions["COREDNS_VERSION"]
    assert (
        required["github.com/rancher/local-path-provisioner"]
        == (versions["LOCAL_PATH_PROVISIONER_VERSION"])
    )


def test_staged_modules_are_required_at_the_version_they_are_published_under() -> None:
    staged = staged_modules("replace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n")
    assert staged == ["k8s.io/api"]
    text = render_go_mod({**read_versions(), "KUBERNETES_VERSION": "1.40.2"}, staged)
    assert "\tk8s.io/api => k8s.io/api v0.40.2\n" in text
    assert "\tk8s.io/kubernetes v1.40.2\n" in text


def test_the_versions_file_holds_nothing_that_a_shell_would_run() -> None:
    text = VERSIONS_FILE.read_text(encoding="utf-8")
    assert not set("`$;&|<>()'\"\\") & set(re.sub(r"^#.*$", "", text, flags=re.MULTILINE))
