"""The page of spending, as a browser gets it."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client

from observability import rollups
from observability.privacy import user_hash
from tests import make, traces
from tests.observed import crowd, ingest
from tests.pages import html_of, links, queries_of, read_strictly, rows, section, words

NOW = datetime(2026, 1, 31, 14, 30, tzinfo=UTC)
PATH = "/insights/spend"
TOKENS = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 1}
DIMENSIONS = ["user", "feature", "environment", "prompt", "model"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def reader(client: Client) -> Client:
    """Who may look at calls."""
    ben = User.objects.create_user("ben", is_staff=True)
    ben.user_permissions.add(Permission.objects.get(codename="view_call"))
    client.force_login(ben)
    return client


def spent(number: int, usd: float | None, *, age_h: float = 2, **attributes: Any) -> Any:
    cost = {} if usd is None else {"gen_ai.usage.cost": usd}
    return traces.span(traces.CHAT | cost | attributes, number=number, trace=number, age_s=age_h * 3600)


def test_spend__no_login__leads_to_it(client: Client) -> None:
    answer = client.get(f"{PATH}?by=user")

    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=/insights/spend%3Fby%3Duser")


def test_spend__account_that_the_admin_does_not_let_in__leads_to_the_login(client: Client) -> None:
    client.force_login(User.objects.create_user("carl"))

    assert client.get(PATH).status_code == 302


def test_spend__no_data__says_so(reader: Client) -> None:
    page = reader.get(PATH)

    read_strictly(page)
    assert "No call came in the last 7 days" in words(page)
    assert "<svg" not in html_of(page)


@pytest.mark.parametrize("by", DIMENSIONS)
@pytest.mark.parametrize("rolled", [False, True])
def test_spend__by_each_dimension__the_biggest_first_with_their_shares(reader: Client, by: str, rolled: bool) -> None:
    calls = crowd(200, ages_h=(0.1, 3, 30))
    if rolled:
        rollups.roll_up()

    page = reader.get(PATH, {"by": by})

    read_strictly(page)
    cost = {}
    for call in calls:
        value = {"user": call.user and user_hash(call.user)[:8], "model": "house-model"}.get(
            by, getattr(call, by, None)
        )
        cost[value] = cost.get(value, 0) + (call.cost_usd or 0)
    found = rows(page, "spenders")
    assert [name for name in found if name != "none named"] == sorted(
        cost.keys() - {None}, key=lambda value: -cost[value]
    )
    for value, usd in cost.items():
        assert f" ${usd:.2f} {100 * usd / sum(cost.values()):.1f} %" in found[value or "none named"]
    assert f"${sum(cost.values()):.2f} in the last 7 days" in words(page)


def test_spend__biggest_spender__in_the_first_sentence(reader: Client) -> None:
    ingest(spent(1, 0.75, feature="checkout"), spent(2, 0.25, feature="search"))

    page = reader.get(f"{PATH}?by=feature")

    assert "$1.00 in the last 7 days, 75.0 % of it by feature checkout" in words(page)


def test_spend__users__by_the_first_characters_of_their_hash_and_never_by_id(reader: Client) -> None:
    ingest(spent(1, 0.75, **{"user.id": "anna@example.org"}))
    whole = user_hash("anna@example.org")

    page = reader.get(f"{PATH}?by=user")

    assert list(rows(page, "spenders")) == [whole[:8]]
    assert whole not in html_of(page)
    assert "anna@" not in html_of(page)


def test_spend__who_may_not_look_at_calls__is_neither_offered_nor_shown_users(client: Client) -> None:
    client.force_login(User.objects.create_user("carl", is_staff=True))
    ingest(spent(1, 0.75, **{"user.id": "anna@example.org"}))

    page, refused = client.get(PATH), client.get(f"{PATH}?by=user")

    assert "by user" not in words(page)
    assert "by feature" in words(page)
    assert refused.status_code == 403
    assert user_hash("anna@example.org")[:8] not in html_of(refused)


def test_spend__days__window_and_line_of_each_day(reader: Client) -> None:
    ingest(*(spent(number, 1.0, age_h=age_h) for number, age_h in enumerate((1, 30, 500))))
    rollups.roll_up()

    week, month = reader.get(PATH), reader.get(f"{PATH}?days=28")

    assert "$2.00 in the last 7 days" in words(week)
    assert "$3.00 in the last 28 days" in words(month)
    assert "Cost and calls per day" in section(month, "days")


def test_spend__calls_without_a_price__said_with_the_models(reader: Client) -> None:
    ingest(
        spent(1, 0.5, **{"gen_ai.request.model": "known"}),
        spent(2, None, **TOKENS, **{"gen_ai.request.model": "qwen-3-max"}),
        spent(3, None, **TOKENS, **{"gen_ai.request.model": "qwen-3-max"}),
        spent(4, None, **{"gen_ai.request.model": "mute"}),
    )

    page = reader.get(PATH)

    told = "The cost of 3 calls is not known and in none of these sums: no price for qwen-3-max"
    assert told in words(page)
    assert "1 call told no model or no tokens" in words(page)
    assert "Add a price" not in words(page)


def test_spend__who_may_add_prices__is_led_to_the_form(reader: Client) -> None:
    User.objects.get().user_permissions.add(Permission.objects.get(codename="add_priceoverride"))
    ingest(spent(1, None, **TOKENS, **{"gen_ai.request.model": "qwen-3-max"}))

    assert "/admin/observability/priceoverride/add/" in links(reader.get(PATH))


def test_spend__calls_without_tokens__no_price_would_help_them(reader: Client) -> None:
    User.objects.get().user_permissions.add(Permission.objects.get(codename="add_priceoverride"))
    ingest(spent(1, None, **{"gen_ai.request.model": "gpt-4o-mini", "error.type": "timeout"}))

    page = reader.get(PATH)

    assert "The cost of 1 call is not known and in none of these sums; 1 call told no model or no tokens." in words(
        page
    )
    assert "price" not in words(page)
    assert "/admin/observability/priceoverride/add/" not in links(page)


def test_spend__every_call_priced__nothing_about_prices(reader: Client) -> None:
    ingest(spent(1, 0.5))

    assert "not known" not in words(reader.get(PATH)).replace("Cost not known", "")


def test_spend__no_cost_is_known__dashes_and_no_share(reader: Client) -> None:
    ingest(spent(1, None, feature="checkout"))

    page = reader.get(f"{PATH}?by=feature")

    read_strictly(page)
    assert rows(page, "spenders")["checkout"] == "checkout - - - 1 0 in, 0 out 1"


def test_spend__prompts__those_that_there_are_lead_to_their_pages(reader: Client) -> None:
    make.prompt("known")
    ingest(*(spent(number, 1, **{"gen_ai.prompt.name": name}) for number, name in enumerate(("known", "unknown/<b>"))))

    page = reader.get(PATH)

    assert [link for link in links(page) if link.startswith("/insights/prompts/")] == ["/insights/prompts/known"]
    assert "unknown/<b>" in words(page)
    assert "<b>" not in html_of(page)


def test_spend__more_than_are_shown__said(reader: Client) -> None:
    ingest(*(spent(number, 1 + number, feature=f"feature {number}") for number in range(53)))

    page = reader.get(f"{PATH}?by=feature")

    assert len(rows(page, "spenders")) == 50
    assert "3 more spend less" in words(page)


@pytest.mark.parametrize("query", [{"by": "colour"}, {"days": "0"}, {"days": "9" * 50}, {"by": "<script>"}])
def test_spend__wrong_parameter__as_if_it_were_not_there(reader: Client, query: dict[str, str]) -> None:
    ingest(spent(1, 0.5))

    page = reader.get(PATH, query)

    read_strictly(page)
    assert "in the last 7 days" in words(page)
    assert "<script" not in html_of(page)


def test_spend__number_of_queries__the_same_for_any_number_of_spenders(reader: Client) -> None:
    ingest(spent(1, 1, age_h=3, feature="f", **{"gen_ai.prompt.name": "p"}))
    rollups.roll_up()
    one = {by: queries_of(reader, f"{PATH}?by={by}") for by in DIMENSIONS}
    ingest(
        *(
            spent(number, 1, age_h=3 + number % 5, feature=f"f{number}", **{"gen_ai.prompt.name": f"p{number}"})
            for number in range(2, 60)
        )
    )
    rollups.roll_up()

    assert {by: queries_of(reader, f"{PATH}?by={by}") for by in DIMENSIONS} == one
