"""The alert judging_budget: what may be judged of a prompt in a day is nearly or wholly used up."""

from decimal import Decimal

import pytest

from common.clock import now
from observability.models import Alert, AlertKind, EvaluatorKind, JudgingBudget, JudgingDay, Severity
from observability.watching.judging import check
from registry.models import Prompt
from tests import alerts, judged

pytestmark = pytest.mark.django_db


@pytest.fixture
def prompt() -> Prompt:
    made = judged.prompt()
    JudgingBudget.objects.create(prompt=made, calls_a_day=100, usd_a_day=Decimal(2))
    return made


def used(prompt: Prompt, *, calls: int = 0, usd: str = "0") -> None:
    JudgingDay.objects.update_or_create(prompt=prompt, day=now().date(), defaults={"calls": calls, "usd": Decimal(usd)})


def test_walk__used_up__fired_and_resolved_by_its_check(prompt: Prompt) -> None:
    alert = alerts.walk(
        kind=AlertKind.JUDGING_BUDGET,
        begin=lambda: used(prompt, calls=100),
        check=check,
        end=lambda: used(prompt, calls=10),
    )

    assert (alert.cause, alert.severity) == ("judging_budget:order-extractor::", Severity.CRITICAL)
    assert (alert.data["calls"], alert.data["calls_a_day"], alert.data["usd_a_day"]) == (100, 100, "2.0000")


@pytest.mark.parametrize(
    ("calls", "usd", "severity"),
    [
        (79, "0", None),
        (80, "0", Severity.WARNING),
        (0, "1.6", Severity.WARNING),
        (99, "1.99", Severity.WARNING),
        (100, "0", Severity.CRITICAL),
        (0, "2.5", Severity.CRITICAL),
    ],
)
def test_check__used_of_calls_or_dollars__warned_at_80_and_critical_at_100(
    prompt: Prompt, calls: int, usd: str, severity: str | None
) -> None:
    used(prompt, calls=calls, usd=usd)

    check()

    assert [alert.severity for alert in Alert.objects.all()] == ([severity] if severity else [])


def test_check__no_limit__quiet(prompt: Prompt) -> None:
    JudgingBudget.objects.update(calls_a_day=None, usd_a_day=None)
    used(prompt, calls=10**6, usd="1000")

    check()

    assert not Alert.objects.exists()


def test_check__calls_stopped__their_number_is_told(prompt: Prompt) -> None:
    judged.judge(prompt, judged.evaluator(kind=EvaluatorKind.JUDGE))
    used(prompt, calls=100)
    judged.send_call(1)
    judged.send_call(2)

    check()

    assert "2 calls were not judged" in Alert.objects.get().summary
