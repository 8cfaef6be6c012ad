"""Pages of figures while the worker has not added the hours up: the same figures, by as many statements as ever."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from observability import rollups
from observability.models import StaleHour
from observability.selectors.hours import HOUR
from observability.selectors.rolled import MOST_STRETCHES
from registry.models import PromptVersion
from tests.observed import crowd
from tests.pages import queries_of, rows

NOW = datetime(2026, 1, 31, 14, 30, tzinfo=UTC)
FOUR_WEEKS_H = tuple(0.1 + 31 * number for number in range(21))
OF_A_STRETCH = 6  # statements for the figures of versions, the most that any page needs
PROMPT = "/insights/prompts/order-extractor"
PROMPT_MONTH = f"{PROMPT}?days=28"
PAGES = [
    *(f"{PROMPT}?days=1", f"{PROMPT}?days=7", PROMPT_MONTH),
    "/insights/prompts",
    *(f"/insights/spend?days=28&by={by}" for by in ("user", "prompt")),
    "/",
    "version",
]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def anna(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("anna"))
    return client


def asked(client: Client, page: str) -> int:
    """Statements of the page; the first request is for what a process reads once."""
    if page == "version":
        page = f"/admin/registry/promptversion/{PromptVersion.objects.earliest('pk').pk}/change/"
    client.get(page)
    cache.clear()
    return queries_of(client, page)


def test_pages__nothing_is_rolled_up__a_few_statements_more_however_many_hours(anna: Client) -> None:
    crowd(80, ages_h=FOUR_WEEKS_H)

    live = {page: asked(anna, page) for page in PAGES}
    rollups.roll_up()
    rolled = {page: asked(anna, page) for page in PAGES}

    assert {page for page in PAGES if live[page] > rolled[page] + 2 * OF_A_STRETCH} == set()


def test_pages__many_hours_have_changed__read_in_few_stretches(anna: Client) -> None:
    crowd(80, ages_h=FOUR_WEEKS_H)
    rollups.roll_up()
    rolled = {page: asked(anna, page) for page in PAGES}
    StaleHour.objects.bulk_create(StaleHour(hour=NOW.replace(minute=0) - 2 * number * HOUR) for number in range(2, 336))

    changed = {page: asked(anna, page) for page in PAGES}

    assert {page for page in PAGES if changed[page] > rolled[page] + 2 * OF_A_STRETCH * MOST_STRETCHES} == set()
    assert changed[PROMPT_MONTH] > rolled[PROMPT_MONTH]


@pytest.mark.parametrize("by", ["user", "prompt"])
def test_spend__some_hours_have_changed__adds_up_as_when_all_are_rolled_up(anna: Client, by: str) -> None:
    crowd(80, ages_h=FOUR_WEEKS_H)
    page = f"/insights/spend?days=28&by={by}"
    live = rows(anna.get(page), "spenders")
    rollups.roll_up()
    rolled = rows(anna.get(page), "spenders")
    StaleHour.objects.bulk_create(
        StaleHour(hour=NOW.replace(minute=0) - timedelta(hours=31 * number)) for number in range(1, 21, 3)
    )

    changed = rows(anna.get(page), "spenders")

    assert live == rolled == changed
