"""The frame around every request: its origin, an id to find it again, and domain errors as problem documents."""

import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt

from common.errors import BadRequest, DomainError, NotFound, problem_response
from common.ids import new_id

GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
READING = ("GET", "HEAD")
OFREP_PREFIX = "/ofrep/"
API_PREFIXES = ("/api/", "/prompts/", "/ruleset", OFREP_PREFIX, "/v1/", "/otel/")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a change was asked for: the caller's IP address and the request's id, both empty outside a request."""

    address: str
    request_id: str


NOWHERE = Origin("", "")
_origin: ContextVar[Origin] = ContextVar("origin", default=NOWHERE)


def origin() -> Origin:
    """Of the request that this code runs for."""
    return _origin.get()


def address_of(environ: Mapping[str, Any]) -> str:
    """The IP address of whoever asked, or nothing when the server does not know it.

    X-Forwarded-For is believed only from the right and only as far as trusted proxies (SERINUS_TRUSTED_PROXIES) wrote
    it: what stands further left anybody can have sent.
    """
    found = _ip(environ.get("REMOTE_ADDR", ""))
    forwarded = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while found and forwarded and any(found in network for network in settings.TRUSTED_PROXIES):
        before = _ip(forwarded.pop())
        if before is None:
            break
        found = before
    return str(found or "")


def address_of_request(request: HttpRequest) -> str | None:
    """As django-axes takes it, which counts wrong passwords by it."""
    return address_of(request.META) or None


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    """IPv4 as such, also where a server that listens on both writes it as `::ffff:…`."""
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def given_request_id(environ: Mapping[str, Any]) -> str:
    """The caller's X-Request-Id, or nothing when there is none or it could not stand in a log."""
    given = environ.get("HTTP_X_REQUEST_ID", "")
    return given if given and GIVEN_ID.fullmatch(given) else ""


class RequestIdMiddleware:
    """Names the request by the caller's X-Request-Id or by a new id, and answers with the same header.

    What the request changes is recorded as coming from its `origin`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = given_request_id(request.META) or new_id("req")
        request.request_id = request_id  # type: ignore[attr-defined]  # read by common.errors
        if "HTTP_TRANSFER_ENCODING" in request.META:  # Django REST framework takes a body without a length for none
            request.META.setdefault("HTTP_CONTENT_LENGTH", "-1")
        token = _origin.set(Origin(address_of(request.META), request_id))
        try:
            response = self.get_response(request)
        finally:
            _origin.reset(token)
        response["X-Request-Id"] = request_id
        return response


class ProblemMiddleware:
    """A DomainError that a plain view raises becomes its problem document; an address with a NUL is one at once.

    Not a flag's: no database looks it up, and its protocol has an answer of its own for a flag that does not exist.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        has_nul = "\0" in request.path or "%00" in request.META.get("QUERY_STRING", "")
        if has_nul and not request.path.startswith(OFREP_PREFIX):  # no database could look it up
            return refused(request, BadRequest("nul_character", "The address holds a NUL character"))
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return problem_response(exception, request) if isinstance(exception, DomainError) else None


def only_read(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """The view for GET and HEAD; any other method is refused, as for programs, and before a form's token is missed."""

    @csrf_exempt
    @wraps(view)
    def reading(request: HttpRequest) -> HttpResponse:
        if request.method in READING:
            return view(request)
        detail = f"This is read by GET, not by {request.method}"
        response = problem_response(DomainError("method_not_allowed", detail, status=405), request)
        response["Allow"] = ", ".join(READING)
        return response

    return reading


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404."""
    return refused(request, NotFound("unknown_address", f"There is nothing at {request.path}"))


def refused(request: HttpRequest, error: DomainError) -> HttpResponse:
    """A problem document for programs, the page that there is no such page for people."""
    if request.path.startswith(API_PREFIXES):
        return problem_response(error, request)
    return render(request, "404.html", status=404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400: a page that says how large a form may be, or Django's plain one for what no form of ours sends."""
    if isinstance(exception, RequestDataTooBig):
        return render(request, "413.html", {"limit": settings.DATA_UPLOAD_MAX_MEMORY_SIZE}, status=413)
    return defaults.bad_request(request, exception)


def failed(request: HttpRequest) -> HttpResponse:
    """handler500: a problem document or Django's plain page for what nobody foresaw; the log has its traceback."""
    if request.path.startswith(API_PREFIXES):
        detail = "Something failed that should not have; nothing was changed"
        ofrep = {"errorCode": "GENERAL", "errorDetails": detail} if request.path.startswith(OFREP_PREFIX) else {}
        return problem_response(DomainError("internal_error", detail, extra=ofrep), request)
    return defaults.server_error(request)
