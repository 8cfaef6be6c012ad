"""The days before the demo, as they are sent to the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

from demo import history
from demo.wholesale import GOOD_MODEL


class Taking:
    """In the place of a connection."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, Any]] = []

    def post(self, path: str, body: Any) -> None:
        self.posts.append((path, body))

    def all(self, path: str) -> list[dict[str, Any]]:
        return [one for posted, body in self.posts if posted == path for one in body]


def test_send__each_call__has_its_score_and_the_model_of_before() -> None:
    api = Taking()

    sent = history.send(api, version="v1.0", evaluator="faithfulness@1")  # type: ignore[arg-type]  # an Api's post alone

    calls, scores = api.all("/api/v1/calls"), api.all("/api/v1/scores")
    assert sent == len(calls) == len(scores)
    assert [call["span_id"] for call in calls] == [score["span_id"] for score in scores]
    assert {call["response_model"] for call in calls} == {GOOD_MODEL}
    assert abs(sum(score["value"] for score in scores) / sent - 0.94) < 0.01
    assert max(len(body) for _, body in api.posts) <= history.AT_ONCE


def test_times__eight_days__as_many_a_day_more_in_the_last_hour_and_none_at_present() -> None:
    now = datetime(2026, 1, 31, 14, 3, tzinfo=UTC)

    times = list(history.times(now))

    of_days = [sum(at.date() == (now - timedelta(days=day)).date() for at in times) for day in range(1, history.DAYS)]
    assert of_days == [144] * 7
    assert sum(at > now - timedelta(hours=1) for at in times) > 600
    assert now - timedelta(minutes=7) < max(times) <= now - timedelta(minutes=6)
