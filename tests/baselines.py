"""Given metrics of the last days: buckets as the series' writer would have written them."""

from datetime import datetime, timedelta

from common.clock import now
from observability.core.times import BUCKET, bucket_of, midnight
from observability.models import FiguresBucket, JudgedBucket, MetricBucket
from observability.selectors.series import block_of

NAME, LABEL = "order-extractor", "production"
PER_BUCKET = 17  # some 200 an hour
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def days(mean: float, *, metric: str = "faithfulness", n: int = 9, at: datetime | None = None) -> None:
    """Eight days before today, of one level with a little spread, and today until now."""
    until = bucket_of(at or now()) + BUCKET
    span(mean, midnight(until.date()) - n * DAY, until, metric=metric)


def span(mean: float, since: datetime, until: datetime, *, metric: str = "faithfulness") -> None:
    """Scores of a standard deviation of 0.1 around a mean, in place of what there was."""
    at, rows = bucket_of(since), []
    MetricBucket.objects.filter(metric=metric, starts_at__gte=at, starts_at__lt=until).delete()
    n = PER_BUCKET
    while at < until:
        sums = {"n": n, "total": n * mean, "squares": n * (mean**2 + 0.01)}
        rows.append(
            MetricBucket(starts_at=at, prompt_name=NAME, label=LABEL, metric=metric, block=block_of(at), **sums)
        )
        at += BUCKET
    MetricBucket.objects.bulk_create(rows, batch_size=500)


def traffic(since: datetime, until: datetime, *, model: str, score: float, version: str = "1.0") -> None:
    """Calls that a model answered, and their scores of faithfulness, in place of what there was."""
    at = bucket_of(since)
    FiguresBucket.objects.filter(starts_at__gte=at, starts_at__lt=until).delete()
    zero = dict.fromkeys(("attempts", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"), 0)
    zero |= dict.fromkeys(("cost_usd", "priced", "timed_tokens", "timed_ms", "merged", "ttft_is_total", "checked"), 0)
    empty = {name: [[], []] for name in ("ttft", "latency", "inter_token", "cost")}
    rows = []
    while at < until:
        n = PER_BUCKET
        scores = {"faithfulness": {"judge": [n, n * score, n * (score**2 + 0.01)]}}
        rows.append(
            FiguresBucket(
                starts_at=at,
                prompt_name=NAME,
                label=LABEL,
                version_text=version,
                model=model,
                is_canary=False,
                calls=n,
                valid=0,
                errors={},
                scores=scores,
                **zero,
                **empty,
            )
        )
        at += BUCKET
    FiguresBucket.objects.bulk_create(rows, batch_size=500)


def judged(since: datetime, until: datetime, *, model: str, evaluator: str = "faithfulness@3") -> None:
    """Scores that a judge gave by this model of its own, in place of what there was."""
    at, rows = bucket_of(since), []
    JudgedBucket.objects.filter(starts_at__gte=at, starts_at__lt=until).delete()
    while at < until:
        key = {"prompt_name": NAME, "label": LABEL, "is_canary": False, "name": "faithfulness"}
        rows.append(
            JudgedBucket(
                starts_at=at, **key, evaluator=evaluator, judge_model=model, n=PER_BUCKET, total=15.9, squares=15.0
            )
        )
        at += BUCKET
    JudgedBucket.objects.bulk_create(rows, batch_size=500)
