"""The command line: what each command is called, takes and does."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from base.commands import run
from base.errors import ClusterError
from base.versions import read_versions
from control_plane import alone
from control_plane.components import parse_components
from control_plane.supervisor import Supervisor
from local import inside
from modes.dispatch import Cluster, all_clusters
from products.binaries import PROGRAMS, binary
from products.distribution import distribution
from products.images import Images, default_images
from products.modules import rewrite_modules

Options = argparse.Namespace

NAME: dict[str, object] = {"required": True, "help": "name of the cluster"}
FOLDER: dict[str, object] = {"required": True}
SWITCH: dict[str, object] = {"action": "store_true"}


@dataclass(frozen=True)
class Command:
    """One command: `path` is what the user types, `arguments` are argparse's."""

    path: str
    summary: str
    action: Callable[[Options], None]
    arguments: dict[str, dict[str, object]] = field(default_factory=dict)


def main(arguments: list[str]) -> int:
    """Run one command; errors are one sentence on standard error."""
    options = _parser(COMMANDS).parse_args(arguments)
    try:
        options.action(options)
    except ClusterError as error:
        print(error.report(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _parser(commands: tuple[Command, ...]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 hack/cluster", description=__doc__)
    groups = {"": parser.add_subparsers(required=True, metavar="COMMAND")}
    for command in commands:
        group, _, word = command.path.rpartition(" ")
        if group not in groups:
            outer = groups[""].add_parser(group)
            groups[group] = outer.add_subparsers(required=True, metavar="COMMAND")
        inner = groups[group].add_parser(word, help=command.summary, description=command.summary)
        inner.set_defaults(action=command.action)
        for name, settings in command.arguments.items():
            inner.add_argument(name, **settings)  # type: ignore[arg-type] # a table of keywords
    return parser


def _up(options: Options) -> None:
    images = [image for image in options.images.split(",") if image]
    described = Cluster(options.name, options.mode).up(images)
    print(json.dumps(described) if options.json else described["kubeconfig"])


def _status(options: Options) -> None:
    parts = Cluster(options.name, options.mode).status()
    lines = [f"  {name}: {state}" for name, state in parts.items() if name]
    print("\n".join([f"{options.name}: {parts['']}", *lines]))


def _list(_: Options) -> None:
    for name, mode, state in all_clusters():
        print(f"{name}\t{mode}\t{state}")


def _load(options: Options) -> None:
    Cluster(options.name, options.mode).load([Path(archive) for archive in options.archive])


def _leftovers(options: Options) -> None:
    found = Cluster(options.name, "local").leftovers()
    if found:
        raise ClusterError(f"{options.name} left behind: {'; '.join(found)}")
    print(f"{options.name}: nothing is left")


def _control_plane_up(options: Options) -> None:
    print(json.dumps(alone.up(options.name, read_versions(), run, audit=options.audit)))


def _supervise(options: Options) -> None:
    folder = Path(options.folder)
    components = parse_components((folder / "components.json").read_text(encoding="utf-8"))
    Supervisor(folder, components).run()


MODE: dict[str, object] = {"choices": ["local", "kind", "existing"], "help": "default: what fits"}
COMMANDS = (
    Command(
        "up",
        "start a cluster, or find it running; prints its kubeconfig",
        _up,
        {
            "--name": NAME,
            "--mode": MODE,
            "--images": {"default": default_images(), "help": "rocketmq[:V],client[:V],..."},
            "--json": {**SWITCH, "help": "print all that is known of the cluster"},
        },
    ),
    Command("status", "say how a cluster is", _status, {"--name": NAME, "--mode": MODE}),
    Command(
        "down",
        "end a cluster and remove all that it left",
        lambda options: Cluster(options.name, options.mode).down(),
        {"--name": NAME, "--mode": MODE},
    ),
    Command("list", "list the clusters: name, mode, state", _list),
    Command(
        "kubeconfig",
        "print the path of a cluster's kubeconfig",
        lambda options: print(Cluster(options.name, options.mode).kubeconfig()),
        {"--name": NAME, "--mode": MODE},
    ),
    Command(
        "load",
        "bring image archives into a cluster",
        _load,
        {"--name": NAME, "--mode": MODE, "archive": {"nargs": "+"}},
    ),
    Command("leftovers", "look for what a cluster left behind", _leftovers, {"--name": NAME}),
    Command(
        "control-plane up",
        "start etcd, API server and controller manager on loopback; prints JSON",
        _control_plane_up,
        {"--name": NAME, "--audit": {**SWITCH, "help": "log every request"}},
    ),
    Command(
        "control-plane down",
        "end a control plane and remove its folder",
        lambda options: alone.down(options.name),
        {"--name": NAME},
    ),
    Command(
        "binary",
        "build a program if needed and print its path",
        lambda options: print(binary(options.program, read_versions(), run)),
        {"program": {"choices": list(PROGRAMS)}},
    ),
    Command(
        "rocketmq",
        "collect RocketMQ's jars, scripts and settings if needed and print their folder",
        lambda options: print(distribution(options.version, read_versions(), run)),
        {"--version": {"default": read_versions()["ROCKETMQ_VERSION"]}},
    ),
    Command(
        "image rocketmq",
        "build a RocketMQ image if needed and print its archive",
        lambda options: print(Images(read_versions(), run).rocketmq(options.version)),
        {"--version": {"default": read_versions()["ROCKETMQ_VERSION"]}},
    ),
    Command(
        "image client",
        "build the message client's image if needed and print its archive",
        lambda options: print(Images(read_versions(), run).client(options.version)),
        {"--version": {"default": read_versions()["ROCKETMQ_VERSION"]}},
    ),
    Command(
        "image operator",
        "build the repository's Dockerfile and print the archive",
        lambda options: print(Images(read_versions(), run).operator(options.tag)),
        {"--tag": {"required": True}},
    ),
    Command(
        "image working-tree",
        "build the operator's image of the sources as they are if needed; print name and archive",
        lambda _: print(*Images(read_versions(), run).working_tree()),
    ),
    Command(
        "modules",
        "write go.mod and go.sum anew from hack/versions.env",
        lambda _: rewrite_modules(read_versions(), run),
    ),
    Command("supervise", "internal: run components", _supervise, {"--folder": FOLDER}),
    Command(
        "node",
        "internal: be the first process of a local node",
        lambda options: inside.main(Path(options.folder)),
        {"--folder": FOLDER},
    ),
)
