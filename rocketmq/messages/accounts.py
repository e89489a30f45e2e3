"""Users, policies and accounts of brokers, in both generations of ACL (dossier 1.8). Pure.

ACL 2.0 (users and policies) exists from 5.3.0, ACL 1.0 (accounts in a file) up to 5.3.2. No value
here shows a password when printed.
"""

from __future__ import annotations

import msgspec

from rocketmq.calls import Request, Response
from rocketmq.codes import RequestCode
from rocketmq.messages.operation import Operation, body_as, header, nothing


class User(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A user of ACL 2.0; what is None stays as it is in an update."""

    username: str
    password: str | None = None
    user_type: str | None = None
    """Super or Normal."""
    user_status: str | None = None
    """enable or disable."""

    def __repr__(self) -> str:
        return f"User({self.username!r}, {self.user_type}, {self.user_status})"


class PolicyEntry(msgspec.Struct, frozen=True, rename="camel"):
    """Who may do what: `resource` as `Topic:orders`, `Group:*` or `Cluster:*`; a `*` may end it.

    `actions` are Pub, Sub, Create, Update, Delete, Get, List, All; `decision` is Allow or Deny.
    """

    resource: str
    actions: tuple[str, ...] = ()
    decision: str = "Allow"
    source_ips: tuple[str, ...] | None = None


class Policy(msgspec.Struct, frozen=True, rename="camel"):
    """Entries of one kind: Custom, or Default for what no Custom entry names."""

    policy_type: str = "Custom"
    entries: tuple[PolicyEntry, ...] = ()


class AccessList(msgspec.Struct, frozen=True, rename="camel"):
    """All that a subject, `User:name`, may do."""

    subject: str
    policies: tuple[Policy, ...] = ()


class Account(msgspec.Struct, frozen=True):
    """An account of ACL 1.0: permissions are DENY, PUB, SUB or PUB|SUB; lists are `name=PUB`."""

    access_key: str
    secret_key: str
    admin: bool = False
    white_remote_address: str | None = None
    default_topic_perm: str | None = None
    default_group_perm: str | None = None
    topic_perms: tuple[str, ...] = ()
    group_perms: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Account({self.access_key!r}, admin={self.admin})"


class AccountsVersion(msgspec.Struct, frozen=True):
    """How often the accounts' files of a broker changed, as it writes that."""

    broker_name: str
    broker_addr: str
    cluster_name: str
    version: str
    file_versions: str


def create_user(user: User) -> Operation[None]:
    """AUTH_CREATE_USER 3001."""
    return _save(RequestCode.AUTH_CREATE_USER, header(username=user.username), user)


def update_user(user: User) -> Operation[None]:
    """AUTH_UPDATE_USER 3002."""
    return _save(RequestCode.AUTH_UPDATE_USER, header(username=user.username), user)


def delete_user(username: str) -> Operation[None]:
    """AUTH_DELETE_USER 3003."""
    return Operation(Request(RequestCode.AUTH_DELETE_USER, header(username=username)), nothing)


def user(username: str) -> Operation[User | None]:
    """AUTH_GET_USER 3004; an empty answer is no user."""
    request = Request(RequestCode.AUTH_GET_USER, header(username=username))
    return Operation(
        request, lambda response: body_as(User, response.body) if response.body else None
    )


def users(name_filter: str) -> Operation[tuple[User, ...]]:
    """AUTH_LIST_USER 3005."""
    request = Request(RequestCode.AUTH_LIST_USER, header(filter=name_filter))
    return Operation(
        request,
        lambda response: body_as(tuple[User, ...], response.body) if response.body else (),
    )


def create_access(access: AccessList) -> Operation[None]:
    """AUTH_CREATE_ACL 3006."""
    return _save(RequestCode.AUTH_CREATE_ACL, header(subject=access.subject), access)


def update_access(access: AccessList) -> Operation[None]:
    """AUTH_UPDATE_ACL 3007."""
    return _save(RequestCode.AUTH_UPDATE_ACL, header(subject=access.subject), access)


def delete_access(subject: str, policy_type: str | None, resource: str | None) -> Operation[None]:
    """AUTH_DELETE_ACL 3008."""
    fields = header(subject=subject, policyType=policy_type, resource=resource)
    return Operation(Request(RequestCode.AUTH_DELETE_ACL, fields), nothing)


def access(subject: str) -> Operation[AccessList | None]:
    """AUTH_GET_ACL 3009; an empty answer is none."""
    request = Request(RequestCode.AUTH_GET_ACL, header(subject=subject))
    return Operation(
        request, lambda response: body_as(AccessList, response.body) if response.body else None
    )


def accesses(subject_filter: str, resource_filter: str) -> Operation[tuple[AccessList, ...]]:
    """AUTH_LIST_ACL 3010."""
    fields = header(subjectFilter=subject_filter, resourceFilter=resource_filter)
    return Operation(
        Request(RequestCode.AUTH_LIST_ACL, fields),
        lambda response: body_as(tuple[AccessList, ...], response.body) if response.body else (),
    )


def save_account(account: Account) -> Operation[None]:
    """UPDATE_AND_CREATE_ACL_CONFIG 50, up to 5.3.2."""
    fields = header(
        accessKey=account.access_key,
        secretKey=account.secret_key,
        admin=account.admin,
        whiteRemoteAddress=account.white_remote_address,
        defaultTopicPerm=account.default_topic_perm,
        defaultGroupPerm=account.default_group_perm,
        topicPerms=",".join(account.topic_perms) or None,
        groupPerms=",".join(account.group_perms) or None,
    )
    return Operation(Request(RequestCode.UPDATE_AND_CREATE_ACL_CONFIG, fields), nothing)


def delete_account(access_key: str) -> Operation[None]:
    """DELETE_ACL_CONFIG 51, up to 5.3.2."""
    request = Request(RequestCode.DELETE_ACL_CONFIG, header(accessKey=access_key))
    return Operation(request, nothing)


def accounts_version() -> Operation[AccountsVersion]:
    """GET_BROKER_CLUSTER_ACL_INFO 52, up to 5.3.2."""
    return Operation(Request(RequestCode.GET_BROKER_CLUSTER_ACL_INFO), _accounts_version)


def set_white_addresses(addresses: tuple[str, ...]) -> Operation[None]:
    """UPDATE_GLOBAL_WHITE_ADDRS_CONFIG 53, up to 5.3.2."""
    fields = header(globalWhiteAddrs=",".join(addresses))
    return Operation(Request(RequestCode.UPDATE_GLOBAL_WHITE_ADDRS_CONFIG, fields), nothing)


def _save(code: RequestCode, fields: dict[str, str], value: msgspec.Struct) -> Operation[None]:
    return Operation(Request(code, fields, msgspec.json.encode(value)), nothing)


def _accounts_version(response: Response) -> AccountsVersion:
    fields = response.ext_fields
    return AccountsVersion(
        broker_name=fields.get("brokerName", ""),
        broker_addr=fields.get("brokerAddr", ""),
        cluster_name=fields.get("clusterName", ""),
        version=fields.get("version", ""),
        file_versions=fields.get("allAclFileVersion", ""),
    )
