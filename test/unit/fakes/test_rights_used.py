from __future__ import annotations

import msgspec
import pytest

from fakes.audit_log import Call
from fakes.rights_used import Asked, Right, asked_for, complaints, granted_by

LIST: Right = ("", "pods", "list")
CREATE: Right = ("apps", "statefulsets", "create")
PATCH: Right = ("apps", "statefulsets", "patch")
FINALIZE: Right = ("rocketmq.apache.org", "brokers/finalizers", "update")


def call(right: Right, code: int = 200, *, forbidden: bool = False) -> Call:
    group, what, verb = right
    resource, _, subresource = what.partition("/")
    return Call(
        user="operator",
        agent="python",
        verb=verb,
        group=group,
        resource=resource,
        subresource=subresource,
        namespace="a",
        name="one",
        code=code,
        uri="/",
        forbidden=forbidden,
    )


def test_a_call_needs_the_right_that_rbac_names_for_it() -> None:
    assert asked_for([call(LIST), call(FINALIZE), call(LIST)]).rights == {LIST, FINALIZE}


def test_an_apply_needs_the_right_to_create_only_where_it_made_the_object() -> None:
    assert asked_for([call(PATCH, 200)]).rights == {PATCH}
    assert asked_for([call(PATCH, 201)]).rights == {PATCH, CREATE}


def test_a_refused_call_is_kept_as_it_is_told() -> None:
    assert asked_for([call(LIST, 403, forbidden=True)]).refused == ("list pods a/one: 403",)
    assert (
        asked_for([call(CREATE, 403)]).refused == ()
    )  # by admission, e.g. of a namespace that goes


def test_what_several_processes_asked_for_counts_together() -> None:
    first, second = asked_for([call(LIST, 403, forbidden=True)]), asked_for([call(PATCH)])
    sent = msgspec.json.decode(msgspec.json.encode(second), type=Asked)
    both = first | sent
    assert both.rights == {LIST, PATCH}
    assert both.refused == first.refused


def test_a_role_grants_every_verb_of_a_rule_on_every_resource_of_it() -> None:
    rule = {"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get", "list"]}
    granted = {("", what, verb) for what in ("pods", "services") for verb in ("get", "list")}
    assert granted_by({"rules": [rule]}) == granted


@pytest.mark.parametrize(
    ("granted", "asked", "unused", "told"),
    [
        ({LIST}, Asked(frozenset({LIST})), set(), []),
        ({LIST, FINALIZE}, Asked(frozenset({LIST})), {FINALIZE}, []),
        ({LIST}, Asked(frozenset({LIST, PATCH})), set(), ["used but not granted: patch statef"]),
        ({LIST, PATCH}, Asked(frozenset({LIST})), set(), ["granted but not used: patch statef"]),
        ({LIST}, Asked(frozenset({LIST})), {LIST}, ["used, though UNUSED says otherwise: list"]),
        ({LIST}, Asked(frozenset({LIST})), {PATCH}, ["in UNUSED, but not granted: patch statef"]),
        ({LIST}, Asked(frozenset({LIST}), ("list pods a/: 403",)), set(), ["refused: list pods"]),
        (
            {LIST},
            Asked(frozenset({PATCH})),
            set(),
            ["used but not granted: patch", "granted but not used: list pods (core)"],
        ),
    ],
)
def test_rights_are_complained_of_one_by_one(
    granted: set[Right], asked: Asked, unused: set[Right], told: list[str]
) -> None:
    found = complaints(granted, asked, unused)
    assert len(found) == len(told)
    for one, begins in zip(found, told, strict=True):
        assert one.startswith(begins)
        assert ".py" in one, "it says where to change it"
