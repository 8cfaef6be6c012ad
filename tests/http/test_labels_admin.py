"""Labels in the admin: moved, with their whole history, and back to what they pointed at."""

import html
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from registry import services
from registry.models import Label, Prompt
from tests import make
from tests.browsing import fields_of, page, send, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> Client:
    """A person who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("anna"))
    return client


@pytest.fixture
def prompt() -> Prompt:
    return make.prompt()


def test_label__moved_with_a_reason__shown_among_its_moves(anna: Client, prompt: Prompt) -> None:
    make.label(make.version(prompt, "2.2"))
    better = make.version(prompt, "2.3")

    answer = send(anna, page(prompt, "label"), version=better.pk, reason="2.3 is better")

    assert "Moved order-extractor:production to v2.3." in text_of(answer)
    assert "2.3 is better" in text_of(answer)
    assert Label.objects.get(name="production").version == better


def test_label__from_its_own_page__form_knows_the_label(anna: Client, prompt: Prompt) -> None:
    label = make.label(make.version(prompt, "2.2"), "staging")

    shown = anna.get(f"/admin/registry/label/{label.pk}/change/").content.decode()

    (way,) = re.findall(r'href="([^"]+/label/\?label=[^"]+)"', shown)
    assert fields_of(anna, html.unescape(way))["label"] == "staging"
    assert 'name="_save"' not in shown


def test_label__held__refused_in_words(anna: Client, prompt: Prompt) -> None:
    label = make.label(make.version(prompt, "2.2"))
    better = make.version(prompt, "2.3")
    services.hold_label(label_id=label.pk, rollout_id="rol_1")

    answer = send(anna, page(prompt, "label"), version=better.pk, reason="2.3 is better")

    assert answer.status_code == 200
    assert "order-extractor:production is held by the active rollout rol_1: end it first" in text_of(answer)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"label": "latest"}, "latest moves by itself"),
        ({"label": "Production"}, "expected 1 to 64 of a-z"),
        ({"reason": "  "}, "This field is required"),
    ],
)
def test_label__wrong_input__told_at_the_field(anna: Client, prompt: Prompt, typed: Any, told: str) -> None:
    version = make.version(prompt, "2.2")

    answer = send(anna, page(prompt, "label"), **{"version": version.pk, "reason": "go"} | typed)

    assert told in text_of(answer)
    assert list(answer.context["form"].errors) == list(typed)


def test_label__version_of_another_prompt__refused(anna: Client, prompt: Prompt) -> None:
    foreign = make.version(make.prompt("other"))

    answer = send(anna, page(prompt, "label"), version=foreign.pk, reason="go")

    assert list(answer.context["form"].errors) == ["version"]
