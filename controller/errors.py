"""Errors of the API server as types; `retriable` says what the caller may hope for. Pure."""

from __future__ import annotations

import re

import msgspec


class Cause(msgspec.Struct, frozen=True):
    """One thing that the API server objects to; `field` is a path such as `spec.ports[0].name`."""

    reason: str = ""
    message: str = ""
    field: str = ""


class ApiError(Exception):
    """The API server refused or could not be asked.

    `status` is the HTTP status (0 where there was no answer), `reason` the Kubernetes reason,
    `message` the server's own sentence, `retry_after_s` what it asked us to wait, `causes` what
    it objects to in detail.
    """

    retriable = True

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        retry_after_s: float | None = None,
        causes: tuple[Cause, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.causes = causes


class UnreachableError(ApiError):
    """No answer: connection refused, cut, or a time-out."""


class SilentError(UnreachableError):
    """A stream carried no byte for the agreed time: the connection is half-open, or as good as."""


class MalformedError(ApiError):
    """An answer that cannot be understood: not JSON, cut short, too long, or no object."""


class NotFoundError(ApiError):
    """404: no such object, or no such kind."""


class AlreadyExistsError(ApiError):
    """409 AlreadyExists: an object of this name is there."""


class ConflictError(ApiError):
    """Somebody else was faster: another version, another object of this name (409, or 422)."""


class GoneError(ApiError):
    """410: the resource version is too old; list again."""


class ThrottledError(ApiError):
    """429: the server asks us to slow down."""


class DisruptionBudgetError(ApiError):
    """429 for an eviction: a PodDisruptionBudget forbids it at present; the message names it.

    No ThrottledError: the server is not busy, and the pods have to change before it may be done.
    """


class InvalidError(ApiError):
    """422 or 400: the object breaks a rule of the server; it will do so again."""

    retriable = False


class ForbiddenError(ApiError):
    """403: not granted, or refused by admission; retried slowly, for grants do change."""


class NamespaceTerminatingError(ApiError):
    """403 for a create in a namespace that is being deleted: it takes everything along."""

    retriable = False


class UnauthorizedError(ApiError):
    """401: the credentials are not accepted (any more)."""


class _Details(msgspec.Struct):
    causes: tuple[Cause, ...] = ()


class _Status(msgspec.Struct, rename="camel"):
    reason: str = ""
    message: str = ""
    details: _Details | None = None

    @property
    def causes(self) -> tuple[Cause, ...]:
        return self.details.causes if self.details is not None else ()


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: ThrottledError,
}

_BY_CAUSE: dict[tuple[int, str], type[ApiError]] = {
    (403, "NamespaceTerminating"): NamespaceTerminatingError,
    (429, "DisruptionBudget"): DisruptionBudgetError,
}


def duplicate_lists(error: ApiError) -> frozenset[str]:
    """The lists in which the server found two items with the same value where it must differ.

    Without list positions: `spec.ports` for a cause `spec.ports[1].name`.
    """
    lists = (
        cause.field.rpartition("[")[0]
        for cause in error.causes
        if cause.reason == "FieldValueDuplicate"
    )
    return frozenset(re.sub(r"\[[^]]*\]", "", path) for path in lists if path)


def error_for(status: int, body: bytes, *, retry_after_s: float | None = None) -> ApiError:
    """The error that an answer with this HTTP status and body stands for (any body is accepted)."""
    try:
        answer = msgspec.json.decode(body, type=_Status)
    except msgspec.DecodeError:
        answer = _Status(message=body[:200].decode("utf-8", "replace"))
    kind, message = _kind(status, answer), answer.message
    if kind is DisruptionBudgetError:
        # The message is the same for every budget; the cause names it and its numbers.
        message = " ".join([message, *(cause.message for cause in answer.causes)])
    return kind(
        message or f"the API server answered {status}",
        status=status,
        reason=answer.reason,
        retry_after_s=retry_after_s,
        causes=answer.causes,
    )


def _kind(status: int, answer: _Status) -> type[ApiError]:
    # Server-side apply answers a manifest with an unknown field or a wrong type with 500 and no
    # reason (seen with 1.36): it is as invalid as where a create would get 400.
    if status == 500 and answer.message.startswith("failed to create typed patch object"):
        return InvalidError
    if status == 409 and answer.reason == "AlreadyExists":
        return AlreadyExistsError
    # A patch that names the uid of an object which another one has replaced (seen with 1.36).
    if status == 422 and any(cause.field == "metadata.uid" for cause in answer.causes):
        return ConflictError
    # https://github.com/kubernetes/kubernetes/pull/59152: the cause, not the reason, tells it.
    found = _BY_CAUSE.keys() & {(status, cause.reason) for cause in answer.causes}
    return _BY_CAUSE[found.pop()] if found else _BY_STATUS.get(status, ApiError)
