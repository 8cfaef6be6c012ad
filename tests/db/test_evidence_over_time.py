"""How the evidence came about: which of a rollout's verdicts are read, however many there are."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from common.clock import now
from rollout.evidence_over_time import MOST_POINTS, evidence_over_time
from rollout.models import Rollout, Verdict
from tests import rollouts as given

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


def rollout_of(looks: int, *, every: timedelta = SECOND, name: str = "order-extractor") -> Rollout:
    """With so many verdicts, of which the nth says n, and the last was found now."""
    rollout, until = given.rollout(name), now()
    found(rollout, until, looks, every)
    Rollout.objects.filter(pk=rollout.pk).update(
        started_at=until - every * looks, verdict=Verdict.objects.filter(rollout=rollout).latest("pk")
    )
    return Rollout.objects.select_related("verdict").get(pk=rollout.pk)


def found(rollout: Rollout, until: datetime, looks: int, every: timedelta) -> None:
    Verdict.objects.bulk_create(
        Verdict(rollout=rollout, kind="undecided", step=0, found_at=until - every * (looks - n), body=said(n))
        for n in range(1, looks + 1)
    )


def said(n: int) -> dict[str, Any]:
    metrics = [
        {"name": "error_rate", "role": "guardrail", "log_e_harm": 2.0 * n},
        {"name": "tone", "role": "observed", "log_e_harm": 3.0 * n},
    ]
    return {"log_e_harm": float(n), "metrics": metrics, "reasons": [], "guilty": []}


def test_few__all_of_them_in_their_order() -> None:
    points = evidence_over_time(rollout_of(5))

    assert [point.log_e_harm for point in points] == [1, 2, 3, 4, 5]
    assert points[0].guardrails == {"error_rate": 2.0}


@pytest.mark.parametrize("looks", [MOST_POINTS, MOST_POINTS + 1, 1000, 3000])
def test_many__evenly_and_never_more_than_can_be_drawn(looks: int) -> None:
    numbers = [point.log_e_harm for point in evidence_over_time(rollout_of(looks))]

    gaps = {after - before for before, after in pairwise(numbers[:-1])}
    assert MOST_POINTS / 2 - 1 <= len(numbers) <= MOST_POINTS + 1
    assert numbers[-1] == looks
    assert len(gaps) == 1


def test_later__the_same_points_and_more() -> None:
    rollout = rollout_of(300)
    before = evidence_over_time(rollout)[:-1]
    found(rollout, now() + 5 * SECOND, 5, SECOND)
    rollout.verdict = Verdict.objects.filter(rollout=rollout).latest("found_at")

    after = evidence_over_time(rollout)

    assert after[: len(before)] == before


def test_deciding__always_among_them() -> None:
    rollout = rollout_of(3000)
    deciding = list(Verdict.objects.filter(rollout=rollout).order_by("pk").values_list("pk", flat=True)[1001:1004])

    numbers = [point.log_e_harm for point in evidence_over_time(rollout, deciding=deciding)]

    assert {1002.0, 1003.0, 1004.0} < set(numbers)
    assert numbers == sorted(numbers)


def test_nothing_found_for_long__each_verdict_once() -> None:
    rollout = rollout_of(10)
    Verdict.objects.filter(rollout=rollout).exclude(pk=rollout.verdict_id).update(
        found_at=(rollout.started_at or now()) + SECOND / 2
    )

    points = evidence_over_time(rollout)

    assert [point.log_e_harm for point in points][-1] == 10
    assert len(points) == 2


def test_verdicts_of_others__not_read() -> None:
    rollout_of(50, name="other")

    points = evidence_over_time(rollout_of(3))

    assert len(points) == 3


def test_no_verdict__nothing() -> None:
    assert evidence_over_time(given.rollout()) == []


def test_never_started__nothing() -> None:
    assert evidence_over_time(given.rollout(start=False)) == []


def test_all_in_one_query(django_assert_num_queries: Any) -> None:
    rollout = rollout_of(3000)

    with django_assert_num_queries(1):
        assert len(evidence_over_time(rollout)) > MOST_POINTS / 2
