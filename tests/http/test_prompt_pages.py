"""The pages of all prompts and of one, as a browser gets them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from observability import rollups
from observability.core.figures import ScoreSums, mean_with_interval
from observability.core.scores import NewScore
from observability.models import Alert, AlertKind, Severity
from observability.selectors.baselines import baselines
from observability.services import alerts
from observability.services.objectives import create_objective
from observability.services.scores import record_scores
from observability.watching import series
from registry import services
from registry.models import LabelMove, Prompt, PromptVersion
from rollout import services as rollouts
from rollout.models import Rollout
from tests import baselines as usual
from tests import make, traces
from tests import rollouts as given
from tests.observed import Seen, crowd, ingest
from tests.pages import html_of, links, queries_of, read_strictly, rows, section, words

NOW = datetime(2026, 1, 31, 14, 30, tzinfo=UTC)
NAME = "order-extractor"
PAGE = f"/insights/prompts/{NAME}"
MARK = "xyzzy-never-shown"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def observed(version: str, number: int, *, age_h: float = 2, **attributes: Any) -> Any:
    told = {"gen_ai.prompt.name": NAME, "gen_ai.prompt.version": version} | attributes
    return traces.span(traces.CHAT | told, number=number, trace=number, age_s=age_h * 3600, ms=400)


def judged(numbers: range, name: str, value: Callable[[int], float]) -> None:
    record_scores(
        scores=[
            NewScore(name=name, value=float(value(number)), source="judge", span_id=traces.span_id(number).hex())
            for number in numbers
        ]
    )


def person(client: Client, *permissions: str) -> None:
    user = User.objects.create_user("ben", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    client.force_login(user)


def test_prompts__no_data__says_where_to_begin(client: Client) -> None:
    page = client.get("/insights/prompts")

    read_strictly(page)
    assert "There is no prompt yet" in words(page)
    assert "/" in links(page)


def test_prompts__one__with_its_version_rollout_calls_errors_and_cost(client: Client) -> None:
    rollout = given.rollout()
    ingest(
        *(observed("1.0", number, **{"gen_ai.usage.cost": 0.25}) for number in range(3)),
        observed("1.1", 3, **{"error.type": "timeout", "gen_ai.usage.cost": 0.25}),
    )

    page = client.get("/insights/prompts")

    read_strictly(page)
    row = rows(page)[NAME]
    for shown in ("v1.0", "v1.1 on production", "No evidence yet", " 4 ", "25.0 %", "$1.00"):
        assert shown in row
    assert {PAGE, f"/rollouts/{rollout.pk}"} <= set(links(page))


def test_prompts__score_worse_than_in_the_week_before__named_with_its_change(client: Client) -> None:
    make.label(make.version(make.prompt()))
    ingest(*(observed("1.0", number, age_h=24 * 9 if number < 100 else 2) for number in range(200)))
    judged(range(100), "hallucination", lambda number: number % 50 == 0)
    judged(range(100, 200), "hallucination", lambda number: number % 4 == 0)
    judged(range(200), "tone", lambda number: 0.5 + number / 1000)
    rollups.roll_up()

    row = rows(client.get("/insights/prompts"))[NAME]

    assert "hallucination +23.0 points to 25.0 %" in row
    assert "clearly worse" in row
    assert "tone" not in row


def test_prompts__score_a_little_worse__may_be_chance(client: Client) -> None:
    make.label(make.version(make.prompt()))
    ingest(*(observed("1.0", number, age_h=24 * 9 if number < 20 else 2) for number in range(40)))
    judged(range(40), "hallucination", lambda number: number in (0, 20, 21))

    row = rows(client.get("/insights/prompts"))[NAME]

    assert "hallucination +5.0 points to 10.0 % may be chance" in row


def test_prompts__two_hundred__in_pages_of_fifty_with_the_same_number_of_queries(client: Client) -> None:
    make.label(make.version(make.prompt("prompt-000")))
    one = queries_of(client, "/insights/prompts")
    for number in range(1, 200):
        make.label(make.version(make.prompt(f"prompt-{number:03}")))

    first, last = client.get("/insights/prompts"), client.get("/insights/prompts?page=4")

    assert list(rows(first)) == [f"prompt-{number:03}" for number in range(50)]
    assert list(rows(last))[-1] == "prompt-199"
    assert "151 to 200 of 200" in words(last)
    assert queries_of(client, "/insights/prompts") == one


@pytest.mark.parametrize("page", ["0", "5000", "x", "-1", "9" * 40, "\u0661"])
def test_prompts__page_that_there_is_not__one_that_there_is(client: Client, page: str) -> None:
    make.prompt()

    assert NAME in rows(client.get("/insights/prompts", {"page": page}))


def test_prompts__name__only_those_with_it_in_theirs(client: Client) -> None:
    for name in ("order-extractor", "order-guard", "reply"):
        make.prompt(name)

    page = client.get("/insights/prompts?q=order")

    assert list(rows(page)) == ["order-extractor", "order-guard"]
    assert "2 prompts with “order” in the name" in words(page)


@pytest.mark.parametrize("q", ["<script>alert(1)</script>", "%", "_", "'; --", "x" * 5000, '"onfocus="x'])
def test_prompts__hostile_name__a_page_that_says_so(client: Client, q: str) -> None:
    make.prompt()

    page = client.get("/insights/prompts", {"q": q})

    read_strictly(page)
    assert "<script" not in html_of(page)


def test_prompts__archived__apart(client: Client) -> None:
    make.prompt()
    make.prompt("old")
    services.archive_prompt(prompt=Prompt.objects.get(name="old"), actor=make.ANNA)

    page, archived = client.get("/insights/prompts"), client.get("/insights/prompts?archived=yes")

    assert list(rows(page)) == [NAME]
    assert "Archived prompts (1)" in words(page)
    assert list(rows(archived)) == ["old"]
    assert "14:30:00" in rows(archived)["old"]


def test_prompt__unknown__404(client: Client) -> None:
    assert client.get("/insights/prompts/nobody").status_code == 404


def test_prompt__no_version__says_so(client: Client) -> None:
    make.prompt()

    page = client.get(PAGE)

    read_strictly(page)
    assert "No version is in production; no call came in the last 24 hours." in words(page)
    assert "No version was published yet." in words(page)


def test_prompt__one_version_without_calls__a_row_of_dashes_and_no_chart(client: Client) -> None:
    make.label(make.version(make.prompt()))

    page = client.get(PAGE)

    read_strictly(page)
    assert rows(page)["v1.0"].split() == ["v1.0", "latest,", "production", "0", *"----------"]
    assert "<svg" not in html_of(page)
    assert rows(page, "labels")["production"].startswith("production v1.0")


def test_prompt__calls_that_tell_nothing__rows_without_numbers(client: Client) -> None:
    make.label(make.version(make.prompt()))
    ingest(observed("1.0", 1), observed("9.9", 2), traces.span(traces.CHAT | {"gen_ai.prompt.name": NAME}, number=3))

    page = client.get(PAGE)

    read_strictly(page)
    found = rows(page)
    assert set(found) == {"v1.0", "9.9 (unknown)", "no version named"}
    assert found["v1.0"].startswith("v1.0 latest, production 1 0 % 0 to 79.3 %")  # Wilson's, of one call
    assert found["v1.0"].endswith("- -")  # tokens per second, cost


@pytest.mark.parametrize("rolled", [False, True])
def test_prompt__two_versions__side_by_side_with_intervals(client: Client, rolled: bool) -> None:
    calls = [call for call in crowd(300, ages_h=(0.1, 3, 30)) if call.prompt == NAME]
    if rolled:
        rollups.roll_up()

    page = client.get(f"{PAGE}?days=7")

    read_strictly(page)
    for version in ("v1.0", "v1.1"):
        of_version = [call for call in calls if call.version == version]
        failed = sum(call.error for call in of_version)
        assert f" {len(of_version)} {100 * failed / len(of_version):.1f} %" in rows(page)[version]
        assert score_of(of_version, "correct") in section(page, "scores")


def score_of(calls: list[Seen], name: str) -> str:
    """As the page says it, computed plainly from scores of 0 and 1."""
    values = [value for call in calls for called, value, _ in call.scores if called == name]
    mean, low, high = mean_with_interval(ScoreSums(len(values), sum(values), sum(values)))
    return f"{100 * mean:.1f} % {100 * low:.1f} to {100 * high:.1f} % n {len(values)}"


def test_prompt__canary_of_an_active_rollout__first_and_in_yellow(client: Client) -> None:
    rollout = given.rollout()
    ingest(*(observed(version, number) for number, version in enumerate(["1.0"] * 30 + ["1.1"] * 5)))
    judged(range(35), "hallucination", lambda number: number >= 30)

    page = client.get(PAGE)

    read_strictly(page)
    assert list(rows(page)) == ["v1.1", "v1.0"]
    assert rows(page)["v1.1"].startswith("v1.1 canary latest")
    assert html_of(page).count('class="bar canary"') == 1
    assert "v1.1 100.0 %" in section(page, "rate-1")
    assert "No evidence yet." in words(page)
    assert f"/rollouts/{rollout.pk}" in links(page)
    assert "line canary" in html_of(page) or "point canary" in html_of(page)


def test_prompt__label_and_environment__only_calls_that_name_them(client: Client) -> None:
    make.label(make.version(make.prompt()))
    eu, us = ({"deployment.environment.name": name} for name in ("eu", "us"))
    ingest(observed("1.0", 1, **eu), observed("1.0", 2, **us), observed("1.0", 3, **us | {"serinus.label": "staging"}))

    of_us, of_both = client.get(f"{PAGE}?environment=us"), client.get(f"{PAGE}?environment=us&label=staging")

    assert "2 calls in the last 24 hours" in words(of_us)
    assert "1 call in the last 24 hours for the label staging in the environment us" in words(of_both)
    assert "<option selected>us</option>" in html_of(of_both)
    assert "<option>eu</option>" in html_of(of_both)


@pytest.mark.parametrize(
    ("age_h", "rolled", "shown"),
    [(2, False, "24 hours"), (2, True, "24 hours"), (20, True, "24 hours"), (30, True, "7 days")],
)
def test_prompt__nothing_asked__a_day_while_it_has_no_more(
    client: Client, age_h: float, rolled: bool, shown: str
) -> None:
    make.label(make.version(make.prompt()))
    if age_h < 24 and rolled:  # a prompt that was there long before its first call
        Prompt.objects.update(created_at=NOW - timedelta(days=30))
    ingest(observed("1.0", 1, age_h=age_h))
    if rolled:
        rollups.roll_up()

    assert f"in the last {shown}" in words(client.get(PAGE))


@pytest.mark.parametrize(("days", "calls"), [("1", 1), ("7", 2), ("28", 3), ("0", 2), ("x", 2), ("9999999999", 2)])
def test_prompt__days__those_that_there_are(client: Client, days: str, calls: int) -> None:
    make.label(make.version(make.prompt()))
    ingest(*(observed("1.0", number, age_h=age_h) for number, age_h in enumerate((2, 100, 500))))
    rollups.roll_up()

    page = client.get(PAGE, {"days": days})

    read_strictly(page)
    assert f"{calls} call{'s' if calls > 1 else ''} in the last" in words(page)


def test_prompt__over_time__marks_what_was_done(client: Client, clock: Any) -> None:
    clock.shift(-timedelta(hours=50))
    rollout = given.rollout()
    clock.shift(timedelta(hours=5))
    rollouts.rollback(rollout_id=rollout.pk, actor=make.ANNA, reason="too bold")
    services.move_label(prompt_name=NAME, label="staging", version="1.1", reason=MARK, actor=make.ANNA)
    clock.move_to(NOW)
    ingest(*(observed("1.0", number, age_h=number) for number in range(1, 60)))

    chart = section(client.get(PAGE), "time")

    for mark in ("v1.1 starts", "v1.1 rolled back", "staging v1.1"):
        assert mark in chart
    assert "v1.1 starts at 2026-01-29 12:30" in chart
    assert "v1.1 rolled back at 2026-01-29 17:30; staging v1.1 at 2026-01-29 17:30." in chart
    assert MARK not in chart


def test_prompt__promoted__is_marked_once(client: Client, clock: Any) -> None:
    clock.shift(-timedelta(hours=50))
    rollout = given.rollout()
    clock.shift(timedelta(hours=5))
    rollouts.promote(rollout_id=rollout.pk, actor=make.ANNA, reason="good")
    clock.move_to(NOW)
    ingest(observed("1.0", 1, age_h=70))

    told = section(client.get(PAGE), "time").partition("Marked: ")[2].partition("Calls per hour")[0]

    assert "v1.1 promoted at" in told
    assert "production v1.1" not in told
    assert LabelMove.objects.filter(to_version=rollout.canary, label__name="production").exists()


def an_alert(kind: AlertKind = AlertKind.BASELINE, *, label: str = "production", hours: float = 5) -> Alert:
    """That fired so long ago and was over after two hours."""
    cause = f"{kind}:{NAME}:{label}:faithfulness"
    with time_machine.travel(NOW - timedelta(hours=hours), tick=False):
        alert = alerts.fire(
            kind=kind,
            cause=cause,
            severity=Severity.CRITICAL,
            summary="faithfulness fell to 0.87, at $412 a day.",
            data={"now": 0.87},
            prompt=NAME,
            label=label,
        )
    with time_machine.travel(NOW - timedelta(hours=hours - 2), tick=False):
        alerts.resolve(cause=cause)
    return alert


def test_prompt__over_time__versions_and_alerts_are_marked_and_people_are_led_to_these(client: Client) -> None:
    with time_machine.travel(NOW - timedelta(hours=9), tick=False):
        make.label(make.version(make.prompt()))
    alert = an_alert()
    ingest(*(observed("1.0", number, age_h=number) for number in range(1, 12)))
    person(client)

    page = client.get(f"{PAGE}?days=1")

    read_strictly(page)
    assert "v1.0 published at 2026-01-31 05:30" in section(page, "time")
    assert "alert: baseline at 2026-01-31 09:30" in section(page, "time")
    assert 'class="meanwhile of-critical"' in html_of(page)
    assert "faithfulness fell to 0.87, at $412 a day. Resolved after 2 h" in section(page, "time")
    assert f"/alerts/{alert.pk}" in links(page)


def test_prompt__over_time__strangers_read_of_what_kind_an_alert_was(client: Client) -> None:
    make.label(make.version(make.prompt()))
    an_alert()
    ingest(observed("1.0", 1, age_h=7))

    page = client.get(f"{PAGE}?days=1")

    assert "An alert: A metric left its last seven days Resolved after 2 h" in section(page, "time")
    assert "412" not in html_of(page)
    assert not any(address.startswith("/alerts/") for address in links(page))


def test_prompt__over_time_of_a_label__only_what_is_of_it_or_of_none(client: Client) -> None:
    make.label(make.version(make.prompt()))
    an_alert(label="beta")
    an_alert(AlertKind.JUDGE_FAILING, label="")
    ingest(observed("1.0", 1, age_h=7, **{"serinus.label": "production"}))

    of_label = section(client.get(f"{PAGE}?days=1&label=production"), "time")

    assert "alert: judge fails" in of_label
    assert "alert: baseline" not in of_label


def test_prompt__over_time__baseline_threshold_and_objective_of_production(client: Client) -> None:
    prompt = make.prompt()
    make.label(make.version(prompt))
    usual.days(0.94)
    create_objective(
        prompt_name=NAME, name="truth", metric="faithfulness", comparison="above", threshold=0.9, actor=make.ANNA
    )
    ingest(*(observed("1.0", number, age_h=2) for number in range(30)))
    judged(range(30), "faithfulness", lambda number: 0.9 + number / 1000)

    page = client.get(f"{PAGE}?days=1")

    (mean, threshold) = baselines((NAME, "production"), NOW)["faithfulness"]
    assert mean == pytest.approx(0.94)
    assert threshold < mean
    shown = section(page, "time")
    assert "baseline, its threshold and objectives of production" in shown
    for name in (" usual ", " threshold ", " truth "):
        assert name in shown.partition("faithfulness by judge")[2]
    assert "baseline" not in section(client.get(f"{PAGE}?days=1&label=beta"), "time")


def test_prompt__over_time__every_point_also_as_a_number_with_its_interval(client: Client) -> None:
    make.label(make.version(make.prompt()))
    ingest(*(observed("1.0", number, age_h=2) for number in range(40)))
    judged(range(40), "faithfulness", lambda number: 0.75 + (number % 2) / 10)

    row = rows(client.get(f"{PAGE}?days=1"), "time")["12:30:00"]

    _, low, high = mean_with_interval(ScoreSums(40, 32, 40 * (0.64 + 0.0025)))
    assert "v1.0" in row
    assert f"0.8 ({low:.3g} to {high:.3g})" in row
    assert " 40 " in row


def test_prompt__all_calls_of_the_last_hours__by_five_minutes_unless_hours_are_asked_for(client: Client) -> None:
    make.label(make.version(make.prompt()))
    ingest(*(observed("1.0", number, age_h=0.5) for number in range(30)))
    series.write()

    silent, hours, minutes = (section(client.get(f"{PAGE}{q}"), "time") for q in ("", "?step=hours", "?step=minutes"))

    assert "a point for every five minutes" in silent
    assert "a point for every five minutes" in minutes
    assert "a point for every hour" in hours


def test_prompt__five_minutes_without_calls__says_so(client: Client) -> None:
    make.label(make.version(make.prompt()))
    ingest(observed("1.0", 1, age_h=9))

    assert "has nothing of these hours" in section(client.get(f"{PAGE}?days=1&step=minutes"), "time")


def test_prompt__archived__says_so(client: Client) -> None:
    services.archive_prompt(prompt=make.prompt(), actor=make.ANNA)

    assert "Archived It is served no longer." in words(client.get(PAGE))


@pytest.mark.parametrize(("right", "leads_to"), [("change_draft", "draft/"), ("view_prompt", "change/")])
def test_prompt__by_right__led_to_the_draft_and_to_the_prompt_in_the_admin(
    client: Client, right: str, leads_to: str
) -> None:
    prompt = make.prompt()
    address = f"/admin/registry/prompt/{prompt.pk}/"
    before = [link for link in links(client.get(PAGE)) if link.startswith(address)]

    person(client, right)

    assert before == []
    assert [link for link in links(client.get(PAGE)) if link.startswith(address)] == [address + leads_to]


def test_every_page__leads_to_the_api(client: Client) -> None:
    assert "/api/docs" in links(client.get("/insights/prompts"))


def test_prompt__who_may_view_versions__is_led_to_them(client: Client) -> None:
    version = make.version(make.prompt())
    address = f"/admin/registry/promptversion/{version.pk}/change/"

    hidden = client.get(PAGE)
    person(client, "view_promptversion")
    shown = client.get(PAGE)

    assert address not in links(hidden)
    assert address in links(shown)


def test_prompt__who_may_start_a_rollout__is_led_to_the_form(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    given.prompt()
    starts = "/admin/rollout/rollout/add/?prompt=order-extractor&canary=v1.1"
    form = admin.site.get_model_admin(Rollout)
    monkeypatch.setattr(form, "has_add_permission", lambda request: request.user.has_perm("rollout.start_rollout"))

    hidden = client.get(PAGE)
    person(client, "start_rollout")
    shown = client.get(PAGE)

    assert starts not in links(hidden)
    assert starts in links(shown)


def test_prompt__newest_version_in_production__nothing_to_start(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.label(make.version(make.prompt()))
    monkeypatch.setattr(admin.site.get_model_admin(Rollout), "has_add_permission", lambda request: True)

    assert "Start a rollout" not in words(client.get(PAGE))


def test_prompt__number_of_queries__the_same_with_more_versions_calls_and_moves(client: Client) -> None:
    prompt = make.prompt()
    make.label(make.version(prompt))
    ingest(observed("1.0", 0, age_h=3))
    rollups.roll_up()
    one = queries_of(client, f"{PAGE}?days=7")
    for number in range(1, 15):
        make.label(make.version(prompt, template=f"Way {number}"))
    ingest(*(observed(f"1.{number}", number, age_h=3 + 10 * number) for number in range(1, 15)))
    rollups.roll_up()
    for kind in (AlertKind.BASELINE, AlertKind.OBJECTIVE, AlertKind.JUDGE_DRIFT):
        an_alert(kind)

    assert queries_of(client, f"{PAGE}?days=7") == one
    assert len(rows(client.get(PAGE))) == 12


def test_prompt__more_versions_than_are_shown__said_and_counted_in_the_first_sentence(client: Client) -> None:
    prompt = make.prompt()
    for number in range(15):
        make.version(prompt, template=f"Way {number}")
    ingest(*(observed(f"1.{number}", number) for number in range(15)))

    page = client.get(PAGE)

    assert len(rows(page)) == 12
    assert "15 calls in the last 24 hours" in words(page)
    assert "3 more versions had calls" in section(page, "versions")


def test_prompt__of_a_label_or_environment__the_first_sentence_says_so(client: Client) -> None:
    make.version(make.prompt())
    ingest(
        observed("1.0", 1, **{"deployment.environment.name": "eu"}),
        observed("1.0", 2),
    )

    of_all, of_eu, of_beta = (client.get(PAGE, query) for query in ({}, {"environment": "eu"}, {"label": "beta"}))

    assert "2 calls in the last 24 hours, " in words(of_all)
    assert "1 call in the last 24 hours in the environment eu, " in words(of_eu)
    assert "no call came in the last 24 hours for the label beta." in words(of_beta)


def test_open_pages__texts_of_people_and_programs__never_shown(client: Client) -> None:
    prompt = make.prompt()
    version = make.version(prompt, template=f"{MARK} {{{{ order_text }}}}", notes=MARK, config={"system": MARK})
    services.move_label(prompt_name=NAME, label="production", version="1.0", reason=MARK, actor=make.ANNA)
    services.move_label(
        prompt_name=NAME,
        label="staging",
        version=make.version(prompt, template=f"{MARK} again").number,
        reason=MARK,
        actor=make.ANNA,
    )
    told = {"user.id": MARK, "session.id": MARK, "feature": MARK, "gen_ai.prompt.name": NAME}
    span = traces.span(traces.CHAT | told | {"gen_ai.prompt.version": "1.0"}, number=1, name=MARK)
    ingest(span)
    score = {"name": "tone", "value": 0.5, "source": "judge", "span_id": traces.span_id(1).hex()}
    record_scores(scores=[NewScore(**score, comment=MARK, label=MARK, evaluator=MARK)])

    pages = [client.get(path) for path in ("/insights/prompts", f"{PAGE}?days=1", PAGE, "/insights/events")]

    assert PromptVersion.objects.get(pk=version.pk).template.startswith(MARK)
    assert "tone" in words(pages[1])
    for page in pages:
        assert page.status_code == 200
        assert MARK not in html_of(page)


@pytest.mark.parametrize("path", ["/insights/prompts", PAGE, "/insights/events"])
def test_open_pages__setting_login__ask_for_one(client: Client, settings: Settings, path: str) -> None:
    make.prompt()
    settings.STATUS_PAGES = "login"

    answer = client.get(path)

    assert (answer.status_code, answer["Location"]) == (302, f"/admin/login/?next={path}")
