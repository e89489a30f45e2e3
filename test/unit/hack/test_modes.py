"""Which mode is chosen, and what kind and existing do: by an injected runner of commands."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from base.commands import Call
from base.errors import ClusterError, CommandError
from modes.choice import Machine, choose_mode
from modes.existing import ExistingCluster
from modes.kind import KindCluster

ROOT = Machine(linux=True, root=True, docker=True, kind=True)
USER = Machine(linux=True, root=False, docker=True, kind=True)
MAC = Machine(linux=False, root=True, docker=True, kind=True)
BARE = Machine(linux=True, root=False, docker=False, kind=True)


@dataclass
class Commands:
    """Answers calls by their first words, and remembers them."""

    answers: dict[str, str] = field(default_factory=dict)
    failing: str = "nothing fails"
    calls: list[str] = field(default_factory=list)

    def __call__(self, call: Call) -> str:
        line = " ".join(call.arguments)
        self.calls.append(line)
        if line.startswith(self.failing):
            raise CommandError(line, 1, "no", None)
        return next((text for start, text in self.answers.items() if line.startswith(start)), "")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROCKETMQ_OPERATOR_STATE", str(tmp_path))


@pytest.mark.parametrize(
    ("asked", "recorded", "machine", "mode"),
    [
        (None, None, ROOT, "local"),
        (None, None, USER, "kind"),
        (None, None, MAC, "kind"),
        ("kind", None, ROOT, "kind"),
        ("existing", None, BARE, "existing"),
        (None, "kind", ROOT, "kind"),
        ("local", "local", ROOT, "local"),
    ],
)
def test_the_mode(asked: str | None, recorded: str | None, machine: Machine, mode: str) -> None:
    assert choose_mode(asked, recorded, machine) == mode


def test_existing_is_never_chosen_by_itself() -> None:
    with pytest.raises(ClusterError, match="ask for --mode existing"):
        choose_mode(None, None, BARE)


def test_a_cluster_does_not_change_its_mode() -> None:
    with pytest.raises(ClusterError, match="has mode local, not kind"):
        choose_mode("kind", "local", ROOT)


def test_kind_creates_a_cluster_once_with_a_kubeconfig_of_our_own() -> None:
    run = Commands()
    KindCluster("demo", run).up([Path("/x/image.tar")])
    created = next(line for line in run.calls if line.startswith("kind create cluster"))
    assert "--kubeconfig" in created
    assert run.calls[-1] == "kind load image-archive /x/image.tar --name demo"


def test_kind_leaves_a_cluster_that_is_there() -> None:
    run = Commands({"kind get clusters": "other\ndemo\n"})
    KindCluster("demo", run).up([])
    assert not any("create cluster" in line for line in run.calls)


def test_kind_deletes_only_the_cluster_of_that_name() -> None:
    run = Commands({"kind get clusters": "other\n"})
    KindCluster("demo", run).down()
    assert run.calls == ["kind get clusters"]


def test_kind_tells_absent_not_ready_and_healthy_apart() -> None:
    here = {"kind get clusters": "demo"}
    assert KindCluster("demo", Commands()).status() == {"": "absent"}
    assert KindCluster("demo", Commands(here, "kubectl")).status() == {"": "not ready"}
    assert KindCluster("demo", Commands(here)).status() == {"": "healthy"}


def test_existing_reads_the_readiness_and_writes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("", encoding="utf-8")
    run = Commands()
    described = ExistingCluster("x", run, {"KUBECONFIG": str(config)}).up()
    assert described["kubeconfig"] == str(config)
    assert run.calls == [f"kubectl --kubeconfig {config} get --raw /readyz"]


def test_existing_refuses_to_delete_and_to_load_without_running_anything() -> None:
    run = Commands()
    cluster = ExistingCluster("x", run, {})
    with pytest.raises(ClusterError, match="nothing was deleted"):
        cluster.down()
    with pytest.raises(ClusterError, match="push them to a registry"):
        cluster.load([Path("a.tar")])
    assert run.calls == []


def test_existing_wants_one_kubeconfig() -> None:
    with pytest.raises(ClusterError, match="several files"):
        ExistingCluster("x", Commands(), {"KUBECONFIG": "/a:/b"}).up()
