"""Signed calls, and operations on who may do what, in the generation that a version has."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from fakes.rocketmq_client import fresh, soon
from fakes.rocketmq_servers import SUPER_USER, Servers
from rocketmq.acl import Credentials
from rocketmq.admin import Admin
from rocketmq.errors import NoPermissionError, UnsupportedError, UserNotExistError
from rocketmq.messages.accounts import AccessList, Account, Policy, PolicyEntry, User
from rocketmq.messages.topics import TopicConfig
from rocketmq.pool import ClientSettings, Pool


async def test_an_account_may_do_what_nobody_may(
    servers: Servers, admin: Admin, super_admin: Admin
) -> None:
    with pytest.raises(NoPermissionError, match=servers.guarded):
        await admin.brokers.settings(servers.guarded)
    assert (await super_admin.brokers.settings(servers.guarded)).values["brokerName"] == "broker-g"
    config = TopicConfig(fresh("guarded"))
    await super_admin.topics.save(servers.guarded, config)
    assert await super_admin.topics.get(servers.guarded, config.topic_name) == config
    change = await super_admin.brokers.update_settings(servers.guarded, {"deleteWhen": "03"})
    assert change.not_taken == {}


async def test_a_wrong_secret_is_refused_and_not_told(servers: Servers) -> None:
    wrong = Credentials(SUPER_USER.access_key, "Wrong-Secret-67890")
    with pytest.raises(NoPermissionError) as caught:
        await _settings_as(servers, wrong)
    assert wrong.secret_key not in str(caught.value)
    with pytest.raises(NoPermissionError):
        await _settings_as(servers, Credentials("unknown-user", "Secret-12345"))


async def test_users_come_change_and_go(servers: Servers, super_admin: Admin) -> None:
    accounts, broker = super_admin.accounts, servers.guarded
    name = fresh("user").replace("-", "_")
    if not servers.release.acl_2:
        await _unsupported(
            accounts.create_user(broker, User(name)),
            accounts.user(broker, name),
            accounts.users(broker),
            accounts.update_user(broker, User(name)),
            accounts.delete_user(broker, name),
        )
        return
    await accounts.create_user(broker, User(name, "Password-1", "Normal"))
    found = await accounts.user(broker, name)
    assert found is not None
    assert (found.username, found.user_type, found.user_status) == (name, "Normal", "enable")
    assert [one.username for one in await accounts.users(broker, name_filter=name)] == [name]
    assert SUPER_USER.access_key in {one.username for one in await accounts.users(broker)}
    await accounts.update_user(broker, User(name, user_status="disable"))
    changed = await accounts.user(broker, name)
    assert changed is not None
    assert changed.user_status == "disable"
    await accounts.delete_user(broker, name)
    assert await accounts.user(broker, name) is None
    with pytest.raises((UserNotExistError, NoPermissionError)):
        await accounts.update_user(broker, User(name, user_status="enable"))


async def test_access_is_given_changed_and_taken(servers: Servers, super_admin: Admin) -> None:
    accounts, broker = super_admin.accounts, servers.guarded
    name = fresh("maker").replace("-", "_")
    subject, maker = f"User:{name}", Credentials(name, "Password-1")
    if not servers.release.acl_2:
        await _unsupported(
            accounts.create_access(broker, AccessList(subject)),
            accounts.access(broker, subject),
            accounts.accesses(broker),
            accounts.update_access(broker, AccessList(subject)),
            accounts.delete_access(broker, subject),
        )
        return
    await accounts.create_user(broker, User(name, "Password-1", "Normal"))
    with pytest.raises(NoPermissionError, match=name):
        await _save_topic_as(servers, maker)
    entry = PolicyEntry("Topic:made-*", ("Create",), source_ips=("127.0.0.1",))
    await accounts.create_access(broker, AccessList(subject, (Policy(entries=(entry,)),)))
    assert await accounts.access(broker, subject) == AccessList(
        subject, (Policy("Custom", (entry,)),)
    )
    await soon(lambda: _save_topic_as(servers, maker))
    more = PolicyEntry("Topic:orders*", ("Pub", "Sub"), "Deny")
    await accounts.update_access(broker, AccessList(subject, (Policy(entries=(more,)),)))
    listed = await accounts.accesses(broker, subject_filter=name, resource_filter="orders")
    assert [one.subject for one in listed] == [subject]
    resources = {one.resource for policy in listed[0].policies for one in policy.entries}
    assert "Topic:orders*" in resources
    await accounts.delete_access(broker, subject, policy_type="Custom", resource="Topic:orders*")
    await accounts.delete_access(broker, subject)
    assert await accounts.access(broker, subject) is None
    with pytest.raises(NoPermissionError):
        await _save_topic_as(servers, maker)


async def test_any_user_may_read_a_broker_s_settings_for_they_ask_no_permission(
    servers: Servers, super_admin: Admin
) -> None:
    accounts, broker = super_admin.accounts, servers.guarded
    name = fresh("reader").replace("-", "_")
    if servers.release.acl_2:
        await accounts.create_user(broker, User(name, "Password-1", "Normal"))
    else:
        await accounts.save_account(broker, Account(name, "Password-1"))

    async def read() -> None:
        settings = await _settings_as(servers, Credentials(name, "Password-1"))
        assert settings["brokerId"] == "0"

    await soon(read)


async def test_accounts_of_the_first_generation(servers: Servers, super_admin: Admin) -> None:
    accounts, broker = super_admin.accounts, servers.guarded
    if servers.release.acl_2:
        await _unsupported(
            accounts.accounts_version(broker),
            accounts.save_account(broker, Account("unknown-key", "Secret-54321")),
            accounts.delete_account(broker, "unknown-key"),
            accounts.set_white_addresses(broker, ["10.10.103.*"]),
        )
        return
    before = await accounts.accounts_version(broker)
    assert (before.broker_name, before.cluster_name) == ("broker-g", "guarded")
    key = fresh("first-account")
    account = Account(key, "Secret-54321", default_topic_perm="PUB|SUB", topic_perms=("a=DENY",))
    await accounts.save_account(broker, account)

    async def known() -> None:
        assert (await _settings_as(servers, Credentials(key, "Secret-54321")))["brokerId"] == "0"

    await soon(known)
    assert (await accounts.accounts_version(broker)).file_versions != before.file_versions
    with pytest.raises(NoPermissionError, match="admin"):
        await _save_topic_as(servers, Credentials(key, "Secret-54321"))
    await accounts.delete_account(broker, key)

    async def forgotten() -> None:
        with pytest.raises(NoPermissionError):
            await _settings_as(servers, Credentials(key, "Secret-54321"))

    await soon(forgotten)
    await accounts.set_white_addresses(broker, ["10.10.103.*", "192.168.0.*"])


async def test_no_secret_shows_when_a_value_is_printed() -> None:
    user = User("name", "hidden-1", "Super")
    account = Account("key-of-account", "hidden-2")
    printed = f"{user!r} {account!r} {SUPER_USER!r}"
    assert "hidden" not in printed
    assert SUPER_USER.secret_key not in printed


async def _unsupported(*calls: Awaitable[object]) -> None:
    for call in calls:
        with pytest.raises(UnsupportedError):
            await call


async def _settings_as(servers: Servers, who: Credentials) -> dict[str, str]:
    async with Pool(ClientSettings(credentials=who)) as pool:
        return (await Admin(pool).brokers.settings(servers.guarded)).values


async def _save_topic_as(servers: Servers, who: Credentials) -> None:
    async with Pool(ClientSettings(credentials=who)) as pool:
        await Admin(pool).topics.save(servers.guarded, TopicConfig(fresh("made")))
