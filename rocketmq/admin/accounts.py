"""Operations on who may do what at a broker, in both generations of ACL (dossier 1.8)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rocketmq.admin.perform import perform
from rocketmq.calls import Caller
from rocketmq.messages import accounts as messages
from rocketmq.messages.accounts import AccessList, Account, AccountsVersion, User


class Accounts(msgspec.Struct, frozen=True):
    """Users and access lists (ACL 2.0, from 5.3.0); accounts (ACL 1.0, up to 5.3.2).

    Each broker keeps its own; tell every one.
    """

    caller: Caller

    async def create_user(self, address: str, user: User) -> None:
        """Add a user: 3001 (1.8)."""
        await perform(self.caller, address, messages.create_user(user))

    async def update_user(self, address: str, user: User) -> None:
        """Change what is not None: 3002 (1.8). Raises UserNotExistError."""
        await perform(self.caller, address, messages.update_user(user))

    async def delete_user(self, address: str, username: str) -> None:
        """Remove a user: 3003 (1.8)."""
        await perform(self.caller, address, messages.delete_user(username))

    async def user(self, address: str, username: str) -> User | None:
        """One user: 3004 (1.8)."""
        return await perform(self.caller, address, messages.user(username))

    async def users(self, address: str, *, name_filter: str = "") -> tuple[User, ...]:
        """The users whose name contains the filter: 3005 (1.8)."""
        return await perform(self.caller, address, messages.users(name_filter))

    async def create_access(self, address: str, access: AccessList) -> None:
        """Give a subject its policies: 3006 (1.8)."""
        await perform(self.caller, address, messages.create_access(access))

    async def update_access(self, address: str, access: AccessList) -> None:
        """Add or replace the entries named: 3007 (1.8)."""
        await perform(self.caller, address, messages.update_access(access))

    async def delete_access(
        self,
        address: str,
        subject: str,
        *,
        policy_type: str | None = None,
        resource: str | None = None,
    ) -> None:
        """Remove a resource from a subject's policies, or all of them: 3008 (1.8)."""
        operation = messages.delete_access(subject, policy_type, resource)
        await perform(self.caller, address, operation)

    async def access(self, address: str, subject: str) -> AccessList | None:
        """What a subject may do: 3009 (1.8)."""
        return await perform(self.caller, address, messages.access(subject))

    async def accesses(
        self, address: str, *, subject_filter: str = "", resource_filter: str = ""
    ) -> tuple[AccessList, ...]:
        """What the subjects that the filters leave may do: 3010 (1.8)."""
        operation = messages.accesses(subject_filter, resource_filter)
        return await perform(self.caller, address, operation)

    async def save_account(self, address: str, account: Account) -> None:
        """Create or replace an account of ACL 1.0: 50 (1.8)."""
        await perform(self.caller, address, messages.save_account(account))

    async def delete_account(self, address: str, access_key: str) -> None:
        """Remove an account of ACL 1.0: 51 (1.8)."""
        await perform(self.caller, address, messages.delete_account(access_key))

    async def accounts_version(self, address: str) -> AccountsVersion:
        """How often the accounts' files changed: 52 (1.8)."""
        return await perform(self.caller, address, messages.accounts_version())

    async def set_white_addresses(self, address: str, addresses: Sequence[str]) -> None:
        """Replace the addresses that need no account, for all topics: 53 (1.8)."""
        await perform(self.caller, address, messages.set_white_addresses(tuple(addresses)))
