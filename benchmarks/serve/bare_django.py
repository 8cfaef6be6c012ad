"""The least that could answer in Django: constant headers and bytes from a view, no middleware, no database."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from benchmarks.serve.answer import given_answer

answer = given_answer()
body = answer.body.encode()


def prompt(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(body, headers=answer.headers)


urlpatterns = [path("prompts/<name>", prompt)]
settings.configure(ALLOWED_HOSTS=["127.0.0.1"], MIDDLEWARE=[], ROOT_URLCONF=__name__)
application = get_wsgi_application()
