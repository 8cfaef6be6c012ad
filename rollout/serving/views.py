"""The Django view of `GET /prompts/{name}`, where serving is not mounted in front of Django."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from rollout.serving.endpoint import get_prompt


@csrf_exempt  # no session and no form: any method must reach the endpoint, which refuses all but GET and HEAD
def prompt(request: HttpRequest, name: str) -> HttpResponse:
    meta = request.META
    answer = get_prompt(
        method=request.method or "",
        name=name,
        query=meta.get("QUERY_STRING", ""),
        authorization=meta.get("HTTP_AUTHORIZATION", ""),
        unit_header=meta.get("HTTP_SERINUS_UNIT", ""),
        if_none_match=meta.get("HTTP_IF_NONE_MATCH", ""),
        request_id=getattr(request, "request_id", ""),
    )
    response = HttpResponse(answer.body, status=answer.status)
    del response["Content-Type"]  # Django's guess; a 304 has none
    for header, value in answer.headers:
        response[header] = value
    return response
