"""`POST /v1/metrics`: answered and ignored: metrics carry no prompt, and many clients send them unasked."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from common.bodies import read_body
from common.errors import DomainError, UnsupportedMediaType
from observability.ingest import answers
from registry.keys import require_ingest


@csrf_exempt
@require_POST
def metrics(request: HttpRequest) -> HttpResponse:
    media_type = (request.content_type or "").lower()
    try:
        require_ingest(request)
        if media_type not in {answers.PROTOBUF, answers.JSON}:
            expected = f"{answers.PROTOBUF} or {answers.JSON}"
            raise UnsupportedMediaType("unsupported_media_type", f"Content-Type: expected {expected}, got {media_type}")
        read_body(request)  # whole, so that the connection can serve the next request
    except DomainError as error:
        return answers.refusal(media_type, error)
    return answers.nothing_rejected(media_type)
