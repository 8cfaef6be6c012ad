"""Evaluators in the admin: made, published and tried on a form, and set upon prompts."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from observability.models import Evaluator, EvaluatorVersion, Judging, JudgingBudget
from registry.models import AuditEntry
from tests import judges, make

pytestmark = pytest.mark.django_db

ADMIN = "/admin/observability"
LENGTH = {"kind": "check", "config": '{"check": "length", "most": 3}', "template": "", "notes": "first"}


def publish_page(evaluator: Evaluator) -> str:
    return f"{ADMIN}/evaluator/{evaluator.pk}/publish/"


def test_add__evaluator__made_by_the_service(admin_client: Client) -> None:
    admin_client.post(f"{ADMIN}/evaluator/add/", {"name": "tone", "score": "tone", "description": "kind or not"})

    assert Evaluator.objects.get().created_by == "user:admin"
    assert AuditEntry.objects.filter(action="evaluator.created").exists()


def test_publish__form__next_version_and_then_filled_in_with_it(admin_client: Client) -> None:
    evaluator = make.evaluator()

    answer = admin_client.post(publish_page(evaluator), LENGTH, follow=True)

    assert "Published brevity@1." in answer.content.decode()
    assert EvaluatorVersion.objects.get().config["most"] == 3
    form = admin_client.get(publish_page(evaluator)).context["form"]
    assert form.initial["config"]["most"] == 3


def test_publish__fault_of_the_config__at_its_field(admin_client: Client) -> None:
    evaluator = make.evaluator()

    answer = admin_client.post(publish_page(evaluator), {**LENGTH, "config": '{"check": "length"}'})

    assert answer.context["form"].errors["config"] == ["config.most: expected least, most or both"]
    assert not EvaluatorVersion.objects.exists()


def test_try__judge_of_the_form__says_and_stores_nothing(admin_client: Client, settings: Any) -> None:
    evaluator = make.evaluator("faithfulness")
    make.version(make.prompt("judge-faithfulness"), template="{{ output }} from {{ documents }}?")
    told = {"kind": "judge", "config": '{"model": "gpt-4o-mini"}', "template": "judge-faithfulness@1.0", "notes": ""}
    with judges.provider() as judge:
        settings.JUDGE_URL = judge.url
        judge.says(score=0.4, reason="<b>another</b> author")

        answer = admin_client.post(
            publish_page(evaluator), {**told, "output": "Emily", "documents": "Emma\n\nby Jane", "try": "Try"}
        )

    page = answer.content.decode()
    assert "0.4" in page
    assert "&lt;b&gt;another&lt;/b&gt; author" in page
    assert judge.asked[0].text == "Emily from [1] Emma\n\n[2] by Jane?"
    assert not EvaluatorVersion.objects.exists()


def test_try__judge_that_is_down__why_there_is_no_score(admin_client: Client, settings: Any) -> None:
    settings.JUDGE_URL = judges.nobody()
    version = make.judge_version()

    answer = admin_client.post(
        publish_page(version.evaluator),
        {
            "kind": "judge",
            "config": '{"model": "m"}',
            "template": "judge-faithfulness@1.0",
            "output": "Emily",
            "try": "Try",
        },
    )

    assert "No score: unreachable" in answer.content.decode()


def test_publish__without_the_right__403(client: Client) -> None:
    user = User.objects.create_user("vera", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_evaluator"))
    client.force_login(user)
    evaluator = make.evaluator()

    assert client.get(f"{ADMIN}/evaluator/{evaluator.pk}/change/").status_code == 200
    assert client.post(publish_page(evaluator), LENGTH).status_code == 403
    assert not EvaluatorVersion.objects.exists()


def test_judging__added_changed_and_deleted__by_the_service(admin_client: Client) -> None:
    prompt, version = make.prompt(), make.evaluator_version(check="length", most=9)
    told = {"prompt": prompt.pk, "evaluator": version.evaluator.pk, "share_bp": 300, "canary_share_bp": 10_000}

    admin_client.post(f"{ADMIN}/judging/add/", {**told, "active": "on"})
    judging = Judging.objects.get()
    admin_client.post(f"{ADMIN}/judging/{judging.pk}/change/", {"share_bp": 400, "canary_share_bp": 9_000})
    judging.refresh_from_db()
    assert (judging.share_bp, judging.canary_share_bp, judging.active) == (400, 9_000, False)
    admin_client.post(f"{ADMIN}/judging/{judging.pk}/delete/", {"post": "yes"})

    assert not Judging.objects.exists()
    actions = AuditEntry.objects.filter(action__startswith="judging.").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["judging.set", "judging.set", "judging.removed"]


def test_judging__evaluator_without_a_version__refused_with_why(admin_client: Client) -> None:
    told = {"prompt": make.prompt().pk, "evaluator": make.evaluator().pk, "share_bp": 300, "canary_share_bp": 300}

    answer = admin_client.post(f"{ADMIN}/judging/add/", told, follow=True)

    assert "Publish a version of brevity first" in answer.content.decode()
    assert not Judging.objects.exists()


def test_budget__added_without_a_bound__by_the_service(admin_client: Client) -> None:
    prompt = make.prompt()

    admin_client.post(f"{ADMIN}/judgingbudget/add/", {"prompt": prompt.pk, "calls_a_day": "", "usd_a_day": "0.5"})

    budget = JudgingBudget.objects.get()
    assert (budget.calls_a_day, budget.usd_a_day) == (None, Decimal("0.5"))


def test_lists__rows__readable(admin_client: Client) -> None:
    version = make.evaluator_version(check="length", most=9)
    make.judging(make.prompt(), version)

    for model in ("evaluator", "evaluatorversion", "judging", "judgingbudget"):
        assert admin_client.get(f"{ADMIN}/{model}/").status_code == 200
    assert "brevity@1 (check)" in admin_client.get(f"{ADMIN}/evaluator/").content.decode()
    assert "&quot;most&quot;: 9" in admin_client.get(f"{ADMIN}/evaluatorversion/{version.pk}/change/").content.decode()
