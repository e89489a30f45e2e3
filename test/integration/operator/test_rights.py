"""What the whole run used of the operator's rights; conftest.py lets these tests come last."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.audit_log import AuditLog
from fakes.installation import OPERATOR, rights

Right = tuple[str, str, str]

APPLIED_NEW = ("patch", 201)
UNUSED: dict[Right, str] = {
    ("rocketmq.apache.org", "brokers/finalizers", "update"): "asked for by OpenShift's admission",
    ("rocketmq.apache.org", "nameservices/finalizers", "update"): "the same",
}
"""Rights that nothing here can use, each with its reason."""


def granted() -> set[Right]:
    return {
        (group, resource, verb)
        for file in ("role.yaml", "leader_election_role.yaml")
        for rule in rights(file)["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.fixture
def used(request: pytest.FixtureRequest, audit: AuditLog) -> set[Right]:
    """Group, resource and verb of everything that the operators of this run asked for."""
    run = {item.path.name for item in request.session.items}
    missing = {path.name for path in Path(__file__).parent.glob("test_*.py")} - run
    if missing:
        pytest.skip(f"these were not run: {sorted(missing)}")
    calls = audit.calls(user=OPERATOR)
    asked = {(one.group, one.what, one.verb) for one in calls}
    # An apply that makes an object needs the right to create it, too.
    made = {(one.group, one.what, "create") for one in calls if (one.verb, one.code) == APPLIED_NEW}
    return asked | made


def test_everything_that_was_asked_for_is_granted(used: set[Right]) -> None:
    assert sorted(used - granted()) == []


def test_everything_that_is_granted_was_used(used: set[Right]) -> None:
    assert sorted(granted() - used - UNUSED.keys()) == []


def test_what_is_said_to_be_unused_is(used: set[Right]) -> None:
    assert used & UNUSED.keys() == set()
    assert UNUSED.keys() <= granted()


def test_the_operator_was_refused_nothing(used: set[Right], audit: AuditLog) -> None:
    assert [str(one) for one in audit.calls(user=OPERATOR) if one.forbidden] == []
