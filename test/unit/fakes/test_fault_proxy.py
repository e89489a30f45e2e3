from __future__ import annotations

import pytest

from fakes.fault_proxy import (
    Answer,
    CutMidLine,
    Exchange,
    Fault,
    Freeze,
    Rule,
    Rules,
    asking,
    verb_of,
)

CLASH = Answer(409, "Conflict")


def faults(rules: Rules, verb: str = "patch", path: str = "/a", count: int = 5) -> list[bool]:
    found = [rules.fault(Exchange(number + 1, verb, path)) for number in range(count)]
    return [one is not None for one in found]


def rules(
    fault: Fault, *verbs: str, path: str = "", times: int | None = None, skip: int = 0
) -> Rules:
    made = Rules()
    made.add(Rule(fault, asking(*verbs, path=path), times, skip))
    return made


def test_without_a_rule_everything_goes_through() -> None:
    assert faults(Rules()) == [False] * 5


def test_a_rule_holds_until_it_is_cleared() -> None:
    subject = rules(CLASH)
    assert faults(subject) == [True] * 5
    subject.clear()
    assert faults(subject) == [False] * 5


def test_a_rule_may_hold_for_a_number_of_requests_after_another_number() -> None:
    assert faults(rules(CLASH, times=2, skip=1)) == [False, True, True, False, False]


def test_only_the_verbs_and_paths_that_were_named_are_counted_and_hit() -> None:
    subject = rules(CLASH, "patch", path="/statefulsets/", times=1)
    assert faults(subject, "get", "/statefulsets/a") == [False] * 5
    assert faults(subject, "patch", "/services/a") == [False] * 5
    assert faults(subject, "patch", "/statefulsets/a") == [True, False, False, False, False]


def test_one_request_of_a_run_can_be_named_by_its_number() -> None:
    subject = Rules()
    subject.add(Rule(CLASH, asking(number=3)))
    assert faults(subject) == [False, False, True, False, False]
    later = Rules()
    later.add(Rule(CLASH, asking(above=3)))
    assert faults(later) == [False, False, False, True, True]


def test_the_first_rule_that_is_not_used_up_wins() -> None:
    subject = rules(CLASH, times=1)
    subject.add(Rule(Answer(500), asking()))
    first, second = (subject.fault(Exchange(number, "get", "/")) for number in (1, 2))
    assert (first, second) == (CLASH, Answer(500))


@pytest.mark.parametrize(
    ("fault", "strikes"), [(Freeze(), True), (CutMidLine(), True), (CLASH, False)]
)
def test_a_stream_that_is_open_can_be_cut_or_frozen_but_not_answered(
    fault: Fault, strikes: bool
) -> None:
    subject = rules(fault, "watch")
    stream = Exchange(1, "watch", "/api/v1/pods")
    assert (subject.fault_of_stream(stream) is not None) is strikes
    assert subject.fault_of_stream(Exchange(2, "list", "/api/v1/pods")) is None


def test_a_rule_for_a_number_of_requests_spares_the_streams_that_it_did_not_hit() -> None:
    subject = rules(CutMidLine(), "watch", times=1)
    assert subject.fault(Exchange(1, "watch", "/api/v1/pods")) == CutMidLine()
    assert subject.fault_of_stream(Exchange(2, "watch", "/api/v1/pods")) is None


@pytest.mark.parametrize(
    ("method", "target", "verb"),
    [
        ("GET", "/api/v1/pods", "list"),
        ("GET", "/api/v1/pods?watch=1&resourceVersion=5", "watch"),
        ("GET", "/api/v1/pods?watch=true", "watch"),
        ("GET", "/api/v1/namespaces", "list"),
        ("GET", "/api/v1/namespaces/a", "get"),
        ("GET", "/api/v1/namespaces/a/pods", "list"),
        ("GET", "/api/v1/namespaces/a/pods/b", "get"),
        ("GET", "/api/v1/namespaces/a/pods/b/status", "get"),
        ("GET", "/apis/apps/v1/statefulsets", "list"),
        ("GET", "/apis/apps/v1/namespaces/a/statefulsets", "list"),
        ("GET", "/apis/apps/v1/namespaces/a/statefulsets/b", "get"),
        ("POST", "/api/v1/namespaces/a/services", "create"),
        ("PATCH", "/api/v1/namespaces/a/services/b", "patch"),
        ("PUT", "/api/v1/namespaces/a/services/b", "update"),
        ("DELETE", "/api/v1/namespaces/a/services/b", "delete"),
    ],
)
def test_the_verb_of_a_request(method: str, target: str, verb: str) -> None:
    path, _, query = target.partition("?")
    assert verb_of(method, path, query) == verb
