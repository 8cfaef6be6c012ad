"""The addresses of the service with one more: a page of nothing, the unit of `benchmarks.pages`."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from config.urls import urlpatterns as of_the_service


def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [path("empty", empty), *of_the_service]
