"""Nothing was forgotten: each operation succeeded where it exists, and was refused elsewhere.

What a version lacks is written down here once more, and not taken from `rocketmq.versions`: that
table is under test (test_gates).
"""

from __future__ import annotations

import pytest

from fakes.rocketmq_client import Record, operations
from fakes.rocketmq_servers import Servers

_CONTROLLERS = frozenset(name for name in operations() if name.startswith("controllers."))
_ACL_1 = frozenset(
    f"accounts.{name}"
    for name in ("save_account", "delete_account", "accounts_version", "set_white_addresses")
)
_ACL_2 = frozenset(name for name in operations() if name.startswith("accounts.")) - _ACL_1
_FIVE = _CONTROLLERS | {
    "name_servers.broker_members",
    "brokers.ha_status",
    "brokers.epochs",
    "brokers.reset_master_flush_offset",
    # From 5.3.0 and 5.3.1.
    "topics.create_all",
    "groups.create_all",
}


def test_every_operation_was_called_on_each_version_and_refused_where_it_is_missing(
    servers: Servers, record: Record, *, whole_version: bool
) -> None:
    if not whole_version:
        pytest.skip("only a part of the version's tests was asked for")
    accounts = _ACL_1 if servers.release.acl_2 else _ACL_2
    assert record.omissions(accounts | (frozenset() if servers.release.five else _FIVE)) == []
