"""The page of a trace, as a browser gets it, whatever its client made of it."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from common.clock import now
from observability.core.scores import NewScore
from observability.models import Call, CallText, OtherSpan, Span
from observability.selectors import traces as selector
from observability.services.scores import record_scores
from rollout.pages import traces as page_of_traces
from tests import make, traces
from tests import rollouts as given
from tests.observed import ingest
from tests.pages import html_of, links, queries_of, read_strictly, rows, section, words

PATH = f"/insights/traces/{traces.TRACE_ID.hex()}"
STEP: dict[str, Any] = {}
MARK = "xyzzy-never-shown"

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client: Client) -> Client:
    return person(client, "view_call")


def person(client: Client, *permissions: str) -> Client:
    user = User.objects.create_user("ben", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


def heading(page: Any) -> str:
    return words(page).partition(" UTC ")[2].partition("Where the time went")[0].split("UTC ")[-1]


def test_trace__no_login__leads_to_it(client: Client) -> None:
    ingest(traces.span())

    answer = client.get(PATH)

    assert (answer.status_code, answer["Location"]) == (302, f"/admin/login/?next={PATH}")


def test_trace__without_the_right__says_which_it_takes(client: Client) -> None:
    ingest(traces.span())

    answer = person(client, "view_score").get(PATH)

    assert answer.status_code == 403
    assert "the right to look at calls and traces" in words(answer)


@pytest.mark.parametrize("trace", ["0" * 32, "f" * 31, "x" * 32, "f" * 33])
def test_trace__unknown_or_no_id__404(reader: Client, trace: str) -> None:
    assert reader.get(f"/insights/traces/{trace}").status_code == 404


def test_trace__stages__the_one_that_dominates_in_the_first_sentence(reader: Client) -> None:
    ingest(
        traces.span(STEP, number=0, ms=3200, age_s=10, name="answer"),
        traces.span(STEP, number=1, parent=0, ms=2272, age_s=10.8, name="retrieve"),
        traces.span(number=2, parent=0, ms=640, age_s=10.1, name="chat"),
    )

    page = reader.get(PATH)

    read_strictly(page)
    assert "3.20 s, of which 71.0 % in retrieve" in words(page)
    assert list(rows(page)) == ["answer", "retrieve", "chat"]
    assert "in in0" in html_of(page)
    assert html_of(page).count("in in1") == 2
    assert rows(page)["retrieve"] == "retrieve 128 ms 2.27 s"


def test_trace__call__with_all_its_numbers_and_scores(reader: Client) -> None:
    rollout = given.rollout()
    told = {
        "gen_ai.prompt.name": "order-extractor",
        "gen_ai.prompt.version": "1.1",
        "gen_ai.request.model": "house-model",
        "gen_ai.usage.input_tokens": 1812,
        "gen_ai.usage.output_tokens": 90,
        "gen_ai.usage.cost": 0.0021,
        "gen_ai.response.time_to_first_chunk": 0.32,
        "serinus.exposure": f"{rollout.pk}:0:canary:7",
    }
    ingest(traces.span(traces.CHAT | told, ms=1420, name="chat house-model"))
    record_scores(scores=[NewScore(name="tone", value=0.62, source="judge", span_id=traces.SPAN_ID.hex())])

    row = rows(reader.get(PATH))["chat house-model"]

    assert row == (
        "chat house-model canary order-extractor v1.1 · house-model · tokens 1 812 in, 90 out · $0.00210 · "
        "first token after 320 ms tone 0.62 by judge 0 ms 1.42 s"
    )


def test_trace__call_that_tells_nothing__without_numbers(reader: Client) -> None:
    ingest(traces.span(traces.CHAT | {"error.type": "RateLimitError"}, name="chat"))

    page = reader.get(PATH)

    read_strictly(page)
    assert rows(page)["chat"] == "chat 429 cost not known 0 ms 100 ms"


def test_trace__several_tops_orphans_and_a_circle__all_there_and_flagged(reader: Client) -> None:
    ingest(
        traces.span(STEP, number=0, name="top"),
        traces.span(STEP, number=1, name="lost", parent=99),
        traces.span(STEP, number=2, name="round", parent=3),
        traces.span(STEP, number=3, name="about", parent=2),
    )

    page = reader.get(PATH)

    read_strictly(page)
    assert set(rows(page)) == {"top", "lost", "round", "about"}
    assert "3 spans stand at the top. 2 of them name a parent that did not come or is below itself." in words(page)
    assert words(page).count("parent not here") == 2


def test_trace__no_time_passed__says_so(reader: Client) -> None:
    ingest(traces.span(STEP, ms=0, name="instant"))

    page = reader.get(PATH)

    read_strictly(page)
    assert "No time passed in this trace" in words(page)
    assert 'width="3"' in html_of(page)


def test_trace__clock_set_back__a_dash_for_its_duration(reader: Client) -> None:
    ingest(traces.span(STEP, number=1, ms=100, age_s=10), traces.span(STEP, number=2, age_s=9, ms=50, name="back"))
    Span.objects.update(duration_ns=None)

    page = reader.get(PATH)

    read_strictly(page)
    assert rows(page)["back"].endswith("-")
    assert "no span tells how long it took" in words(page)


def test_trace__call_that_a_span_of_another_trace_stands_for__led_there(reader: Client) -> None:
    ingest(traces.span(number=1), traces.span(STEP, number=2, parent=1, name="twin"), traces.span(number=3, trace=1))
    other = Call.objects.get(span_id=traces.span_id(3))
    OtherSpan.objects.create(trace_id=traces.trace_id(0), span_id=traces.span_id(2), call=other)

    page = reader.get(PATH)

    read_strictly(page)
    assert "tells of a call in another trace" in rows(page)["twin"]
    assert f"/insights/traces/{traces.trace_id(1).hex()}" in links(page)


def test_trace__more_spans_than_are_shown__the_calls_and_the_longest_with_those_above(
    reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_of_traces, "SHOWN", 4)
    ingest(
        traces.span(STEP, number=0, ms=1000, name="top"),
        *(traces.span(STEP, number=n, parent=0, ms=n, name=f"short {n}") for n in range(1, 6)),
        traces.span(STEP, number=6, parent=0, ms=1, name="above the call"),
        traces.span(number=7, parent=6, ms=1, name="call"),
        traces.span(STEP, number=8, parent=0, ms=500, name="long"),
    )

    page = reader.get(PATH)

    assert set(rows(page)) == {"top", "above the call", "call", "long"}
    assert "4 of 9: the calls and the longest, with those that they are in" in section(page, "spans")


def test_trace__more_spans_than_are_read__said(reader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selector, "MOST_SPANS", 3)
    ingest(*(traces.span(STEP, number=number, age_s=100 - number) for number in range(5)))

    assert "It has more than the 3 spans that are read" in words(reader.get(PATH))


def test_trace__deeper_than_a_page_is_wide__set_in_as_far_as_it_goes(reader: Client) -> None:
    ingest(*(traces.span(STEP, number=n, parent=n - 1 if n else None, name=f"level {n}") for n in range(150)))

    page = reader.get(PATH)

    read_strictly(page)
    assert len(rows(page)) == 150
    assert html_of(page).count("in in12") == 138


@pytest.mark.parametrize(
    "name", ["", "<script>alert(1)</script>", '"><svg onload="x', "x" * 200, "\N{RIGHT-TO-LEFT OVERRIDE}"]
)
def test_trace__hostile_names__as_text(reader: Client, name: str) -> None:
    ingest(traces.span(traces.CHAT | {"gen_ai.request.model": name, "gen_ai.prompt.name": name}, name=name))

    page = reader.get(PATH)

    read_strictly(page)
    assert "<script" not in html_of(page)


def test_trace__texts_scores_comments_and_users__never_shown(reader: Client) -> None:
    told = {"user.id": MARK, "session.id": MARK}
    ingest(traces.span(traces.CHAT | told))
    score = {"name": "tone", "value": 0.5, "source": "judge", "span_id": traces.SPAN_ID.hex()}
    record_scores(scores=[NewScore(**score, comment=MARK, label=MARK, evaluator=MARK)])
    stored_text(Call.objects.get())

    page = reader.get(PATH)

    assert "tone 0.5 by judge" in words(page)
    assert MARK not in html_of(page)
    assert Call.objects.get().user_hash not in html_of(page)


def test_trace__text_is_stored__who_may_read_it_is_led_there(client: Client) -> None:
    ingest(traces.span(number=1), traces.span(number=2, parent=1))
    call = Call.objects.get(span_id=traces.span_id(1))
    stored_text(call)

    page = person(client, "view_call", "view_calltext").get(PATH)

    assert [link for link in links(page) if "/observability/call/" in link] == [
        f"/admin/observability/call/{call.pk}/change/"
    ]
    assert MARK not in html_of(page)


def stored_text(call: Call) -> None:
    CallText.objects.create(call=call, input_text=MARK, output_text=MARK, kept_because="sample", stored_at=now())


def test_trace__number_of_queries__the_same_for_any_trace(reader: Client) -> None:
    make.version(make.prompt())
    named = traces.CHAT | {"gen_ai.prompt.name": "order-extractor", "gen_ai.prompt.version": "1.0"}
    ingest(traces.span(named, number=0))
    one = queries_of(reader, PATH)
    ingest(*(traces.span(named, number=number, parent=0) for number in range(1, 60)))

    assert queries_of(reader, PATH) == one
