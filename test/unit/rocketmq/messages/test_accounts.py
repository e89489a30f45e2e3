"""Bodies are those that real servers sent."""

from __future__ import annotations

import msgspec

from fakes.rocketmq_caller import answer
from rocketmq.messages import accounts
from rocketmq.messages.accounts import AccessList, Account, Policy, PolicyEntry, User


def test_what_a_user_keeps_is_not_sent_and_nothing_secret_is_printed() -> None:
    user = User("reader", "s3cret", user_status="disable")
    request = accounts.update_user(user).request
    assert msgspec.json.decode(request.body) == {
        "username": "reader",
        "password": "s3cret",
        "userStatus": "disable",
    }
    account = Account("key-1", "s3cret", topic_perms=("a=DENY", "b=PUB|SUB"))
    assert "s3cret" not in f"{user} {account} {request} {[user, account]!r}"
    assert accounts.save_account(account).request.ext_fields["topicPerms"] == "a=DENY,b=PUB|SUB"


def test_no_body_means_no_user_and_no_access() -> None:
    assert accounts.user("x").answer(answer()) is None
    assert accounts.users("").answer(answer()) == ()
    assert accounts.access("User:x").answer(answer()) is None
    assert accounts.accesses("", "").answer(answer()) == ()


def test_access_is_written_as_it_is_read() -> None:
    access = AccessList("User:x", (Policy("Custom", (PolicyEntry("Topic:t*", ("Pub", "Sub")),)),))
    body = accounts.create_access(access).request.body
    assert accounts.access("User:x").answer(answer(body)) == access
