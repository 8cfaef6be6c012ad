"""What the page of a version says of its usage, and the ways from it and from a prompt's page."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils.html import strip_tags

from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.services.scores import record_scores
from registry.models import PromptVersion
from rollout import services
from rollout.models import Rollout
from tests import rollouts as given
from tests import traces
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna(client: Client) -> Client:
    """A person who may do everything."""
    client.force_login(User.objects.create_superuser("anna"))
    return client


def page_of(version: PromptVersion) -> str:
    return f"/admin/registry/promptversion/{version.pk}/change/"


def text_of(page: Any) -> str:
    return " ".join(strip_tags(page.content.decode().replace("<", " <")).split())


def rolled_back() -> Rollout:
    rollout = given.rollout()
    return services.rollback(rollout_id=rollout.pk, reason="customers complain", actor=ANNA)


def test_usage__labels_rollouts_calls_and_scores(anna: Client) -> None:
    rollout = rolled_back()
    stamp = traces.CHAT | {
        "gen_ai.prompt.name": "order-extractor",
        "gen_ai.prompt.version": "v1.0",
        "gen_ai.request.model": "house-model",
        "gen_ai.usage.cost": 0.25,
    }
    spans = [traces.span(stamp, number=number, trace=number, failed=number == 0) for number in range(4)]
    writer.store(decode_protobuf(traces.body(*spans), WANTED).spans)
    record_scores(scores=[NewScore("tone", 1.0, "judge", span_id=traces.span_id(number).hex()) for number in range(4)])

    control = anna.get(page_of(rollout.control))
    canary = anna.get(page_of(rollout.canary))

    assert "production points here since" in text_of(control)
    assert "4 calls in the last 7 days: 25.0" in text_of(control)
    assert "$0.250 a call" in text_of(control)
    assert "tone judge 100.0 % (" in text_of(control)  # only 0 and 1: a share, as on the prompt page
    assert "0 calls in the last 7 days." in text_of(canary)
    for page, arm in ((control, "control"), (canary, "canary")):
        assert f'href="/rollouts/{rollout.pk}"' in page.content.decode()
        assert f"production {arm} Rolled back" in text_of(page)


def test_usage__nothing_known__says_so(anna: Client) -> None:
    version = given.prompt(versions=3).versions.get(ordinal=2)

    page = text_of(anna.get(page_of(version)))

    assert "0 calls in the last 7 days." in page
    assert "No rollout had a part in it." in page


def test_ways__to_start_a_rollout_and_to_how_it_does(anna: Client) -> None:
    version = given.prompt().versions.get(ordinal=2)

    of_version = anna.get(page_of(version)).content.decode()
    of_prompt = anna.get(f"/admin/registry/prompt/{version.prompt_id}/change/").content.decode()

    assert "/admin/rollout/rollout/add/?prompt=order-extractor&amp;canary=v1.1" in of_version
    assert '/admin/rollout/rollout/add/?prompt=order-extractor"' in of_prompt
    assert "/insights/prompts/order-extractor" in of_version
    assert "/insights/prompts/order-extractor" in of_prompt


def test_ways__without_the_right_to_start__none_to_a_start(client: Client) -> None:
    version = given.prompt().versions.get(ordinal=2)
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)

    for path in (page_of(version), f"/admin/registry/prompt/{version.prompt_id}/change/"):
        page = client.get(path)
        assert page.status_code == 200
        assert "/rollout/rollout/add/" not in page.content.decode()


def test_usage__many_rollouts__the_newest_ones_in_few_queries(anna: Client, django_assert_max_num_queries: Any) -> None:
    rollout = rolled_back()
    for _ in range(11):
        tried = services.create_rollout(
            prompt_name="order-extractor", canary="1.1", plan=given.PLAN, force_reason="again", actor=ANNA
        )
        services.cancel(rollout_id=tried.pk, reason="no", actor=ANNA)

    with django_assert_max_num_queries(20):
        page = anna.get(page_of(rollout.canary))

    assert page.content.decode().count('href="/rollouts/rol_') == 10
    assert "All rollouts of order-extractor" in text_of(page)
