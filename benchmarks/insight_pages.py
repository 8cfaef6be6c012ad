"""What do the pages of prompts, spending, traces and events cost on the server, after a month of traffic?

    python -m benchmarks.insight_pages

On SQLite in a temporary folder: 28 days of hourly roll-ups of 5 versions in 3 environments and 3 features (30 240 rows
with their histograms), 200 prompts, a trace of 5 000 calls; of the prompt that is looked at also the series of eight
days (for baselines) and of the last hours, objectives, and alerts all over the month. Each page is asked for through
Django's test client: CPU seconds, the median of several. The unit is the page that says "not found", measured in the
same run, so that figures of different machines can be compared. Nothing is asserted: a busy machine is not a fault.
"""

import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

PROMPT = "order-extractor"
DAYS, VERSIONS, ENVIRONMENTS, FEATURES = 28, 5, ("eu", "us", "staging"), ("checkout", "search", "support")
PROMPTS, SPANS = 200, 5_000
TIMES = 9


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"SERINUS_DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "config.settings"}
        import django
        from django.core.management import call_command

        django.setup()
        logging.disable(logging.INFO)
        call_command("migrate", verbosity=0)
        fill()
        measure()


def fill() -> None:
    """Everything that the pages show, at its largest."""
    from observability import rollups
    from tests import make, traces
    from tests.observed import ingest

    prompt = make.prompt(PROMPT)
    versions = [make.version(prompt, template=f"Way {n}: {{{{ order_text }}}}") for n in range(VERSIONS)]
    for version in versions:
        make.label(version)
    for number in range(PROMPTS - 1):
        make.label(make.version(make.prompt(f"prompt-{number:03}")))
    a_month(versions)
    a_week_of_series(versions)
    what_was_wrong(prompt)
    rollups.roll_up()
    ingest(*(traces.span(number=n, parent=n // 3 if n else None, name=f"stage {n % 7}") for n in range(SPANS)))


def a_month(versions: list[Any]) -> None:
    """The hours of these versions up to the last full one, as roll-ups would have them."""
    from common.clock import now
    from observability.models import RollUpState, SpendHour, VersionHour
    from observability.selectors.hours import hour_of

    dice = random.Random(7)
    until = hour_of(now()) - timedelta(hours=1)
    hours = [until - timedelta(hours=back + 1) for back in range(24 * DAYS)]
    rows = [an_hour(dice, hour, version, *where) for hour in hours for version in versions for where in cells()]
    VersionHour.objects.bulk_create(rows, batch_size=500)
    spending = [
        SpendHour(hour=hour, dimension=dimension, value=f"{dimension} {n}", **a_spending(dice))
        for hour in hours
        for dimension in ("user", "feature", "environment", "prompt", "model")
        for n in range(20 if dimension == "user" else 4)
    ]
    SpendHour.objects.bulk_create(spending, batch_size=500)
    RollUpState.objects.update_or_create(pk=1, defaults={"rolled_until": until})


def cells() -> list[tuple[str, str]]:
    return [(environment, feature) for environment in ENVIRONMENTS for feature in FEATURES]


def an_hour(dice: random.Random, hour: datetime, version: Any, environment: str, feature: str) -> Any:
    from observability.core.evidence import LATENCY, SMALLEST, TTFT, log_bin
    from observability.core.figures import Figures, ScoreSums
    from observability.models import VersionHour
    from observability.models.rollups import columns_of

    calls, failed = dice.randrange(30, 50), dice.randrange(3)
    told = [dice.lognormvariate(7, 0.5) for _ in range(calls - failed)]
    hallucinated = sum(dice.random() < 0.02 * version.ordinal for _ in range(calls))
    figures = Figures(
        calls=calls,
        errors=Counter({"429": failed} if failed else {}),
        attempts=calls,
        cost_usd=Decimal(calls) * Decimal("0.002"),
        priced=calls,
        timed_tokens=90 * calls,
        timed_ms=sum(told),
        ttft=Counter(log_bin(0.3 * ms, SMALLEST[TTFT]) for ms in told),
        latency=Counter(log_bin(ms, SMALLEST[LATENCY]) for ms in told),
        scores={
            ("hallucination", "judge"): ScoreSums(calls, hallucinated, hallucinated),
            ("faithfulness", "judge"): ScoreSums(calls, 0.9 * calls, 0.82 * calls),
        },
    )
    where = {"environment": environment, "feature": feature, "label": "production", "prompt_name": PROMPT}
    return VersionHour(hour=hour, version=version, **where, **columns_of(figures))


def a_week_of_series(versions: list[Any]) -> None:
    """Of six metrics, for their baselines; and what calls came to in the last hours, five minutes by five minutes."""
    from common.clock import now
    from observability.core.times import BUCKET, bucket_of
    from observability.models import FiguresBucket, MetricBucket
    from observability.selectors.series import block_of

    dice, last = random.Random(8), bucket_of(now())
    starts = [last - number * BUCKET for number in range(9 * 288)]
    rows = [
        MetricBucket(starts_at=at, prompt_name=PROMPT, label="production", metric=metric, block=block_of(at), **sums)
        for at in starts
        for metric, sums in a_metric_each(dice).items()
    ]
    MetricBucket.objects.bulk_create(rows, batch_size=500)
    checked: dict[str, Any] = {"cost": [[], []], "checked": 0, "valid": 0, "is_canary": False}
    lately = [
        FiguresBucket(starts_at=at, **{**of_hour(dice, at, version, environment), **checked})
        for at in starts[:36]
        for version in versions
        for environment in ENVIRONMENTS
    ]
    FiguresBucket.objects.bulk_create(lately, batch_size=500)


def a_metric_each(dice: random.Random) -> dict[str, dict[str, float]]:
    means = {"error_rate": 0.02, "latency": 1250.0, "ttft": 375.0, "cost_per_call": 0.002}
    means |= {"hallucination": 0.06, "faithfulness": 0.9}
    found = {}
    for metric, mean in means.items():
        level = mean * dice.uniform(0.95, 1.05)
        found[metric] = {"n": 40, "total": 40 * level, "squares": 40 * level**2 * 1.1}
    return found


def of_hour(dice: random.Random, at: datetime, version: Any, environment: str) -> dict[str, Any]:
    row = an_hour(dice, at, version, environment, "")
    left_out = ("id", "hour", "feature", "version_id")
    return {"version": version} | {
        field.attname: getattr(row, field.attname) for field in row._meta.fields if field.attname not in left_out
    }


def what_was_wrong(prompt: Any) -> None:
    """Alerts of a day now and then, of which one is open; what is promised."""
    from common.clock import now
    from observability.models import Alert, AlertKind, Objective

    for number in range(40):
        fired_at = now() - timedelta(hours=16 * number + 2)
        Alert.objects.create(
            id=f"alr_{number}",
            kind=AlertKind.values[number % len(AlertKind.values)],
            cause=f"cause {number}",
            severity="critical" if number % 5 == 0 else "warning",
            prompt=PROMPT,
            label="production",
            summary=f"{PROMPT} (production): faithfulness fell from 0.94 to 0.87 within a day",
            fired_at=fired_at,
            seen_at=fired_at + timedelta(hours=1),
            resolved_at=fired_at + timedelta(hours=3) if number else None,
        )
    for name, metric, comparison, threshold, target in (
        ("truth", "faithfulness", "above", 0.85, None),
        ("errors", "error_rate", "below", 0.04, None),
        ("first-token", "ttft", "below", 1000.0, 9_500),
    ):
        Objective.objects.create(
            prompt=prompt,
            name=name,
            metric=metric,
            comparison=comparison,
            threshold=threshold,
            target_bp=target,
            created_at=now(),
            created_by="user:anna",
        )


def a_spending(dice: random.Random) -> dict[str, Any]:
    calls = dice.randrange(1, 100)
    return {
        "calls": calls,
        "input_tokens": 800 * calls,
        "output_tokens": 90 * calls,
        "cost_usd": Decimal(calls) * Decimal("0.002"),
        "unpriced": calls // 50,
        "unpriced_tokens": 890 * (calls // 50),
    }


def measure() -> None:
    from django.contrib.auth.models import User
    from django.test import Client

    from tests import traces

    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(User.objects.create_superuser("anna"))
    unit = seconds(lambda: client.get("/nowhere"))
    print(f"Python {sys.version.split()[0]}; unit: the page that says not found, {unit * 1e3:.1f} ms")
    for path in (
        "/insights/prompts",
        f"/insights/prompts/{PROMPT}?days=1",
        f"/insights/prompts/{PROMPT}?days=1&step=minutes",
        f"/insights/prompts/{PROMPT}?days=7",
        f"/insights/prompts/{PROMPT}?days=28",
        "/alerts",
        "/insights/spend?days=28&by=user",
        f"/insights/traces/{traces.TRACE_ID.hex()}",
        "/insights/events",
    ):
        found = seconds(lambda path=path: answered(client, path))
        print(f"  {path:60} {found / unit:8.1f} units {found * 1e3:10.1f} ms")


def answered(client: Any, path: str) -> None:
    assert client.get(path).status_code == 200, path


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one run of the work, the median of TIMES after a first one."""
    work()
    return median(timed(work) for _ in range(TIMES))


def timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
