"""The command line: what each command is called and takes. Pure.

An address is `host:port`. Name servers come from the option, or from the environment as everywhere
in RocketMQ; credentials come from a file or from the environment, for a command line is public.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from rocketmq.routes import READ, WRITE

NAME_SERVER_VARIABLES = ("ROCKETMQ_NAME_SERVERS", "NAMESRV_ADDR")


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """The whole command line; defaults come from the environment."""
    top = argparse.ArgumentParser(prog="python -m rocketmq", description=__doc__.partition("\n")[0])
    _common(top, environment)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser("cluster", help="brokers, their versions, rates and disks")
    one.add_argument("cluster", nargs="?", help="only this cluster")
    _topic(commands.add_parser("topic", help="topics: list, route, stats, show, save, delete"))
    _group(commands.add_parser("group", help="groups: list, show, clients, save, delete"))
    one = commands.add_parser("lag", help="how far a group is behind, queue by queue")
    one.add_argument("group")
    one.add_argument("--topic", help="only this topic")
    _config(commands.add_parser("config", help="settings of one server: get, set"))
    _send(commands.add_parser("send", help="send one message"))
    _pull(commands.add_parser("pull", help="read messages without committing anything"))
    return top


def _common(top: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    known = next((environment[name] for name in NAME_SERVER_VARIABLES if environment.get(name)), "")
    top.add_argument(
        "-n",
        "--name-servers",
        type=addresses,
        default=addresses(known),
        metavar="ADDRESS;ADDRESS",
        help=f"default: ${' or $'.join(NAME_SERVER_VARIABLES)}",
    )
    top.add_argument(
        "--credentials-file",
        type=Path,
        default=environment.get("ROCKETMQ_CREDENTIALS_FILE"),
        help="properties accessKey, secretKey, securityToken; default: "
        "$ROCKETMQ_CREDENTIALS_FILE, or $ROCKETMQ_ACCESS_KEY and $ROCKETMQ_SECRET_KEY",
    )
    top.add_argument("--tls", choices=("full", "chain", "off"), help="use TLS; what to verify")
    top.add_argument("--ca-file", type=Path, help="authorities that TLS believes")
    top.add_argument("--certificate-file", type=Path, help="our certificate for TLS, with its key")
    top.add_argument("--key-file", type=Path, help="the key, if it is a file of its own")
    top.add_argument("--json", action="store_true", help="JSON instead of a table")


def _topic(topic: argparse.ArgumentParser) -> None:
    commands = topic.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = commands.add_parser("list", help="the topics that people made")
    one.add_argument("--all", action="store_true", help="those of servers and groups too")
    for name, text in (
        ("route", "brokers, queues and permission, as name servers say"),
        ("stats", "offsets of each queue"),
        ("show", "its record on each master"),
    ):
        commands.add_parser(name, help=text).add_argument("topic")
    one = commands.add_parser("save", help="create it, or change what is given")
    one.add_argument("topic")
    one.add_argument("--cluster", required=True)
    one.add_argument("--read-queues", type=_between(1, 1 << 16))
    one.add_argument("--write-queues", type=_between(1, 1 << 16))
    one.add_argument("--perm", type=_between(0, READ | WRITE), help="6 both, 4 read, 2 write")
    one.add_argument("--order", action=argparse.BooleanOptionalAction, help="an ordered topic")
    one.add_argument(
        "--attribute", type=pair, action="append", default=[], metavar="NAME=VALUE", help="5.x"
    )
    one = commands.add_parser("delete", help="on every broker, and its route")
    one.add_argument("topic")
    one.add_argument("--cluster", required=True)


def _group(group: argparse.ArgumentParser) -> None:
    commands = group.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = commands.add_parser("list", help="the groups that people made")
    one.add_argument("--all", action="store_true", help="those of servers too")
    for name, text in (("show", "its record on each master"), ("clients", "who is connected")):
        commands.add_parser(name, help=text).add_argument("group")
    one = commands.add_parser("save", help="create it, or change what is given")
    one.add_argument("group")
    one.add_argument("--cluster", required=True)
    one.add_argument("--consume", action=argparse.BooleanOptionalAction, help="may consume")
    one.add_argument("--broadcast", action=argparse.BooleanOptionalAction, help="may broadcast")
    one.add_argument("--retries", type=_between(-1, 1 << 16), help="before the dead letters")
    one = commands.add_parser("delete", help="on every master")
    one.add_argument("group")
    one.add_argument("--cluster", required=True)
    one.add_argument("--with-offsets", action="store_true", help="forget how far it was, too")


def _config(config: argparse.ArgumentParser) -> None:
    commands = config.add_subparsers(dest="action", required=True, metavar="ACTION")
    kinds = ("broker", "name-server", "controller")
    one = commands.add_parser("get", help="all settings, or those named")
    one.add_argument("address")
    one.add_argument("keys", nargs="*")
    one.add_argument("--server", choices=kinds, default="broker")
    one.add_argument("--show-secrets", action="store_true")
    one = commands.add_parser("set", help="change settings and read them back")
    one.add_argument("address")
    one.add_argument("changes", nargs="+", type=pair, metavar="NAME=VALUE")
    one.add_argument("--server", choices=kinds, default="broker")


def _send(one: argparse.ArgumentParser) -> None:
    one.add_argument("topic")
    one.add_argument("body", help="the text, or - for standard input")
    one.add_argument("--broker", help="this broker set; default: the first that takes writes")
    one.add_argument("--queue", type=_between(0, 1 << 16), help="default: the broker chooses")
    one.add_argument("--tag")
    one.add_argument("--key")
    one.add_argument("--producer-group", default="CLIENT_INNER_PRODUCER")


def _pull(one: argparse.ArgumentParser) -> None:
    one.add_argument("topic")
    one.add_argument("--broker", help="this broker set; default: all")
    one.add_argument("--queue", type=_between(0, 1 << 16), help="default: all")
    one.add_argument("--offset", type=_between(0, 1 << 62), help="default: the oldest")
    one.add_argument("--limit", type=_between(1, 1024), default=32, help="of each queue")
    # Every broker has this group from the start: reading makes no new one.
    one.add_argument("--group", default="TOOLS_CONSUMER")


def addresses(text: str) -> tuple[str, ...]:
    """Addresses between `;` or `,`."""
    return tuple(one.strip() for one in text.replace(",", ";").split(";") if one.strip())


def pair(text: str) -> tuple[str, str]:
    """`NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _between(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value

    return number
