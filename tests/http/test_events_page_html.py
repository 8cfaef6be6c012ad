"""The page of events, as a browser gets it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from observability.models import Alert, AlertKind, Severity
from observability.services import alerts
from registry import events, services
from registry.events import EVENT_TYPES
from registry.models import Event
from rollout import services as rollouts
from rollout.webhooks.services import create_endpoint, disable_endpoint
from tests import make
from tests import rollouts as given
from tests.pages import html_of, links, queries_of, read_strictly, rows, words

NOW = datetime(2026, 1, 31, 14, 30, tzinfo=UTC)
PATH = "/insights/events"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def numbers(page: Any) -> list[int]:
    return [int(number) for number in rows(page)]


def handled_alert() -> Alert:
    """Of spend, and silenced by anna for a reason of her own."""
    alert = alerts.fire(
        kind=AlertKind.SPEND_BUDGET,
        cause="spend_budget:prompt:order-extractor:daily",
        severity=Severity.WARNING,
        summary="order-extractor has spent $412 of $500.",
        data={"spent_usd": "412"},
        prompt="order-extractor",
    )
    until = NOW + timedelta(hours=2)
    alerts.silence(alert_id=alert.pk, until=until, reason="the merger is being tested", actor=make.ANNA)
    alerts.acknowledge(alert_id=alert.pk, reason="I ask the buyers", actor=make.ANNA)
    return alert


def test_events__no_data__says_so(client: Client) -> None:
    page = client.get(PATH)

    read_strictly(page)
    assert "Nothing has happened yet" in words(page)


def test_events__of_a_rolled_back_prompt__in_words_the_newest_first(client: Client) -> None:
    rollout = given.rollout()
    given.observe(rollout, "hallucination", control=(1900, 34), canary=(100, 30))
    given.look_now(rollout)
    services.archive_prompt(prompt=rollout.prompt, actor=make.ANNA)

    page = client.get(PATH)

    read_strictly(page)
    assert list(rows(page).values()) == [
        "6 14:30:00 order-extractor archived by anna: it is served no longer prompt.archived",
        "5 14:30:00 order-extractor v1.1 over v1.0 on production is rolled back: everyone gets v1.0 again, "
        "by Serinus (evaluator) rollout.rolled_back",
        "4 14:30:00 order-extractor v1.1 over v1.0 on production has started, by anna rollout.started",
        "3 14:30:00 order-extractor production was set to v1.0 by anna label.moved",
        "2 14:30:00 order-extractor v1.1 was published by anna version.published",
        "1 14:30:00 order-extractor v1.0 was published by anna version.published",
    ]
    assert f"/rollouts/{rollout.pk}" in links(page)
    assert "/insights/prompts/order-extractor" in links(page)


def test_events__what_a_person_gave_as_reason_of_a_transition__is_told(client: Client) -> None:
    rollout = given.rollout()
    rollouts.pause(rollout_id=rollout.pk, actor=make.ANNA, reason="too <early>")

    page = client.get(PATH)

    assert "is paused, by anna: “too <early>”" in words(page)
    assert "<early>" not in html_of(page)


def test_events__of_no_prompt__without_one(client: Client) -> None:
    endpoint = create_endpoint(url="https://hooks.example/secret-path", actor=make.ANNA)
    disable_endpoint(endpoint_id=endpoint.pk, actor=make.ANNA)

    page = client.get(PATH)

    assert list(rows(page).values()) == [
        "1 14:30:00 - a webhook gets nothing any more: endpoint disabled webhook.disabled"
    ]
    assert "secret-path" not in html_of(page)


def test_events__alerts__strangers_read_of_what_kind_and_neither_what_is_spent_nor_why(client: Client) -> None:
    handled_alert()

    page = client.get(PATH)

    assert "an alert fired: A soft budget is nearly or wholly spent" in words(page)
    assert "an alert is silenced: A soft budget is nearly or wholly spent" in words(page)
    assert not any(each in html_of(page) for each in ("412", "merger", "buyers", "anna"))
    assert not any(address.startswith("/alerts/") for address in links(page))


def test_events__alerts__people_read_all_of_them_and_are_led_there(client: Client) -> None:
    alert = handled_alert()
    client.force_login(User.objects.create_user("ben", is_staff=True))

    page = client.get(PATH)

    assert "order-extractor has spent $412 of $500. (warning)" in words(page)
    assert "(silenced by anna until 2026-01-31 16:30 UTC): “the merger is being tested”" in words(page)
    assert "(acknowledged by anna): “I ask the buyers”" in words(page)
    assert f"/alerts/{alert.pk}" in links(page)


@pytest.mark.parametrize("type_", EVENT_TYPES)
@pytest.mark.parametrize("data", [{}, {"rollout": None, "transition": []}])
def test_events__of_each_type_with_nothing_in_it__readable(client: Client, type_: str, data: dict[str, Any]) -> None:
    events.record(type=type_, prompt="order-extractor", data=data)

    page = client.get(PATH)

    read_strictly(page)
    assert type_ in words(page)


def test_events__before__pages_to_the_oldest(client: Client) -> None:
    for _ in range(120):
        events.record(type="prompt.archived", prompt="order-extractor", data={"actor": "user:anna"})

    first = client.get(PATH)
    second = client.get(PATH, {"before": 71})
    last = client.get(PATH, {"before": 21})

    assert numbers(first) == [*range(120, 70, -1)]
    assert "?before=71" in links(first)
    assert numbers(second) == [*range(70, 20, -1)]
    assert numbers(last) == [*range(20, 0, -1)]
    assert "Older ones" not in words(last)
    assert "The newest" in words(last)


def test_events__type_and_prompt__only_those_and_pages_keep_them(client: Client) -> None:
    for number in range(60):
        events.record(type="prompt.archived", prompt="one", data={})
        events.record(type="prompt.unarchived", prompt="one" if number < 55 else "other", data={})

    page = client.get(PATH, {"type": "prompt.unarchived", "prompt": "one"})

    assert numbers(page) == [*range(110, 10, -2)]
    assert "?type=prompt.unarchived&prompt=one&before=12" in links(page)
    assert "<option selected>prompt.unarchived</option>" in html_of(page)


@pytest.mark.parametrize(
    "query",
    [
        {"before": "x"},
        {"before": "-1"},
        {"before": "9" * 50},
        {"type": "<script>alert(1)</script>"},
        {"type": "rollout"},
    ],
)
def test_events__wrong_parameter__as_if_it_were_not_there(client: Client, query: dict[str, str]) -> None:
    make.prompt(), make.version(make.prompt("other"))

    page = client.get(PATH, query)

    read_strictly(page)
    assert numbers(page) == [1]


@pytest.mark.parametrize("prompt", ["<script>alert(1)</script>", "'; --", "x" * 5000])
def test_events__prompt_that_there_is_not__says_so(client: Client, prompt: str) -> None:
    make.version(make.prompt())

    page = client.get(PATH, {"prompt": prompt})

    read_strictly(page)
    assert "No event is like that." in words(page)
    assert "<script" not in html_of(page)


def test_events__number_of_queries__the_same_for_any_number(client: Client) -> None:
    none = queries_of(client, PATH)
    given.rollout()
    for _ in range(60):
        events.record(type="prompt.archived", prompt="order-extractor", data={})

    assert queries_of(client, PATH) == none == 1
    assert Event.objects.count() > 60
