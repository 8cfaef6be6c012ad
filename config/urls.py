"""Every address of the service, by the app that answers it."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

handler404 = "common.requests.not_found"

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
]
