"""Runs one command: 0 when all went well, 1 when something did not, 2 for a wrong command line."""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from rocketmq import properties
from rocketmq.acl import Credentials
from rocketmq.admin import Admin
from rocketmq.cli import changes, inspection
from rocketmq.cli.arguments import NAME_SERVER_VARIABLES, parser
from rocketmq.cli.changes import UsageError
from rocketmq.cli.output import Output, json_text, printable, table_text
from rocketmq.clusters import Clusters
from rocketmq.errors import RocketmqError
from rocketmq.pool import ClientSettings, Pool
from rocketmq.tls import ClientCertificate, client_context

Action = Callable[[Clusters, argparse.Namespace], Awaitable[Output]]

ACTIONS: Mapping[tuple[str, str], Action] = MappingProxyType(
    {
        ("cluster", ""): inspection.cluster,
        ("topic", "list"): inspection.topic_list,
        ("topic", "route"): inspection.topic_route,
        ("topic", "stats"): inspection.topic_stats,
        ("topic", "show"): inspection.topic_show,
        ("topic", "save"): changes.topic_save,
        ("topic", "delete"): changes.topic_delete,
        ("group", "list"): inspection.group_list,
        ("group", "show"): inspection.group_show,
        ("group", "clients"): inspection.group_clients,
        ("group", "save"): changes.group_save,
        ("group", "delete"): changes.group_delete,
        ("lag", ""): inspection.lag,
        ("config", "get"): changes.config_get,
        ("config", "set"): changes.config_set,
        ("send", ""): changes.send,
        ("pull", ""): changes.pull,
    }
)
_WITHOUT_NAME_SERVERS = frozenset({"config"})


def main(arguments: list[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run a command line."""
    asked = parser(environment)
    options = asked.parse_args(arguments)
    if not options.name_servers and options.command not in _WITHOUT_NAME_SERVERS:
        asked.error(f"no name servers: give --name-servers or ${NAME_SERVER_VARIABLES[0]}")
    try:
        settings = ClientSettings(
            credentials=credentials(options.credentials_file, environment), tls=_tls(options)
        )
        output = asyncio.run(_run(options, settings))
    except (RocketmqError, UsageError, OSError) as error:
        sys.stderr.write(f"{printable(str(error))}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(json_text(output) if options.json else table_text(output))
    for problem in output.problems.values():
        sys.stderr.write(f"{printable(problem)}\n")
    return 1 if output.problems else 0


async def _run(options: argparse.Namespace, settings: ClientSettings) -> Output:
    action = ACTIONS[options.command, getattr(options, "action", "")]
    async with Pool(settings) as pool:
        return await action(Clusters(Admin(pool), options.name_servers), options)


def credentials(file: Path | None, environment: Mapping[str, str]) -> Credentials | None:
    """Who we are: the file's word, else the environment's. Raises OSError, UsageError."""
    if file is not None:
        found = properties.parsed(Path(file).read_text(encoding="utf-8"))
        names = ("accessKey", "secretKey", "securityToken")
        where = str(file)
    else:
        found = dict(environment)
        names = ("ROCKETMQ_ACCESS_KEY", "ROCKETMQ_SECRET_KEY", "ROCKETMQ_SECURITY_TOKEN")
        where = "the environment"
    access, secret, token = (found.get(name, "") for name in names)
    if not access and not secret and file is None:
        return None
    if not access or not secret:
        raise UsageError(f"{where}: {names[0]} and {names[1]} are both needed")
    return Credentials(access, secret, token)


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if options.tls is None:
        if options.ca_file or options.certificate_file:
            raise UsageError("certificates are given, but not --tls")
        return None
    certificate = None
    if options.certificate_file is not None:
        key = options.key_file or options.certificate_file
        certificate = ClientCertificate(options.certificate_file, key)
    return client_context(
        ca_file=options.ca_file, certificate=certificate, verification=options.tls
    )
