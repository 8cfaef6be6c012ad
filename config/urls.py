"""Every address of the service, by the app that answers it."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, register_converter
from django.urls.converters import PathConverter

from config import api_docs, health, metrics
from registry.admin.people import own_password
from rollout.serving import views as serving

handler400 = "common.requests.bad_request"
handler404 = "common.requests.not_found"
handler500 = "common.requests.failed"


class FlagConverter(PathConverter):
    """Any key, also one with a line break, for which Django's own has no address: the protocol has an answer."""

    regex = "(?s:.+)"


register_converter(FlagConverter, "flag")

admin.autodiscover()  # here and not for every process (config.admin_app)

urlpatterns: list[URLPattern | URLResolver] = [
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("api/schema", api_docs.schema, name="api_schema"),
    path("api/docs", api_docs.browse, name="api_docs"),
    path("prompts/<str:name>", serving.prompt),
    path("ruleset", serving.ruleset),
    path("ofrep/v1/evaluate/flags", serving.flags),
    path("ofrep/v1/evaluate/flags/<flag:key>", serving.flag),
    path("", include("registry.urls")),
    path("", include("observability.urls")),
    path("", include("rollout.webhooks.urls")),
    path("", include("rollout.urls")),
    path("admin/password_change/", admin.site.admin_view(own_password, cacheable=True)),
    path("admin/", admin.site.urls),
]
