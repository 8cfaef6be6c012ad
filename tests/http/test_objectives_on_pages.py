"""The section of objectives on a prompt's page."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client

from observability import rollups
from observability.models import SeriesState
from observability.services.objectives import create_objective
from observability.watching import series
from rollout.formats import TIMES, plain
from tests import make, traces
from tests.observed import ingest
from tests.pages import links, read_strictly, section

NOW = datetime(2026, 1, 31, 14, 32, tzinfo=UTC)
PAGE = "/insights/prompts/order-extractor"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False):
        SeriesState.objects.create(pk=1, settled_until=NOW.replace(minute=0) - timedelta(hours=1))
        make.prompt()
        yield


def promise(name: str = "errors", metric: str = "error_rate", **fields: Any) -> None:
    usual = {"comparison": "below", "threshold": 0.1}
    create_objective(prompt_name="order-extractor", name=name, metric=metric, **usual | fields, actor=make.ANNA)


def calls(n: int, *, failed: int, ms: float = 100) -> None:
    told = traces.CHAT | {"gen_ai.prompt.name": "order-extractor", "serinus.label": "production"}
    ingest(
        *(
            traces.span(told | ({"error.type": "timeout"} if i < failed else {}), number=i, trace=i, age_s=60, ms=ms)
            for i in range(n)
        )
    )
    rollups.roll_up()
    series.write()


def shown(client: Client) -> str:
    page = client.get(PAGE)
    read_strictly(page)
    return plain(section(page, "objectives"))


def test_page__no_objectives__no_section(client: Client) -> None:
    assert 'id="objectives"' not in client.get(PAGE).content.decode()


def test_page__nothing_measured__says_so(client: Client) -> None:
    promise()

    found = shown(client)

    assert "production: calls that fail under 10.0 %" in found
    assert "Nothing measured yet" in found
    assert "No call that names production was measured." in found


def test_page__kept__attained_budget_left_and_what_would_break_it(client: Client) -> None:
    promise()
    calls(100, failed=4)

    found = shown(client)

    assert "Kept" in found
    assert "4.0 % 100 in 28 days" in found
    assert "60.0 % left" in found
    assert "It bears 6 more calls that fail. At the present rate it lasts." in found
    assert f"1 h {TIMES}0.4" in found


def test_page__broken__by_how_much(client: Client) -> None:
    promise()
    calls(100, failed=20)

    found = shown(client)

    assert "Broken" in found
    assert "0 % left" in found
    assert "It bore 10 calls that fail, and had 10 more." in found


def test_page__promises__in_words(client: Client) -> None:
    promise("ttft", "ttft", threshold=1000)
    promise("speed", "tokens_per_second", comparison="above", threshold=15, target_bp=9000)
    promise("cost", "cost_per_call", threshold=0.02)
    promise("faithfulness", "faithfulness", comparison="above", threshold=0.9)

    found = shown(client)

    for words_ in (
        "95 % of the first tokens within 1.00 s",
        "90 % of the calls at 15 tokens/s or more",
        "95 % of the calls for $0.0200 or less",
        "the mean of faithfulness over 0.9",
    ):
        assert words_ in found


def test_page__who_may_change_them__leads_to_their_forms(client: Client) -> None:
    promise()
    user = User.objects.create_user("ben", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="change_objective"))
    client.force_login(user)

    found = links(client.get(PAGE))

    assert any("/admin/observability/objective/add/" in link for link in found)
