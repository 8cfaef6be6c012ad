"""`POST /v1/metrics`: answered and ignored: metrics carry no prompt, and many clients send them unasked."""

from django.http import HttpResponse

from observability.ingest import answers
from observability.ingest.exports import export
from registry.keys import Grant


@export
def metrics(media_type: str, body: bytes, grant: Grant) -> HttpResponse:
    """The body was read, so that the connection can serve the next request."""
    return answers.nothing_rejected(media_type)
