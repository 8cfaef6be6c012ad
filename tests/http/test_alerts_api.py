"""GET /api/v1/alerts, and acknowledging, silencing and unsilencing one."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from common.clock import now
from observability.models import Alert, AlertKind, Severity
from observability.selectors.alerts import open_by_kind
from observability.services import alerts
from registry import services as registry
from registry.models import Event
from tests.make import ANNA

pytestmark = pytest.mark.django_db

Ask = Callable[..., Any]


@pytest.fixture
def ask(client: Client) -> Ask:
    """Any request below /api/v1/alerts, with a key that may write; `key` for another key."""
    _, writing = registry.issue_key(name="on call", scopes=["write"], actor=ANNA)

    def ask(method: str, below: str = "", body: Any = None, key: str = writing) -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        address = f"/api/v1/alerts{below}"
        return client.generic(
            method, address, "" if body is None else json.dumps(body), "application/json", headers=headers
        )

    return ask


def fire(prompt: str = "order-extractor", label: str = "production", kind: AlertKind = AlertKind.BASELINE) -> Alert:
    return alerts.fire(
        kind=kind,
        cause=f"{kind}:{prompt}:{label}:faithfulness",
        severity=Severity.CRITICAL,
        summary=f"faithfulness of {prompt} fell from 0.94 to 0.87",
        data={"now": 0.87, "baseline": 0.94},
        prompt=prompt,
        label=label,
    )


def test_list__open_ones_newest_first__resolved_on_request(ask: Ask) -> None:
    old, over, new = fire("a"), fire("b"), fire("c")
    alerts.resolve(cause=over.cause)

    def ids(query: str) -> list[str]:
        return [alert["id"] for alert in ask("GET", query).json()["items"]]

    assert ids("") == [new.pk, old.pk]
    assert ids("?state=resolved") == [over.pk]
    assert ids("?state=all") == [new.pk, over.pk, old.pk]


def test_list__filters__those_alone(ask: Ask) -> None:
    mine = fire("a", "staging", AlertKind.OBJECTIVE)
    fire("a", "production", AlertKind.OBJECTIVE)
    fire("b", "staging", AlertKind.OBJECTIVE)
    fire("a", "staging", AlertKind.BASELINE)

    found = ask("GET", "?prompt=a&label=staging&kind=objective").json()["items"]

    assert [alert["id"] for alert in found] == [mine.pk]


def test_list__in_pages__each_once(ask: Ask) -> None:
    expected = [fire(name).pk for name in "abcde"][::-1]

    first = ask("GET", "?limit=3").json()
    second = ask("GET", f"?limit=3&cursor={first['next']}").json()

    assert [alert["id"] for alert in first["items"] + second["items"]] == expected
    assert second["next"] is None


@pytest.mark.parametrize(("query", "field"), [("?kind=fire", "kind"), ("?since=1", "since"), ("?state=", "state")])
def test_list__what_there_is_not__refused_by_name(ask: Ask, query: str, field: str) -> None:
    answer = ask("GET", query)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_detail__says_it_whole(ask: Ask) -> None:
    alert = fire()

    found = ask("GET", f"/{alert.pk}").json()

    assert found["cause"] == "baseline:order-extractor:production:faithfulness"
    assert (found["prompt"], found["label"], found["severity"]) == ("order-extractor", "production", "critical")
    assert found["details"] == {"now": 0.87, "baseline": 0.94}
    assert (found["notices"], found["silenced_until"], found["resolved_at"]) == (1, None, None)


def test_acknowledge__then_again__told_by_whom_then_409(ask: Ask) -> None:
    alert = fire()

    first = ask("POST", f"/{alert.pk}/acknowledge", {"reason": "on it"})
    second = ask("POST", f"/{alert.pk}/acknowledge", {})

    assert (first.status_code, first.json()["acknowledged_by"]) == (200, "key:on call")
    assert (second.status_code, second.json()["code"]) == (409, "alert_acknowledged")


def test_silence_and_unsilence__seen_in_the_alert_and_told_once_each(ask: Ask) -> None:
    alert, until = fire(), now() + timedelta(hours=2)

    silenced = ask("POST", f"/{alert.pk}/silence", {"until": until.isoformat(), "reason": "a move"})
    open_again = ask("POST", f"/{alert.pk}/unsilence", {})
    twice = ask("POST", f"/{alert.pk}/unsilence", {})

    assert silenced.json()["silenced_until"] == until.isoformat().replace("+00:00", "Z")
    assert open_again.json()["silenced_until"] is None
    assert (twice.status_code, twice.json()["code"]) == (409, "not_silenced")
    told = Event.objects.order_by("sequence").values_list("type", flat=True)
    assert list(told) == ["alert.fired", "alert.silenced", "alert.unsilenced"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "a move"}, "until"),
        ({"until": "2026-01-01T00:00:00Z", "reason": "a move"}, "until"),
        ({"until": "3000-01-01T00:00:00Z", "reason": "a move"}, "until"),
        ({"until": "2026-01-01T00:00:00Z"}, "reason"),
    ],
)
def test_silence__without_an_end_or_a_reason_or_too_long__422_that_names_it(ask: Ask, body: Any, field: str) -> None:
    answer = ask("POST", f"/{fire().pk}/silence", body)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_key_of_one_prefix_and_label__nothing_of_others(ask: Ask) -> None:
    mine, others = fire("shop-orders", "staging"), [fire("shop-orders"), fire("billing", "staging"), fire("", "")]
    _, key = registry.issue_key(name="shop", scopes=["write"], prompt_prefix="shop-", labels=["staging"], actor=ANNA)

    listed = ask("GET", "?state=all", key=key).json()["items"]
    answers = [ask("POST", f"/{other.pk}/acknowledge", {}, key=key) for other in others]

    assert [alert["id"] for alert in listed] == [mine.pk]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "unknown_alert")] * 3
    assert not Alert.objects.exclude(acknowledged_at=None).exists()


def test_metrics__every_kind_and_severity__with_how_many_are_open(client: Client) -> None:
    fire("a")
    fire("b")
    alerts.resolve(cause=fire("c").cause)

    text = client.get("/metrics").content.decode()

    assert 'serinus_alerts_open{kind="baseline",severity="critical"} 2.0' in text
    assert 'serinus_alerts_open{kind="objective",severity="warning"} 0.0' in text
    assert dict(open_by_kind()) == {("baseline", "critical"): 2}
