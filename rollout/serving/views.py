"""Serving's Django views: of the read path, where it is not mounted in front of Django, and of flag evaluation."""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from common.bodies import read_body
from registry.keys import sent_key
from rollout.serving import ofrep
from rollout.serving.endpoint import get_prompt
from rollout.serving.responses import Response
from rollout.serving.ruleset_endpoint import get_ruleset


@csrf_exempt  # no session and no form: any method must reach the endpoint, which refuses all but GET and HEAD
def prompt(request: HttpRequest, name: str) -> HttpResponse:
    meta = request.META
    return _response(
        get_prompt(
            method=request.method or "",
            name=name,
            query=meta.get("QUERY_STRING", ""),
            authorization=meta.get("HTTP_AUTHORIZATION", ""),
            unit_header=meta.get("HTTP_SERINUS_UNIT", ""),
            if_none_match=meta.get("HTTP_IF_NONE_MATCH", ""),
            request_id=getattr(request, "request_id", ""),
        )
    )


@csrf_exempt
def ruleset(request: HttpRequest) -> HttpResponse:
    meta = request.META
    return _response(
        get_ruleset(
            method=request.method or "",
            query=meta.get("QUERY_STRING", ""),
            authorization=meta.get("HTTP_AUTHORIZATION", ""),
            if_none_match=meta.get("HTTP_IF_NONE_MATCH", ""),
            request_id=getattr(request, "request_id", ""),
        )
    )


@csrf_exempt
def flag(request: HttpRequest, key: str) -> HttpResponse:
    return _response(ofrep.evaluate_flag(key, _evaluation_request(request)))


@csrf_exempt
def flags(request: HttpRequest) -> HttpResponse:
    return _response(ofrep.evaluate_flags(_evaluation_request(request)))


def _evaluation_request(request: HttpRequest) -> ofrep.Request:
    return ofrep.Request(
        method=request.method or "",
        key=sent_key(request) or "",
        content_type=request.META.get("CONTENT_TYPE", ""),
        read_body=partial(read_body, request),
        if_none_match=request.META.get("HTTP_IF_NONE_MATCH", ""),
    )


def _response(answer: Response) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    del response["Content-Type"]  # Django's guess; a 304 has none
    for header, value in answer.headers:
        response[header] = value
    return response
