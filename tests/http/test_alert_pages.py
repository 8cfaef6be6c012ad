"""Alerts on the pages: what needs somebody first, everything about one, and handling it with the right to."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from common.clock import now
from observability.models import Alert, AlertKind, Severity, Silence
from observability.services import alerts
from rollout.pages.alerts_words import WORDS
from tests.make import ANNA
from tests.pages import html_of, links, queries_of, read_strictly, section, words

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("anna"))
    return client


def somebody(client: Client, *rights: str) -> Client:
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return client


def fire(rest: str = "faithfulness", *, kind: AlertKind = AlertKind.BASELINE, **fields: Any) -> Alert:
    usual: dict[str, Any] = {
        "severity": Severity.WARNING,
        "summary": f"The {rest} of order-extractor fell.",
        "data": {"now": 0.87, "seven_days": 0.94, "causes": [{"model": "gpt-5-mini", "since": "10:40"}]},
        "prompt": "order-extractor",
        "label": "production",
    }
    return alerts.fire(kind=kind, cause=f"{kind}:order-extractor:production:{rest}", **{**usual, **fields})


def silence(alert: Alert) -> None:
    alerts.silence(alert_id=alert.pk, until=now() + timedelta(hours=2), reason="a move", actor=ANNA)


def test_every_kind__has_words() -> None:
    assert set(WORDS) == set(AlertKind)


def test_status__open_alerts__the_worst_first_and_silenced_ones_at_the_end() -> None:
    silence(fire("latency", severity=Severity.CRITICAL))
    fire("faithfulness")
    fire("error rate", severity=Severity.CRITICAL)

    page = Client().get("/")

    shown = section(page, "attention")
    assert shown.index("The error rate") < shown.index("The faithfulness") < shown.index("Silenced:")
    assert "The latency of" not in shown
    assert "2 alerts are open" in words(page)
    read_strictly(page)


def test_status__only_silenced__nothing_needs_attention() -> None:
    silence(fire())

    page = Client().get("/")

    assert "(1)" not in html_of(page).split("</title>")[0]
    assert "alert is open" not in words(page)


def test_status__acknowledged__says_by_whom_to_people(anna: Client) -> None:
    alerts.acknowledge(alert_id=fire().pk, reason="asking the provider", actor=ANNA)

    assert "The faithfulness of order-extractor fell. Held for" in section(anna.get("/"), "attention")
    assert "acknowledged by" in section(anna.get("/"), "attention")
    assert "acknowledged by" not in section(Client().get("/"), "attention")


def test_status__spend_and_a_stranger__not_how_much(anna: Client) -> None:
    fire("user", kind=AlertKind.SPEND_BUDGET, summary="1234 USD were spent.")

    assert "1234 USD" not in words(Client().get("/"))
    assert "1234 USD" in words(anna.get("/"))


def test_status__many__bounded_with_the_same_queries() -> None:
    fire("0")
    one = queries_of(Client(), "/")
    for number in range(1, 30):
        fire(str(number))

    assert queries_of(Client(), "/") == one
    assert "20 more alerts" in words(Client().get("/"))


def test_list__of_a_kind_and_state__those(anna: Client) -> None:
    fire("faithfulness")
    fire("0", kind=AlertKind.JUDGE_DRIFT, summary="The judge scores lower.")
    alerts.resolve(cause="judge_drift:order-extractor:production:0")

    assert "The judge scores lower." not in words(anna.get("/alerts"))
    assert "The faithfulness" not in words(anna.get("/alerts?kind=objective"))
    assert "The judge scores lower." in words(anna.get("/alerts?state=resolved"))
    read_strictly(anna.get("/alerts"))


def test_list__nothing__says_so(anna: Client) -> None:
    assert "Nothing is wrong that Serinus watches." in words(anna.get("/alerts"))


@pytest.mark.parametrize("address", ["/alerts", "/alerts/alr_0", "/alerts/alr_0/silence"])
def test_stranger__led_to_the_login(address: str) -> None:
    assert Client().get(address)["Location"].startswith("/admin/login/")


def test_page__everything_about_it(anna: Client) -> None:
    alert = fire()
    alerts.acknowledge(alert_id=alert.pk, reason="asking the provider", actor=ANNA)

    page = anna.get(f"/alerts/{alert.pk}")

    assert "The faithfulness of order-extractor fell." in words(page)
    assert WORDS[AlertKind.BASELINE].what_to_do in words(page)
    assert "model: gpt-5-mini" in section(page, "causes")
    assert "seven days" in section(page, "numbers")
    assert "asking the provider" in section(page, "notices")
    assert "acknowledged by anna" in words(page)
    assert "docs/how-to/alerts/baseline.md" in words(page)
    assert f"/alerts/{alert.pk}/silence" in links(page)
    assert f"/alerts/{alert.pk}/acknowledge" not in links(page)
    read_strictly(page)


def test_page__without_the_right__says_which(client: Client) -> None:
    alert = fire()

    page = somebody(client).get(f"/alerts/{alert.pk}")

    assert "takes the right to acknowledge and silence alerts" in words(page)
    assert f"/alerts/{alert.pk}/silence" not in links(page)
    assert client.get(f"/alerts/{alert.pk}/silence").status_code == 403
    assert client.post(f"/alerts/{alert.pk}/silence", {"reason": "x", "hours": "1"}).status_code == 403
    assert not Silence.objects.exists()


def test_acts__with_the_right__done_by_the_person(client: Client) -> None:
    alert = fire()
    rita = somebody(client, "handle_alert")

    for act, fields in (("acknowledge", {}), ("silence", {"hours": "720"})):
        read_strictly(rita.get(f"/alerts/{alert.pk}/{act}"))
        done = rita.post(f"/alerts/{alert.pk}/{act}", {"reason": "known", **fields})
        assert done["Location"] == f"/alerts/{alert.pk}"

    alert.refresh_from_db()
    assert alert.acknowledged_by == "user:rita"
    assert Silence.objects.get().created_by == "user:rita"
    rita.post(f"/alerts/{alert.pk}/unsilence", {"reason": "over"})
    assert not Silence.objects.exists()


def test_act__no_reason_or_overtaken__nothing_is_changed(anna: Client) -> None:
    alert = fire()

    page = anna.post(f"/alerts/{alert.pk}/silence", {"reason": "", "hours": "1"})
    assert "Nothing was changed. Reason: This field is required." in words(page)

    alerts.resolve(cause=alert.cause)
    page = anna.post(f"/alerts/{alert.pk}/acknowledge", {"reason": "mine"})
    assert "is over since" in words(page)
    assert "not possible in the state" in words(page)


@pytest.mark.parametrize("address", ["/alerts/alr_0", "/alerts/alr_0/silence"])
def test_unknown__not_found(anna: Client, address: str) -> None:
    assert anna.get(address).status_code == 404


def test_admin__alerts_and_silences__to_be_read(anna: Client) -> None:
    alert = fire()
    silence(alert)

    assert "The faithfulness" in words(anna.get("/admin/observability/alert/"))
    assert "a move" in words(anna.get("/admin/observability/silence/"))
    assert anna.get("/admin/observability/alert/add/").status_code == 403


def test_alert__numbers__in_the_units_that_their_names_tell(anna: Client) -> None:
    told = {"budget": 7, "budget_usd": "0.50", "share": 1.864, "target_bp": 9_500, "ends_at": "2025-11-27T00:00:00Z"}
    alert = fire("user", kind=AlertKind.SPEND_BUDGET, data={**told, "burn_rates": [{"window_s": 3600, "n": 4}]})

    numbers = section(anna.get(f"/alerts/{alert.pk}"), "numbers")

    for each in ("budget $0.500", "share 186.4 %", "target 95 %", "ends at 27 Nov 2025 00:00:00", "window: 1 h"):
        assert each in numbers
    assert "budget 7" not in numbers


def test_alert__levels_and_times__in_the_units_of_the_metric_and_as_pages_tell_them(anna: Client) -> None:
    told = {"metric": "error_rate", "now": 0.12, "baseline": 0.02, "since": "2025-01-31T12:30:00+00:00"}
    causes = [{"kind": "model", "at": "2025-01-31T12:20:00Z", "share_before": 0.1, "share_after": 0.9}]
    alert = fire(data={**told, "causes": causes, "rates": [{"window_s": 259_200, "at": "10:40"}]})

    page = anna.get(f"/alerts/{alert.pk}")

    numbers = section(page, "numbers").replace("\N{NARROW NO-BREAK SPACE}", " ")
    for each in ("now 12.0 %", "baseline 2.0 %", "since 31 Jan 2025 12:30:00", "window: 3 d", "at: 10:40"):
        assert each in numbers
    assert '<time datetime="2025-01-31T12:30:00Z"' in page.content.decode()
    for each in ("at: 2025-01-31 12:20 UTC", "share before: 10.0 %", "share after: 90.0 %"):
        assert each in section(page, "causes")
