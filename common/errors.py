"""What can go wrong, as one family of exceptions, and its one shape on the wire: an RFC 9457 problem document.

Services raise a DomainError; the views' frame (common.requests, common.rest) turns it into the answer. `code` is
stable and meant for programs, `detail` for people.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of a request. field: a path such as `steps[1].weight`, or `` for the whole body."""

    field: str
    code: str
    message: str


class DomainError(Exception):
    """Base of everything a service refuses. `extra` members go into the problem document beside the standard ones."""

    status: int = 500

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status or self.status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = dict(extra or {})


class BadRequest(DomainError):
    status = 400


class Unauthorized(DomainError):
    status = 401


class Forbidden(DomainError):
    status = 403


class NotFound(DomainError):
    status = 404


class Conflict(DomainError):
    status = 409


class Gone(DomainError):
    status = 410


class TooLarge(DomainError):
    status = 413


class UnsupportedMediaType(DomainError):
    status = 415


class Invalid(DomainError):
    status = 422

    @classmethod
    def field(cls, field: str, message: str, *, code: str = "invalid") -> "Invalid":
        """One field is wrong; the message says what was expected."""
        return cls.fields([FieldError(field, code, message)])

    @classmethod
    def fields(cls, errors: Sequence[FieldError], *, code: str = "invalid") -> "Invalid":
        """Several fields are wrong, or the whole body, whose path is empty."""
        detail = "; ".join(f"{error.field}: {error.message}" if error.field else error.message for error in errors)
        return cls(code, detail, errors=errors)


class PreconditionRequired(DomainError):
    status = 428


class TooManyRequests(DomainError):
    """wait_s: when to come back."""

    status = 429

    def __init__(self, code: str, detail: str, *, wait_s: int) -> None:
        super().__init__(code, detail)
        self.wait_s = wait_s


class Unavailable(DomainError):
    status = 503
    wait_s = 2


def problem(
    *,
    status: int,
    code: str,
    detail: str,
    request_id: str,
    errors: Sequence[FieldError] = (),
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The members of a problem document, RFC 9457 section 3."""
    return {
        "type": f"urn:serinus:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [{"field": e.field, "code": e.code, "message": e.message} for e in errors],
        "request_id": request_id,
        **(extra or {}),
    }


def problem_answer(error: DomainError, request_id: str) -> tuple[dict[str, str], bytes]:
    """The error's headers and body, of content type application/problem+json."""
    body = problem(
        status=error.status,
        code=error.code,
        detail=error.detail,
        request_id=request_id,
        errors=error.errors,
        extra=error.extra,
    )
    headers = {"Content-Type": "application/problem+json"}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="serinus"'
    if isinstance(error, TooManyRequests | Unavailable):
        headers["Retry-After"] = str(error.wait_s)
    return headers, json.dumps(body, cls=DjangoJSONEncoder).encode()


def problem_response(error: DomainError, request: HttpRequest) -> HttpResponse:
    """The error as Django's answer to this request."""
    headers, body = problem_answer(error, getattr(request, "request_id", ""))
    return HttpResponse(body, status=error.status, headers=headers)
