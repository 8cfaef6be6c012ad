"""Who may do what, at every address that there is: the table that the access tests hold against the URL configuration.

A new address needs a line here, or the tests fail. API: the need of each method, everything else being refused with
405. Pages: who may GET and POST: n staff without any rights, e editor, r releaser, o operator, s superuser, - nobody;
405 where there is no such method.
"""

import re
from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, get_resolver

NEEDS = {
    "read": {"read", "write", "admin"},
    "ingest": {"ingest", "admin"},
    "write": {"write", "admin"},
    "admin": {"admin"},
}
"""Need → the scopes that satisfy it; `open` is satisfied by anybody."""

API = """
livez                                                             GET open
readyz                                                            GET open
metrics                                                           GET open
api/schema                                                        GET open
api/docs                                                          GET open
prompts/<str:name>                                                GET read
ruleset                                                           GET read
ofrep/v1/evaluate/flags                                           POST read
ofrep/v1/evaluate/flags/<flag:key>                                POST read
api/v1/prompts                                                    GET read    POST write
api/v1/prompts/import                                             GET read    PATCH write  POST write
api/v1/prompts/<str:name>                                         GET read    PATCH write
api/v1/prompts/<str:name>/export                                  GET read
api/v1/prompts/<str:name>/archive                                 POST write
api/v1/prompts/<str:name>/unarchive                               POST write
api/v1/prompts/<str:name>/draft                                   GET read    PUT write
api/v1/prompts/<str:name>/draft/publish                           POST write
api/v1/prompts/<str:name>/versions                                GET read    POST write
api/v1/prompts/<str:name>/versions/<str:version>                  GET read
api/v1/prompts/<str:name>/diff                                    GET read
api/v1/prompts/<str:name>/labels                                  GET read
api/v1/prompts/<str:name>/labels/<str:label>                      GET read    PUT write
api/v1/prompts/<str:name>/labels/<str:label>/history              GET read
api/v1/prompts/<str:name>/render                                  POST read
api/v1/keys                                                       GET admin   POST admin
api/v1/keys/<int:key_id>                                          GET admin   DELETE admin
api/v1/audit                                                      GET admin
v1/traces                                                         POST ingest
v1/logs                                                           POST ingest
v1/metrics                                                        POST ingest
otel/v1/traces                                                    POST ingest
otel/v1/logs                                                      POST ingest
otel/v1/metrics                                                   POST ingest
api/public/otel/v1/traces                                         POST ingest
api/public/otel/v1/logs                                           POST ingest
api/public/otel/v1/metrics                                        POST ingest
api/public/scores                                                 POST ingest
api/public/ingestion                                              POST ingest
api/v1/scores                                                     GET read    POST ingest
api/v1/calls                                                      GET read    POST ingest
api/v1/calls/<str:trace_id>/<str:span_id>/text                    GET admin
api/v1/metrics/versions                                           GET read
api/v1/baselines                                                  GET read
api/v1/spend                                                      GET read
api/v1/evaluations                                                GET read
api/v1/judging                                                    GET read
api/v1/spend-budgets                                              GET read    POST write
api/v1/spend-budgets/<int:budget_id>                              GET read    PATCH write  DELETE write
^api/v1/traces/(?P<trace_id>[0-9a-fA-F]{32})\\Z                   GET read
api/v1/objectives                                                 GET read    POST write
api/v1/objectives/<int:objective_id>                              GET read    PATCH write  DELETE write
api/v1/alerts                                                     GET read
api/v1/alerts/<str:alert_id>                                      GET read
api/v1/alerts/<str:alert_id>/acknowledge                          POST write
api/v1/alerts/<str:alert_id>/silence                              POST write
api/v1/alerts/<str:alert_id>/unsilence                            POST write
api/v1/prices                                                     GET read    POST admin
api/v1/prices/unpriced                                            GET read
api/v1/prices/<int:override_id>                                   DELETE admin
api/v1/evaluators                                                 GET read    POST write
api/v1/evaluators/<str:evaluator>                                 GET read
api/v1/evaluators/<str:evaluator>/versions                        GET read    POST write
api/v1/evaluators/<str:evaluator>/versions/<int:ordinal>          GET read
api/v1/evaluators/<str:evaluator>/try                             POST write
api/v1/prompts/<str:name>/judgings                                GET read
api/v1/prompts/<str:name>/judgings/<str:evaluator>                PUT write   DELETE write
api/v1/prompts/<str:name>/judging-budget                          GET read    PUT write
api/v1/webhooks                                                   GET admin   POST admin
api/v1/webhooks/<str:webhook_id>                                  GET admin   PATCH admin  DELETE admin
api/v1/webhooks/<str:webhook_id>/rotate                           POST admin
api/v1/webhooks/<str:webhook_id>/enable                           POST admin
api/v1/webhooks/<str:webhook_id>/replay                           POST admin
api/v1/webhooks/<str:webhook_id>/deliveries                       GET admin
api/v1/webhooks/<str:webhook_id>/deliveries/<str:delivery_id>/replay POST admin
api/v1/rollouts                                                   GET read    POST write
api/v1/rollouts/plan                                              POST read
api/v1/rollouts/<slug:rollout_id>                                 GET read
api/v1/rollouts/<slug:rollout_id>/verdicts                        GET read
api/v1/rollouts/<slug:rollout_id>/transitions                     GET read
api/v1/events                                                     GET read
api/v1/events/<str:event_id>                                      GET read
api/v1/data-quality                                               GET read
^api/v1/rollouts/(?P<rollout_id>[-a-zA-Z0-9_]+)/(?P<action>start|pause|resume|promote|rollback|cancel)$ POST write
"""

OPEN_PAGES = {
    "",
    "rollouts/<slug:rollout_id>",
    "insights/prompts",
    "insights/prompts/<str:name>",
    "insights/events",
}
"""Open to everyone unless settings.STATUS_PAGES says otherwise (tests/http/test_pages.py). They are only read."""

PAGES = """
alerts                                                            neros  405
alerts/<slug:alert_id>                                            neros  405
alerts/<slug:alert_id>/<slug:act>                                 ros    ros
insights/spend                                                    neros  405
insights/judging                                                  neros  405
^insights/traces/(?P<trace_id>[0-9a-fA-F]{32})\\Z                 eros   405
admin/                                                            neros  neros
admin/password_change/                                            neros  neros
admin/password_change/done/                                       neros  405
admin/autocomplete/                                               -      405
admin/jsi18n/                                                     neros  405
admin/r/<path:content_type_id>/<path:object_id>/                  neros  neros
admin/registry/prompt/<int:prompt_id>/draft/                      ers   ers
admin/registry/prompt/<int:prompt_id>/draft/preview/              405   ers
admin/registry/prompt/<int:prompt_id>/publish/                    ers   ers
admin/registry/prompt/<int:prompt_id>/label/                      ers   ers
admin/registry/label/<int:label_id>/restore/                      rs    rs
admin/registry/auditentry/export/<str:ending>/                    s     405
rollouts/<slug:rollout_id>/<slug:act>                             ros   ros
admin/rollout/rollout/forecast/                                   405   rs
admin/rollout/delivery/<slug:delivery_id>/replay/                  os    os
admin/rollout/webhookendpoint/<slug:endpoint_id>/edit/            os    os
admin/rollout/webhookendpoint/<slug:endpoint_id>/rotate/          os    os
admin/rollout/webhookendpoint/<slug:endpoint_id>/disable/         os    os
admin/rollout/webhookendpoint/<slug:endpoint_id>/enable/          os    os
admin/rollout/webhookendpoint/<slug:endpoint_id>/replay/          os    os
admin/observability/evaluator/<int:evaluator_id>/publish/         ros    ros
admin/auth/user/<id>/password/                                    s     s
admin/^(?P<app_label>registry|axes|auth|django_q|rollout|observability)/$ neros neros
admin/(?P<url>.*)$                                                neros  neros
"""

OUTSIDE_LOGIN = {"admin/login/", "admin/logout/"}
"""What is there for those who are not logged in, and what logs out."""

MODELS = """
registry/apikey               os    os    -     -
registry/auditentry           s     -     -     -
registry/label                eros  -     -     -
registry/prompt               eros  ers   -     -
registry/promptversion        eros  -     -     -
rollout/rollout               eros  rs    -     -
rollout/verdict               eros  -     -     -
rollout/webhookendpoint       os    os    -     -
rollout/delivery              os    -     -     -
observability/call            eros  -     -     -
observability/score           eros  -     -     -
observability/alert           eros  -     -     -
observability/silence         eros  -     -     -
observability/priceoverride   eros  os    -     os
observability/evaluator       eros  ros   -     -
observability/evaluatorversion eros  -     -     -
observability/judging         eros  ros   ros   ros
observability/judgingbudget   eros  ros   ros   -
observability/spendbudget     eros  ros   ros   ros
observability/objective       eros  ros   ros   ros
django_q/schedule             s     s     s     s
django_q/success              s     -     s     s
django_q/failure              s     -     s     s
django_q/ormq                 s     -     s     s
auth/group                    s     s     s     s
auth/user                     s     s     s     s
axes/accessattempt            s     -     s     s
axes/accesslog                s     -     s     s
axes/accessfailurelog         s     -     s     s
"""
"""Who may look at a model's list, a row and its history; add one; change one by its form; delete one."""

Who = str
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


def api() -> dict[str, dict[str, str]]:
    """Route → method → need. HEAD needs what GET does."""
    found = {}
    for line in API.strip().splitlines():
        route, *words = line.split()
        needs = dict(zip(words[::2], words[1::2], strict=True))
        found[route] = needs | ({"HEAD": needs["GET"]} if "GET" in needs else {})
    return found


def pages() -> dict[str, tuple[Who, Who]]:
    """Route → who may GET, who may POST."""
    found: dict[str, tuple[Who, Who]] = {}
    for line in PAGES.strip().splitlines():
        route, get, post = line.split()
        found[route] = get, post
    for line in MODELS.strip().splitlines():
        model, look, add, change, delete = line.split()
        found[f"admin/{model}/"] = look, look
        found[f"admin/{model}/add/"] = add, add
        found[f"admin/{model}/<path:object_id>/history/"] = look, look
        found[f"admin/{model}/<path:object_id>/delete/"] = delete, delete
        found[f"admin/{model}/<path:object_id>/change/"] = look, change
        found[f"admin/{model}/<path:object_id>/"] = "neros", "neros"  # leads to the one above
    return found


def routes() -> dict[str, URLPattern]:
    """Every address of the URL configuration, as it is written there."""
    return dict(_walk(get_resolver().url_patterns, ""))


def _walk(patterns: Any, prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern
        else:
            yield from _walk(pattern.url_patterns, route)


def path_of(route: str, values: dict[str, Any]) -> str:
    """An address of the route, its variables taken from the values by their names."""
    filled = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(values[found[1]]), re.sub(r"\(\?P<", "(?P{", route))
    filled = re.sub(r"\(\?P\{(\w+)>[^)]*\)", lambda found: str(values[found[1]]), filled)
    return "/" + filled.replace("^", "").replace("\\Z", "").removesuffix("$")
