"""Writes modules/go.mod anew from hack/versions.env, after a version was raised there."""

import json
import re
from collections.abc import Mapping

from base.commands import Call, Runner
from base.progress import phase
from products.binaries import MODULE, PROGRAMS
from products.toolchain import find_go

_STAGED = re.compile(r"^\s+(k8s\.io/\S+) => \./staging/", re.MULTILINE)


def staged_modules(kubernetes_go_mod: str) -> list[str]:
    """Return the modules that Kubernetes replaces by folders of its own repository."""
    return _STAGED.findall(kubernetes_go_mod)


def render_go_mod(versions: Mapping[str, str], staged: list[str]) -> str:
    """Return a go.mod with only the direct needs; `go mod tidy` adds the rest.

    A dependency's `replace` lines do not count, so the staged modules are named here again, at
    the version under which Kubernetes publishes them: v1.36.3 is v0.36.3.
    """
    kubernetes = versions["KUBERNETES_VERSION"]
    published = "v0." + kubernetes.split(".", 1)[1]
    tools = sorted(item.package for item in PROGRAMS.values() if not item.package.startswith("."))
    lines = ["module cluster", "", f"go {versions['GO_MINIMUM_VERSION']}", "", "tool ("]
    lines += [f"\t{tool}" for tool in tools]
    lines += [")", "", "require ("]
    lines += [f"\t{module} v{versions[key]}" for module, key in sorted(_REQUIRED.items())]
    lines += [")", "", "replace ("]
    lines += [f"\t{module} => {module} {published}" for module in sorted(staged)]
    return "\n".join([*lines, ")", ""])


_REQUIRED = {
    "github.com/coredns/coredns": "COREDNS_VERSION",
    "github.com/rancher/local-path-provisioner": "LOCAL_PATH_PROVISIONER_VERSION",
    "go.etcd.io/etcd/server/v3": "ETCD_VERSION",
    "k8s.io/kubernetes": "KUBERNETES_VERSION",
}


def rewrite_modules(versions: Mapping[str, str], run: Runner) -> None:
    """Write go.mod and go.sum anew."""
    go = find_go(versions, run)
    kubernetes = f"k8s.io/kubernetes@v{versions['KUBERNETES_VERSION']}"
    with phase("modules", "resolving", "resolved"):
        answer = json.loads(run(Call((go, "mod", "download", "-json", kubernetes))))
        with open(answer["GoMod"], encoding="utf-8") as stream:
            staged = staged_modules(stream.read())
        (MODULE / "go.mod").write_text(render_go_mod(versions, staged), encoding="utf-8")
        run(Call((go, "mod", "tidy"), directory=MODULE))
