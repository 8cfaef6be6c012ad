"""What every Django REST framework view of Serinus shares: strict input, one list shape, one error shape."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import ValidationError
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpResponseBase
from rest_framework import exceptions, pagination, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import exception_handler

from common.errors import (
    BadRequest,
    DomainError,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    problem_response,
)

WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know, by name, where DRF would drop them silently."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            names = ", ".join(name for name, field in self.fields.items() if not field.read_only)
            expected = f"expected one of {names}" if names else "expected none"
            raise serializers.ValidationError(
                {name: serializers.ErrorDetail(f"unknown field; {expected}", "unknown") for name in unknown}
            )
        return super().to_internal_value(data)


class CursorPages(pagination.CursorPagination):
    """`{"items": […], "next": cursor or null}`, newest first; `?limit=` up to 500, `?cursor=` from the last answer."""

    page_size_query_param = "limit"
    max_page_size = 500
    ordering = "-id"

    def paginate_queryset(self, *args: Any, **options: Any) -> list[Any] | None:
        try:
            return super().paginate_queryset(*args, **options)
        except (ValueError, ValidationError, DataError) as error:  # well-formed, but of no position in this list
            raise exceptions.NotFound(self.invalid_cursor_message) from error

    def encode_cursor(self, cursor: Any) -> str:
        query = urlsplit(super().encode_cursor(cursor)).query
        return parse_qs(query)[self.cursor_query_param][0]

    def get_page_size(self, request: Request) -> int | None:
        written = request.query_params.get(self.page_size_query_param)
        if written is None:
            return super().get_page_size(request)
        if not (WHOLE_NUMBER.fullmatch(written) and 1 <= int(written) <= self.max_page_size):
            message = f"expected a whole number from 1 to {self.max_page_size}, got {written[:40]!r}"
            error = FieldError(self.page_size_query_param, "malformed_limit", message)
            raise BadRequest("malformed_limit", f"limit: {message}", errors=[error])
        return int(written)

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"items": data, "next": self.get_next_link()})


def read_body(form: type[StrictSerializer], request: Request, *, partial: bool = False) -> dict[str, Any]:
    """The body's fields, checked; unknown ones are refused by name. partial: none need be there."""
    checked = form(data=request.data, partial=partial)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def read_query(
    form: type[StrictSerializer], request: Request, *, pages: type[CursorPages] | None = None
) -> dict[str, Any]:
    """The query's parameters, checked; unknown ones are refused by name. pages: what reads its own ones by itself."""
    given = request.query_params.dict()
    for name in (pages.cursor_query_param, pages.page_size_query_param) if pages else ():
        given.pop(name, None)
    checked = form(data=given)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def if_match(request: Request) -> int | None:
    """The revision in the If-Match header, as an answer's ETag gives it; None without one, or when any will do."""
    tag = request.headers.get("If-Match", "*").strip().removeprefix("W/").strip('"')
    if tag == "*":
        return None
    if not WHOLE_NUMBER.fullmatch(tag):
        raise BadRequest("malformed_if_match", f'If-Match: expected a revision such as "3", got {tag[:40]!r}')
    return int(tag)


def expected_revision(request: Request, in_body: int | None) -> int | None:
    """By the body or by If-Match. Raises BadRequest where they are not of the same revision."""
    in_header = if_match(request)
    if None not in (in_body, in_header) and in_body != in_header:
        raise BadRequest(
            "revisions_differ", f"revision is {in_body}, but If-Match is {in_header}: expected one of them"
        )
    return in_header if in_body is None else in_body


def etag(revision: int) -> dict[str, str]:
    """The header by which an answer tells its revision."""
    return {"ETag": f'"{revision}"'}


def problem_for_exception(error: Exception, context: dict[str, Any]) -> HttpResponseBase | None:
    """DRF's EXCEPTION_HANDLER: a refusal as a problem document; None (a 500 with its traceback) for the unforeseen."""
    request = context["request"]._request
    domain_error = as_domain_error(error)
    if domain_error is not None:
        return problem_response(domain_error, request)
    response = exception_handler(error, context)
    if response is not None and isinstance(error, exceptions.APIException):
        return problem_response(DomainError(error.default_code, str(error.detail), status=error.status_code), request)
    return None


def as_domain_error(error: Exception) -> DomainError | None:
    match error:
        case DomainError():
            return error
        case exceptions.ValidationError():
            errors = list(field_errors(error.detail))
            return Invalid.fields(errors)
        case exceptions.ParseError():
            return BadRequest("malformed_json", str(error.detail))
        case exceptions.NotAuthenticated():
            return Unauthorized("missing_key", str(error.detail))
        case exceptions.AuthenticationFailed():
            return Unauthorized(str(error.get_codes()), str(error.detail))
        case exceptions.PermissionDenied():
            return Forbidden("wrong_scope", str(error.detail))
        case exceptions.UnsupportedMediaType():
            return UnsupportedMediaType("unsupported_media_type", str(error.detail))
        case exceptions.NotFound() | Http404():
            return NotFound("not_found", str(error))
        case OperationalError() | InterfaceError():
            return Unavailable("database_unavailable", "The database is away or busy; try again")
    return None


def field_errors(detail: Any, path: str = "") -> Iterator[FieldError]:
    """DRF's nested error details, flattened to paths such as `steps[1].weight`; the whole body's path is empty."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from field_errors(inner, _path(path, name))
    elif isinstance(detail, list):
        nested = any(isinstance(inner, dict | list) for inner in detail)
        for index, inner in enumerate(detail):
            yield from field_errors(inner, f"{path}[{index}]" if nested else path)
    else:
        yield FieldError(path, getattr(detail, "code", "invalid"), str(detail))


def _path(path: str, name: str | int) -> str:
    if name == "non_field_errors":
        return path
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name
