"""Every address of the service, by the app that answers it."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

from config import health

handler404 = "common.requests.not_found"

urlpatterns: list[URLPattern | URLResolver] = [
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("admin/", admin.site.urls),
]
