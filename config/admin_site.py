"""Django's admin with its index in the order of the product: what is edited, rolled out, told, observed, allowed."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest

GROUPS = {
    "Prompts": ("registry.Prompt", "registry.PromptVersion", "registry.Label"),
    "Rollouts": ("rollout.Rollout", "rollout.Verdict"),
    "Webhooks": ("rollout.WebhookEndpoint", "rollout.Delivery"),
    "Calls": ("observability.Call", "observability.Score"),
    "Quality": (
        *("observability.Evaluator", "observability.EvaluatorVersion"),
        *("observability.Judging", "observability.JudgingBudget", "observability.Objective"),
    ),
    "Alerts": ("observability.Alert", "observability.Silence"),
    "Spending": ("observability.SpendBudget", "observability.PriceOverride"),
    "Access": (
        *("registry.ApiKey", "auth.User", "auth.Group"),
        *("axes.AccessAttempt", "axes.AccessFailureLog", "axes.AccessLog"),
    ),
    "Audit": ("registry.AuditEntry",),
    "Background work": ("django_q.Schedule", "django_q.Failure", "django_q.Success", "django_q.OrmQ"),
}
"""What stands under each heading, in this order. A model that is in none stands under its app's own, at the end."""


class SerinusAdmin(AdminSite):
    site_header = site_title = "Serinus"

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The models that the person may see; of one app, as its own page lists them, where one is named."""
        apps = super().get_app_list(request, app_label)
        if app_label:
            return apps
        models = {f"{app['app_label']}.{model['object_name']}": model for app in apps for model in app["models"]}
        groups = [
            _group(heading, [models.pop(name) for name in names if name in models]) for heading, names in GROUPS.items()
        ]
        left = [{**app, "models": [model for model in app["models"] if model in models.values()]} for app in apps]
        return [group for group in (*groups, *left) if group["models"]]


def _group(heading: str, models: list[Any]) -> dict[str, Any]:
    """In the shape of an app. Its heading leads to the first of its lists."""
    return {
        "name": heading,
        "app_label": heading.lower().replace(" ", "-"),
        "app_url": models[0]["admin_url"] if models else "",
        "has_module_perms": True,
        "models": models,
    }
