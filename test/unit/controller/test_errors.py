from __future__ import annotations

import msgspec
import pytest

from controller.errors import (
    AlreadyExistsError,
    ApiError,
    Cause,
    ConflictError,
    DisruptionBudgetError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NamespaceTerminatingError,
    NotFoundError,
    ThrottledError,
    UnauthorizedError,
    duplicate_lists,
    error_for,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidError),
        (401, UnauthorizedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (410, GoneError),
        (422, InvalidError),
        (429, ThrottledError),
        (500, ApiError),
        (503, ApiError),
    ],
)
def test_a_status_is_an_error_of_its_own_type(status: int, kind: type[ApiError]) -> None:
    body = msgspec.json.encode({"kind": "Status", "reason": "Because", "message": "It is so."})
    error = error_for(status, body, retry_after_s=3.0)
    assert type(error) is kind
    assert (str(error), error.status, error.reason) == ("It is so.", status, "Because")
    assert error.retry_after_s == 3.0


def test_a_name_that_is_taken_is_told_from_a_conflict() -> None:
    error = error_for(409, b'{"reason":"AlreadyExists","message":"there"}')
    assert type(error) is AlreadyExistsError


@pytest.mark.parametrize("what", [".bogus: field not declared in schema", ".a: expected string"])
def test_a_manifest_that_apply_cannot_read_is_invalid_and_not_retried(what: str) -> None:
    message = f"failed to create typed patch object (shop/a; /v1, Kind=ConfigMap): {what}"
    error = error_for(500, msgspec.json.encode({"message": message}))
    assert type(error) is InvalidError
    assert not error.retriable


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the API server answered 502"),
        (b"<html>Bad Gateway", "<html>Bad Gateway"),
        (b"[]", "[]"),
        (b"\xff", "\ufffd"),
        (b"{}", "the API server answered 502"),
    ],
)
def test_an_answer_that_is_no_status_is_an_error_all_the_same(body: bytes, message: str) -> None:
    assert str(error_for(502, body)) == message


def test_a_create_in_a_namespace_that_goes_away_is_told_by_its_cause() -> None:
    body = (
        b'{"reason":"Forbidden","message":"unable to create new content",'
        b'"details":{"causes":[{"reason":"NamespaceTerminating","field":"metadata.namespace"}]}}'
    )
    assert type(error_for(403, body)) is NamespaceTerminatingError
    assert type(error_for(403, b'{"reason":"Forbidden","details":{}}')) is ForbiddenError


def test_a_budget_that_forbids_an_eviction_is_no_busy_server() -> None:
    cause = {
        "reason": "DisruptionBudget",
        "message": "The disruption budget b needs 1 healthy pod.",
    }
    body = msgspec.json.encode({"message": "Cannot evict.", "details": {"causes": [cause]}})
    error = error_for(429, body, retry_after_s=10.0)
    assert type(error) is DisruptionBudgetError
    assert not isinstance(error, ThrottledError)
    assert error.message == "Cannot evict. The disruption budget b needs 1 healthy pod."
    assert error.retry_after_s == 10.0


def test_a_patch_that_meets_another_object_is_a_conflict() -> None:
    causes = [{"reason": "FieldValueInvalid", "message": "immutable", "field": "metadata.uid"}]
    body = msgspec.json.encode({"message": "is invalid", "details": {"causes": causes}})
    error = error_for(422, body)
    assert type(error) is ConflictError
    assert error.causes == (Cause("FieldValueInvalid", "immutable", "metadata.uid"),)


def test_lists_with_duplicates_are_named_without_positions() -> None:
    fields = [
        ("FieldValueDuplicate", "spec.ports[1].name"),
        ("FieldValueDuplicate", "spec.template.spec.containers[0].ports[12].name"),
        ("FieldValueInvalid", "spec.selector[0].x"),
        ("FieldValueDuplicate", "metadata.name"),
    ]
    causes = [{"reason": reason, "message": "m", "field": field} for reason, field in fields]
    error = error_for(422, msgspec.json.encode({"details": {"causes": causes}}))
    assert duplicate_lists(error) == {"spec.ports", "spec.template.spec.containers.ports"}
