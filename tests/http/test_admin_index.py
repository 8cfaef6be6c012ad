"""The admin's index reads like the product, and shows everybody what they may use and nothing else."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

pytestmark = pytest.mark.django_db


def shown(client: Client, path: str = "/admin/") -> dict[str, list[str]]:
    groups: list[Any] = client.get(path).context["app_list"]
    return {group["name"]: [model["object_name"] for model in group["models"]] for group in groups}


def test_index__superuser__every_model_in_the_order_of_the_product(admin_client: Client) -> None:
    assert shown(admin_client) == {
        "Prompts": ["Prompt", "PromptVersion", "Label"],
        "Rollouts": ["Rollout", "Verdict"],
        "Webhooks": ["WebhookEndpoint", "Delivery"],
        "Calls": ["Call", "Score"],
        "Quality": ["Evaluator", "EvaluatorVersion", "Judging", "JudgingBudget", "Objective"],
        "Alerts": ["Alert", "Silence"],
        "Spending": ["SpendBudget", "PriceOverride"],
        "Access": ["ApiKey", "User", "Group", "AccessAttempt", "AccessFailureLog", "AccessLog"],
        "Audit": ["AuditEntry"],
        "Background work": ["Schedule", "Failure", "Success", "OrmQ"],
    }
    assert list(shown(admin_client)) == [
        "Prompts",
        "Rollouts",
        "Webhooks",
        "Calls",
        "Quality",
        "Alerts",
        "Spending",
        "Access",
        "Audit",
        "Background work",
    ]


def test_index__editor__what_an_editor_may_look_at(client: Client) -> None:
    user = User.objects.create_user("edith", is_staff=True)
    user.groups.add(Group.objects.get(name="editor"))
    client.force_login(user)

    assert shown(client) == {
        "Prompts": ["Prompt", "PromptVersion", "Label"],
        "Rollouts": ["Rollout", "Verdict"],
        "Calls": ["Call", "Score"],
        "Quality": ["Evaluator", "EvaluatorVersion", "Judging", "JudgingBudget", "Objective"],
        "Alerts": ["Alert", "Silence"],
        "Spending": ["SpendBudget", "PriceOverride"],
    }


def test_index__of_one_app__as_django_lists_it(admin_client: Client) -> None:
    assert list(shown(admin_client, "/admin/rollout/")) == ["Rollouts and webhooks"]
