from __future__ import annotations

import pytest

from reconcilers.rbac import ELECTION_RULES, LEASE_NAME, RULES, role

GRANTED = {
    (rule.group, resource, verb)
    for rule in RULES
    for resource in rule.resources
    for verb in rule.verbs
}


def test_nothing_is_granted_by_wildcard_or_twice() -> None:
    assert "*" not in {part for line in GRANTED for part in line}
    assert len(GRANTED) == sum(len(rule.resources) * len(rule.verbs) for rule in RULES)


def test_exec_and_the_users_own_spec_are_out_of_reach() -> None:
    resources = {resource for _group, resource, _verb in GRANTED}
    assert not {"pods/exec", "nodes"} & resources
    writes = {verb for _group, resource, verb in GRANTED if resource in {"brokers", "nameservices"}}
    assert writes == {"get", "list", "watch"}


def test_secrets_may_be_read_one_by_one_alone() -> None:
    assert {verb for _group, resource, verb in GRANTED if resource == "secrets"} == {"get"}


def test_claims_may_be_neither_made_nor_deleted() -> None:
    claims = {verb for _group, resource, verb in GRANTED if resource == "persistentvolumeclaims"}
    assert claims == {"get", "list", "watch", "patch"}


def test_what_is_watched_can_be_listed() -> None:
    for group, resource, verb in GRANTED:
        if verb == "watch":
            assert (group, resource, "list") in GRANTED


@pytest.mark.parametrize("kind", ["ClusterRole", "Role"])
def test_both_roles_grant_the_same(kind: str) -> None:
    manifest = role(kind)
    found = {
        (group, resource, verb)
        for rule in manifest["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert manifest["kind"] == kind
    assert found == GRANTED


def test_no_lease_but_our_own_can_be_read_or_changed() -> None:
    """A node is alive as long as its Lease is renewed."""
    assert "leases" not in {resource for _group, resource, _verb in GRANTED}
    verbs = {
        verb: rule.names
        for rule in ELECTION_RULES
        for verb in rule.verbs
        if "leases" in rule.resources
    }
    assert verbs == {"get": (LEASE_NAME,), "patch": (LEASE_NAME,), "create": ()}
    (restricted, *_) = role("Role", ELECTION_RULES)["rules"]
    assert restricted["resourceNames"] == [LEASE_NAME]
