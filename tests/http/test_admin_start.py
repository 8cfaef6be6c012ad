"""The admin's page to start a rollout: a plan as fields or as JSON, its forecast, and what takes a reason."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils.html import strip_tags

from common.clock import now
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.services.objectives import create_objective
from observability.services.scores import record_scores
from registry import services as registry
from registry.models import AuditEntry, Prompt
from rollout import services
from rollout.core.plan import Plan
from rollout.formats import plain
from rollout.models import Rollout
from tests import make, traces
from tests import rollouts as given
from tests.rollouts import ANNA

pytestmark = pytest.mark.django_db

ADD = "/admin/rollout/rollout/add/"
FORECAST = "/admin/rollout/rollout/forecast/"
OF_ORDERS = "?prompt=order-extractor"


@pytest.fixture
def anna(client: Client) -> Client:
    """A person who may do everything."""
    client.force_login(User.objects.create_superuser("anna"))
    return client


def seen(calls: int = 2_800) -> None:
    """Calls of the control version in the last days, 2 % of them failing, one in four scored."""
    given.prompt()
    Prompt.objects.update(created_at=now() - timedelta(days=30))
    stamp = traces.CHAT | {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "v1.0"}
    spans = [
        traces.span(
            stamp,
            number=number,
            ms=100 * 1.02 ** (number % 40),
            age_s=60 + number * 590_000 / calls,
            failed=number % 50 == 0,
        )
        for number in range(calls)
    ]
    writer.store(decode_protobuf(traces.body(*spans), WANTED).spans)
    scored = range(0, calls, 4)
    record_scores(
        scores=[
            NewScore("faithfulness", 1.0 if number % 8 else 0.75, "judge", span_id=traces.span_id(number).hex())
            for number in scored
        ]
    )


def text_of(page: Any) -> str:
    return " ".join(strip_tags(page.content.decode()).split())


def fields_of(page: Any) -> dict[str, Any]:
    """What a browser would send from the page, but for the buttons."""
    start = page.context["start"]
    forms = [start.subject, *start.editor.forms]
    sent = {field.html_name: field.value() for form in forms for field in form}
    named = {name: value for name, value in sent.items() if value not in (None, False)}
    return {**named, "plan_as": "json" if start.editor.as_json else "fields"} | (
        {"plan": start.editor.written_out()} if start.editor.as_json else {}
    )


def opened(client: Client, query: str = f"{OF_ORDERS}&canary=v1.1") -> dict[str, Any]:
    return fields_of(client.get(ADD + query))


def press(client: Client, fields: dict[str, Any], button: str = "_start", value: str = "1") -> Any:
    return client.post(ADD + OF_ORDERS, {**fields, button: value})


def told(page: Any) -> dict[str, list[str]]:
    return dict(page.context["start"].told)


def plan_sent(page: Any) -> Any:
    return json.loads(page.context["start"].editor.written_out())


def test_page__shows_the_default_plan_with_what_was_seen(anna: Client) -> None:
    seen()

    page = anna.get(f"{ADD}{OF_ORDERS}&canary=1.1&label=production")

    plan = plan_sent(page)
    assert plan["steps"] == [
        {"weight": "5%", "hold": "24h"},
        {"weight": "25%", "hold": "12h"},
        {"weight": "50%", "hold": "12h"},
    ]
    assert [metric["name"] for metric in plan["metrics"]] == ["error_rate", "latency", "faithfulness"]
    assert (plan["max_duration"], plan["min_units"], plan["auto_rollback"]) == ("7d", 100, True)
    assert "the default: \N{MULTIPLICATION SIGN}1.5" in text_of(page)
    assert "the default: \N{MINUS SIGN}0.030" in text_of(page)
    assert not Rollout.objects.exists()


def test_start__as_shown__the_default_plan_under_the_persons_name(anna: Client) -> None:
    seen()
    fields = opened(anna)

    done = press(anna, fields)

    rollout = Rollout.objects.get()
    started = Plan.from_json(rollout.plan)
    assert done["Location"] == f"/rollouts/{rollout.pk}"
    assert (rollout.status, rollout.created_by, rollout.canary.number) == ("running", "user:anna", "v1.1")
    assert started == Plan(metrics=started.metrics)
    assert [(metric.name, metric.margin) for metric in started.metrics] == [
        ("error_rate", None),
        ("latency", None),
        ("faithfulness", None),
    ]
    assert AuditEntry.objects.filter(action="rollout.started", actor="user:anna").count() == 1


def test_start__changed_fields__the_plan_says_so(anna: Client) -> None:
    seen()
    fields = opened(anna) | {
        "steps-0-weight": "0.5",
        "steps-0-hold": "90s",
        "steps-1-weight": "12 %",
        "steps-2-weight": "",
        "steps-2-hold": "",
        "metrics-0-compared": "ratio",
        "metrics-0-by": "1.8",
        "metrics-1-role": "",
        "metrics-2-role": "observed",
        "metrics-3-name": "tone",
        "metrics-3-kind": "score",
        "metrics-3-compared": "limit",
        "metrics-3-by": "0.9",
        "min_units": "7",
        "max_duration": "3d",
        "when_superseded": "replace",
    }
    del fields["auto_promote"]

    press(anna, fields)

    plan = Rollout.objects.get().plan
    assert plan["steps"] == [{"weight_bp": 50, "hold_s": 90}, {"weight_bp": 1200, "hold_s": 43_200}]
    assert [(m["name"], m["role"], m["margin"], m["limit"]) for m in plan["metrics"]] == [
        ("error_rate", "guardrail", {"ratio": 1.8}, None),
        ("faithfulness", "observed", None, None),
        ("tone", "guardrail", None, 0.9),
    ]
    assert (plan["min_units"], plan["max_duration_s"], plan["auto_promote"]) == (7, 259_200, False)
    assert plan["when_superseded"] == "replace"


@pytest.mark.parametrize(
    ("typed", "place", "message"),
    [
        ({"steps-0-weight": "5x"}, "id_steps-0-weight", "expected a share"),
        ({"steps-1-hold": "soon"}, "id_steps-1-hold", "expected a duration"),
        ({"steps-1-weight": "4"}, "steps", "expected every step's weight to be more than the one before"),
        ({"steps-0-weight": "", "steps-0-hold": "", "steps-1-hold": "x"}, "id_steps-1-hold", "expected a duration"),
        ({"metrics-0-compared": "ratio", "metrics-0-by": "900"}, "id_metrics-0-by", "less than or equal to 100"),
        ({"metrics-0-compared": "limit", "metrics-0-by": "2"}, "id_metrics-0-by", "expected a limit between 0 and 1"),
        ({"metrics-0-by": "2"}, "id_metrics-0-by", "Choose what the number is"),
        ({"metrics-0-role": ""}, "metrics", "may not be empty"),
        ({"metrics-0-role": "observed"}, "metrics", "expected at least one guardrail"),
        ({"metrics-1-name": "tone"}, "id_metrics-1-kind", "was not seen lately"),
        ({"metrics-1-name": "output_valid"}, "id_metrics-1-name", "expected a canary version with a response_schema"),
        ({"metrics-1-name": "ttft", "metrics-1-kind": "rate"}, "id_metrics-1-name", "ttft is a latency"),
        ({"max_duration": "a week"}, "id_max_duration", "expected a duration"),
        ({"min_units": "many"}, "id_min_units", "A valid integer is required."),
        ({"steps-TOTAL_FORMS": "x"}, "above", "whole number"),
    ],
)
def test_start__wrong__told_at_the_field_and_nothing_is_started(
    anna: Client, typed: dict[str, str], place: str, message: str
) -> None:
    given.prompt()
    fields = opened(anna) | typed

    page = press(anna, fields)

    assert list(told(page)) == [place]
    assert message in told(page)[place][0]
    assert message in text_of(page).replace("&#x27;", "'")
    assert not Rollout.objects.exists()


def test_more_rows__typed_ones_stay(anna: Client) -> None:
    given.prompt()
    fields = opened(anna) | {"steps-3-weight": "60", "steps-3-hold": "soon"}

    page = press(anna, fields, "_more", "steps")

    assert int(fields_of(page)["steps-TOTAL_FORMS"]) == int(fields["steps-TOTAL_FORMS"]) + 2
    assert fields_of(page)["steps-3-hold"] == "soon"
    assert told(page) == {}


def test_json__from_the_fields_and_back__the_same_plan(anna: Client) -> None:
    seen()
    fields = opened(anna) | {"steps-0-weight": "7.5", "metrics-1-compared": "ratio", "metrics-1-by": "1.2"}

    as_json = press(anna, fields, "_as_json")
    back = press(anna, fields_of(as_json), "_as_fields")

    assert fields_of(as_json)["plan_as"] == "json"
    assert plan_sent(as_json)["steps"][0] == {"weight": "7.5%", "hold": "24h"}
    assert plan_sent(as_json)["metrics"][1]["margin"] == {"ratio": 1.2}
    assert fields_of(back)["plan_as"] == "fields"
    assert plan_sent(back) == plan_sent(as_json)


def test_json__says_what_fields_cannot__started_and_not_turned_into_fields(anna: Client) -> None:
    given.prompt()
    plan = {"alpha": 0.01, "metrics": [{"name": "error_rate", "weight": 2}]}
    fields = {"canary": "v1.1", "label": "production", "plan_as": "json", "plan": json.dumps(plan)}

    stays = press(anna, fields, "_as_fields")
    press(anna, fields)

    assert told(stays) == {"id_plan": ["The fields have no place for alpha, metrics[0].weight: it stays JSON."]}
    assert fields_of(stays)["plan_as"] == "json"
    assert (Rollout.objects.get().plan["alpha"], Rollout.objects.get().plan["metrics"][0]["weight"]) == (0.01, 2)


def test_json__numbers_written_as_text_or_long__become_fields_with_all_their_digits(anna: Client) -> None:
    given.prompt()
    metrics = [
        {"name": "error_rate", "limit": "0.02"},
        {"name": "tokens", "limit": 1234567},
        {"name": "cost_per_call", "limit": 1e-07},
        {"name": 5, "kind": "rate", "margin": {"ratio": "1.5"}},
    ]
    plan = {"steps": [{"weight": 0.05}], "metrics": metrics, "min_units": "300"}
    fields = {"canary": "v1.1", "label": "production", "plan_as": "json", "plan": json.dumps(plan)}

    page = press(anna, fields, "_as_fields")
    press(anna, fields_of(page))

    assert fields_of(page)["plan_as"] == "fields"
    started = Rollout.objects.get().plan
    assert [metric["limit"] for metric in started["metrics"]] == [0.02, 1234567, 1e-07, None]
    assert (started["metrics"][3]["name"], started["metrics"][3]["margin"]) == ("5", {"ratio": 1.5})
    assert started["min_units"] == 300


def test_json__fields_beside_it__do_not_count(anna: Client) -> None:
    given.prompt()
    fields = opened(anna) | {"plan_as": "json", "plan": '{"min_units": 3}', "min_units": "900"}

    press(anna, fields)

    assert Rollout.objects.get().plan["min_units"] == 3


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{", "Enter a valid JSON."),
        ("[1]", "Expected a dictionary"),
        ('{"steps": [{"weight": "5%", "hold": "x"}]}', "plan.steps[0].hold: expected a duration"),
        ('{"metrics": 5}', "plan.metrics: Expected a list"),
        ('{"surprise": 1}', "plan.surprise: "),
    ],
)
def test_json__wrong__told_with_its_path(anna: Client, written: str, message: str) -> None:
    given.prompt()
    fields = {"canary": "v1.1", "label": "production", "plan_as": "json", "plan": written}

    for button in ("_start", "_as_fields", "_forecast"):
        page = press(anna, fields, button)
        assert message in told(page)["id_plan"][0]
        assert written in page.content.decode().replace("&quot;", '"')
    assert not Rollout.objects.exists()


def test_forecast__by_the_button__stands_beside_the_form_and_starts_nothing(anna: Client) -> None:
    seen()
    fields = opened(anna) | {"max_duration": "2d"}

    page = press(anna, fields, "_forecast")

    forecast = page.context["start"].forecast
    assert "not found before time is up, after 2" in forecast.if_worse
    assert "400 calls a day" in text_of(page)
    assert [metric.name for metric in forecast.metrics] == ["error_rate", "latency", "faithfulness"]
    assert any("max_duration, 2 d, is too short" in warning for warning in forecast.warnings)
    assert fields_of(page)["max_duration"] == "2d"
    assert not Rollout.objects.exists()


def test_forecast__by_the_script__the_same_words_or_what_is_wrong(anna: Client) -> None:
    seen()
    fields = opened(anna)

    found = anna.post(FORECAST + OF_ORDERS, fields).json()
    wrong = anna.post(FORECAST + OF_ORDERS, fields | {"steps-0-hold": "soon"}).json()

    whole = press(anna, fields, "_forecast").content.decode()
    assert found["errors"] == {}
    assert found["forecast"].strip() in whole
    assert "A canary that is equal" in found["forecast"]
    assert list(wrong["errors"]) == ["id_steps-0-hold"]
    assert "cannot be forecast" in wrong["forecast"]


def test_forecast__nothing_known_of_the_prompt__says_what_it_rests_on(anna: Client) -> None:
    given.prompt()

    page = press(anna, opened(anna), "_forecast")

    assert "The prompt had no calls lately" in text_of(page)
    assert "canary calls" in text_of(page)


def test_major_change__asks_why_first_and_takes_the_reason(anna: Client) -> None:
    prompt = given.prompt()
    make.version(prompt, "2.0", template="Extract {{ order_text }} for {{ customer }}")

    page = anna.get(f"{ADD}{OF_ORDERS}&canary=2.0")
    refused = press(anna, fields_of(page))
    press(anna, fields_of(page) | {"force_reason": "callers were changed"})

    assert "v2.0 breaks the contract of v1.0" in text_of(page)
    assert told(refused) == {"id_force_reason": ["This takes a reason."]}
    assert Rollout.objects.get().force_reason == "callers were changed"


def test_text_rolled_back_before__names_the_earlier_rollout_and_takes_a_reason(anna: Client) -> None:
    earlier = given.rollout()
    services.rollback(rollout_id=earlier.pk, actor=ANNA)

    page = anna.get(f"{ADD}{OF_ORDERS}&canary=1.1")
    press(anna, fields_of(page) | {"force_reason": "the judge was wrong"})

    assert "was rolled back before" in text_of(page)
    assert f'href="/rollouts/{earlier.pk}"' in page.content.decode()
    assert Rollout.objects.exclude(pk=earlier.pk).get().force_reason == "the judge was wrong"


def test_error_budget_that_is_not_left__forecast_says_so_and_the_start_takes_a_reason(anna: Client) -> None:
    given.prompt()
    promise: dict[str, Any] = {
        "name": "faithfulness",
        "metric": "faithfulness",
        "comparison": "above",
        "threshold": 0.9,
    }
    create_objective(prompt_name="order-extractor", **promise, actor=ANNA)
    fields = opened(anna) | {"needs_budget": "10"}

    forecast = press(anna, fields, "_forecast")
    refused = press(anna, fields)
    press(anna, fields_of(refused) | {"force_reason": "it mends it"})

    assert "not known, 10.0 % needed: it takes a reason" in plain(text_of(forecast))
    assert told(refused) == {"id_force_reason": ["This takes a reason."]}
    assert "is not known, and the plan needs 10 %" in text_of(refused)
    assert fields_of(refused)["needs_budget"] == "10"
    started = Rollout.objects.get()
    assert (started.force_reason, started.plan["needs_budget_bp"]) == ("it mends it", 1000)


def test_no_obstacle__asks_for_no_reason(anna: Client) -> None:
    given.prompt()

    page = anna.get(f"{ADD}{OF_ORDERS}&canary=1.1")

    assert "force_reason" not in page.content.decode()


def test_active_rollout__named__and_replaced_when_the_plan_says_so(anna: Client) -> None:
    older = given.rollout()
    make.version(older.prompt, "1.2", template="Yet another way: {{ order_text }}")

    fields = opened(anna, f"{OF_ORDERS}&canary=1.2")
    refused = press(anna, fields)
    press(anna, fields | {"when_superseded": "replace"})

    older.refresh_from_db()
    assert told(refused) == {"above": [f"order-extractor:production is already being rolled out by {older.pk}"]}
    assert f'href="/rollouts/{older.pk}"' in refused.content.decode()
    assert older.status == "cancelled"
    assert Rollout.objects.exclude(pk=older.pk).get().status == "running"


def test_canary_is_control__said_before_anything_is_filled_in(anna: Client) -> None:
    given.prompt()

    page = anna.get(f"{ADD}{OF_ORDERS}&canary=1.0")

    assert "order-extractor:production already points at v1.0." in text_of(page)


def test_no_canary_named__the_newest_that_the_label_is_not_at(anna: Client) -> None:
    prompt = given.prompt(versions=3)
    make.label(prompt.versions.get(ordinal=3), "production")

    page = anna.get(ADD + OF_ORDERS)

    assert fields_of(page)["canary"] == "v1.1"
    assert "already points at" not in text_of(page)


def test_only_version__says_that_another_is_needed(client: Client) -> None:
    make.label(make.version(make.prompt()), "production")
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="start_rollout"))
    client.force_login(user)

    page = client.get(ADD + OF_ORDERS)

    assert "order-extractor has only v1.0. Somebody has to publish a second one first." in text_of(page)
    user.user_permissions.add(Permission.objects.get(codename="change_draft"))
    assert "/draft/" in client.get(ADD + OF_ORDERS).content.decode()


def test_opened__its_script_asks_for_the_forecast__not_over_what_is_told(anna: Client) -> None:
    given.prompt()
    fields = opened(anna)

    assert "data-unasked" in anna.get(ADD + OF_ORDERS).content.decode()
    assert "data-unasked" not in press(anna, fields, "_forecast").content.decode()
    assert "data-unasked" not in press(anna, fields | {"steps-0-hold": "soon"}).content.decode()


def test_no_prompt__those_who_may_are_led_to_the_first(client: Client) -> None:
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="start_rollout"))
    client.force_login(user)
    add_prompt = "/admin/registry/prompt/add/"

    assert add_prompt not in client.get(ADD).content.decode()
    user.user_permissions.add(Permission.objects.get(codename="add_prompt"))
    assert add_prompt in client.get(ADD).content.decode()


def test_no_prompt_named__chosen_first(anna: Client) -> None:
    assert "There is no prompt yet." in text_of(anna.get(ADD))
    given.prompt("summary")

    page = anna.get(ADD)

    assert "<option>summary</option>" in page.content.decode()
    assert anna.get(ADD, {"prompt": "summary"}).status_code == 200


def test_no_label__says_that_one_is_needed(anna: Client) -> None:
    make.version(make.prompt())

    assert "has none that could be moved" in text_of(anna.get(ADD + OF_ORDERS))
    assert anna.post(FORECAST + OF_ORDERS).status_code == 404


@pytest.mark.parametrize(
    "query", ["?prompt=nothing", "?prompt=%00", f"{OF_ORDERS}&canary=9.9", f"{OF_ORDERS}&canary=x&label=nothing"]
)
def test_unknown__404(anna: Client, query: str) -> None:
    given.prompt()

    assert anna.get(ADD + query).status_code == 404
    assert anna.post(FORECAST + query).status_code == 404


def test_archived_prompt__404(anna: Client) -> None:
    registry.archive_prompt(prompt=given.prompt(), actor=ANNA)

    assert anna.get(ADD + OF_ORDERS).status_code == 404


def test_rights__starting_and_forecasting_take_the_right_to_start(client: Client) -> None:
    given.prompt()
    user = User.objects.create_user("rita", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_rollout", "view_prompt"]))
    client.force_login(user)

    assert client.get(ADD + OF_ORDERS).status_code == 403
    assert client.post(ADD + OF_ORDERS, {"_start": "1"}).status_code == 403
    assert client.post(FORECAST + OF_ORDERS, {}).status_code == 403
    assert "Start a rollout" not in client.get("/admin/rollout/rollout/").content.decode()

    user.user_permissions.add(Permission.objects.get(codename="start_rollout"))
    assert client.get(ADD + OF_ORDERS).status_code == 200
    assert "Start a rollout" in client.get("/admin/rollout/rollout/").content.decode()


def test_right_taken_away_meanwhile__nothing_is_started(anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    given.prompt()
    fields, create = opened(anna), services.create_rollout

    def create_late(**how: Any) -> Rollout:
        rollout = create(**how)
        User.objects.update(is_superuser=False)
        return rollout

    monkeypatch.setattr(services, "create_rollout", create_late)
    answer = press(anna, fields)

    assert answer.status_code == 403
    assert "The right to start rollouts has just been taken away." in text_of(answer)
    assert not Rollout.objects.exists()


def test_hostile_text__never_markup(anna: Client) -> None:
    given.prompt()
    nasty = "<script>alert(1)</script>"

    page = press(anna, opened(anna) | {"steps-0-hold": nasty, "metrics-1-name": nasty, "metrics-1-kind": nasty})

    assert nasty not in page.content.decode()


def test_page__has_no_inline_script_or_style_of_its_own(anna: Client) -> None:
    given.prompt()

    content = anna.get(ADD + OF_ORDERS).content.decode().partition('id="content-main"')[2]

    assert not re.search(r"<script|<style| style=| on\w+=", content.partition("</form>")[0])


def test_page__queries_do_not_grow_with_versions_labels_and_rollouts(
    anna: Client, django_assert_max_num_queries: Any
) -> None:
    prompt = given.prompt(versions=12)
    for number in range(6):
        make.label(prompt.versions.get(ordinal=number + 1), f"own-{number}")

    with django_assert_max_num_queries(20):
        anna.get(ADD + OF_ORDERS)
