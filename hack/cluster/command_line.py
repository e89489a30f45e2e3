"""The command line: parses the arguments and calls the part that does the work."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from base.commands import run
from base.errors import ClusterError
from base.versions import read_versions
from control_plane import alone
from control_plane.components import parse_components
from control_plane.supervisor import Supervisor
from products.binaries import PROGRAMS, binary
from products.modules import rewrite_modules

Options = argparse.Namespace
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: list[str]) -> int:
    """Run one command; errors are one sentence on standard error."""
    options = _parser().parse_args(arguments)
    try:
        options.action(options)
    except ClusterError as error:
        print(error.report(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hack/cluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_control_plane(commands)
    _add_products(commands)
    return parser


def _add_control_plane(commands: Subparsers) -> None:
    outer = commands.add_parser("control-plane", help="only etcd, API server, controller manager")
    inner = outer.add_subparsers(required=True, metavar="COMMAND")
    up = _command(inner, "up", _control_plane_up, named=True)
    up.add_argument("--audit", action="store_true", help="write every request to a log")
    _command(inner, "down", lambda options: alone.down(options.name), named=True)


def _control_plane_up(options: Options) -> None:
    print(json.dumps(alone.up(options.name, read_versions(), run, audit=options.audit)))


def _supervise(options: Options) -> None:
    folder = Path(options.folder)
    components = parse_components((folder / "components.json").read_text(encoding="utf-8"))
    Supervisor(folder, components).run()


def _add_products(commands: Subparsers) -> None:
    program = _command(commands, "binary", _print_binary, help="build a program, print its path")
    program.add_argument("program", choices=list(PROGRAMS))
    _command(commands, "modules", lambda _: rewrite_modules(read_versions(), run))
    # Started by `up`, not by people.
    supervise = _command(commands, "supervise", _supervise)
    supervise.add_argument("--folder", required=True)


def _print_binary(options: Options) -> None:
    print(binary(options.program, read_versions(), run))


def _command(
    commands: Subparsers,
    name: str,
    action: Callable[[Options], object],
    *,
    named: bool = False,
    help: str | None = None,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help)
    parser.set_defaults(action=action)
    if named:
        parser.add_argument("--name", required=True, help="name of the cluster")
    return parser
