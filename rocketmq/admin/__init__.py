"""The admin facade: one method for each operation, typed, to one server at a time.

Every method raises the RocketmqError tree: UnsupportedError from a server that is too old or too
new for the operation (`rocketmq.versions`), the class of its response code from one that refuses,
and ConnectError, ConnectionLostError, NoAnswerError or ProtocolError for what happens on the way.
Docstrings name the number of the operation and the section of the protocol dossier.
"""

from __future__ import annotations

from rocketmq.admin.accounts import Accounts
from rocketmq.admin.brokers import Brokers
from rocketmq.admin.clients import Clients
from rocketmq.admin.controllers import Controllers
from rocketmq.admin.groups import Groups
from rocketmq.admin.name_servers import NameServers
from rocketmq.admin.offsets import Offsets
from rocketmq.admin.topics import Topics
from rocketmq.calls import Caller

__all__ = ["Admin"]


class Admin:
    """All operations, by what they are about."""

    def __init__(self, caller: Caller) -> None:
        self.name_servers = NameServers(caller)
        self.brokers = Brokers(caller)
        self.topics = Topics(caller)
        self.groups = Groups(caller)
        self.offsets = Offsets(caller)
        self.controllers = Controllers(caller)
        self.accounts = Accounts(caller)
        self.clients = Clients(caller)
