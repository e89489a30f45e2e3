from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes.audit_log import AuditLog, call


def line(stage: str = "ResponseComplete", verb: str = "patch", resource: str = "services") -> bytes:
    entry = {
        "kind": "Event",
        "stage": stage,
        "verb": verb,
        "requestURI": f"/api/v1/namespaces/a/{resource}/one",
        "user": {"username": "operator", "groups": ["system:authenticated"]},
        "userAgent": "python",
        "objectRef": {"resource": resource, "namespace": "a", "name": "one", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
    }
    return json.dumps(entry).encode() + b"\n"


def test_a_line_that_is_still_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    whole, half = line(), line(verb="delete")[:40]
    path.write_bytes(whole + half)
    log = AuditLog(path)
    assert [one.verb for one in log.calls()] == ["patch"]
    path.write_bytes(whole + line(verb="delete"))
    assert [one.verb for one in log.calls()] == ["patch", "delete"]


def test_a_mark_leaves_out_what_was_before_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(line())
    log = AuditLog(path)
    mark = log.mark()
    assert log.calls(mark) == []
    with path.open("ab") as stream:
        stream.write(line(verb="create"))
    assert [one.verb for one in log.calls(mark)] == ["create"]


def test_a_mark_made_while_a_line_is_being_written_is_the_start_of_that_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(line() + line(verb="delete")[:40])
    log = AuditLog(path)
    mark = log.mark()
    path.write_bytes(line() + line(verb="delete"))
    assert [one.verb for one in log.calls(mark)] == ["delete"]


def test_a_log_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log")
    assert log.mark() == 0
    assert log.calls() == []


def test_a_watch_counts_when_it_begins_and_not_again_when_it_ends() -> None:
    assert call(line("ResponseStarted", "watch")) is not None
    assert call(line("ResponseComplete", "watch")) is None
    assert call(line("RequestReceived", "get")) is None


@pytest.mark.parametrize(
    ("verb", "resource", "counted"),
    [
        ("create", "statefulsets", True),
        ("update", "statefulsets", True),
        ("patch", "brokers", True),
        ("delete", "services", True),
        ("deletecollection", "pods", True),
        ("get", "pods", False),
        ("list", "pods", False),
        ("update", "leases", False),
        ("create", "events", False),
    ],
)
def test_writes_are_changes_of_what_a_cluster_consists_of(
    verb: str, resource: str, counted: bool, tmp_path: Path
) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(line(verb=verb, resource=resource))
    log = AuditLog(path)
    assert bool(log.writes()) is counted
    assert bool(log.writes(user="operator", namespace="a")) is counted
    assert log.writes(user="somebody else") == []
    assert log.writes(namespace="b") == []
