"""What one pass of the check of baselines costs: `python -m benchmarks.watching [--quick] [--postgres]`.

Prompts with two labels and six metrics each, eight days of five-minute buckets, nothing wrong with any of them. The
pass is timed in CPU seconds of this process, in turn with the same pass that asks the detector about every metric
(core.baselines.could_fire left out), which is the unit: figures of different machines can be compared by the ratio.
PostgreSQL's own processes are not in it. --quick: 10 prompts instead of 50. Nothing is asserted: a busy machine is not
a fault.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

from benchmarks.pages import database

PROMPTS, QUICK_PROMPTS = 50, 10
LABELS = ("production", "staging")
LEVELS = {"error_rate": 0.01, "output_valid": 0.98, "faithfulness": 0.94, "latency": 1200.0, "ttft": 300.0} | {
    "cost_per_call": 0.004
}
CALLS = 30  # in five minutes, on average
DAYS = 8
SPREAD = 0.8  # the log-sd of times and costs
SD_OF_SCORES = 0.14
SD_OF_DAYS = 0.05  # of the logarithm of what is bad
ROUNDS = 5


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--quick", action="store_true")
    reader.add_argument("--postgres", action="store_true")
    wanted = reader.parse_args()
    prompts = QUICK_PROMPTS if wanted.quick else PROMPTS
    with tempfile.TemporaryDirectory() as folder, database(Path(folder), postgres=wanted.postgres) as name:
        os.environ |= {
            "SERINUS_DATA_DIR": folder,
            "SERINUS_LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        import django
        from django.core.management import call_command
        from django.db import connection

        django.setup()
        call_command("migrate", verbosity=0)
        fill(prompts)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        print(f"{name}, {prompts} prompts of {len(LABELS)} labels and {len(LEVELS)} metrics: {measured()}")


def fill(prompts: int) -> None:
    from django.db import transaction

    from common.clock import now
    from observability.core.times import BUCKET, bucket_of, midnight
    from observability.models import MetricBucket
    from tests import make

    dice = random.Random(1)
    until = bucket_of(now()) + BUCKET
    begin = midnight(until.date()) - timedelta(days=DAYS)
    starts = [begin + number * BUCKET for number in range((until - begin) // BUCKET)]
    with transaction.atomic():
        for number in range(prompts):
            make.prompt(f"prompt-{number}")
            MetricBucket.objects.bulk_create(buckets(f"prompt-{number}", starts, dice), batch_size=500)


def buckets(prompt: str, starts: list[datetime], dice: random.Random) -> Iterator[Any]:
    from observability.models import MetricBucket
    from observability.selectors.series import block_of

    for label in LABELS:
        for metric, level in LEVELS.items():
            worse: dict[object, float] = {}
            for at in starts:
                bad = worse.setdefault(at.date(), dice.lognormvariate(0, SD_OF_DAYS))
                n = max(1, round(dice.gauss(CALLS, CALLS**0.5)))
                total, squares = sums(metric, level, bad, n, dice)
                key = {"starts_at": at, "prompt_name": prompt, "label": label, "metric": metric}
                yield MetricBucket(**key, block=block_of(at), n=n, total=total, squares=squares)


def sums(metric: str, level: float, bad: float, n: int, dice: random.Random) -> tuple[float, float]:
    """Their total and that of their squares, of n observations."""
    if metric == "error_rate":
        total = float(sum(dice.random() < level * bad for _ in range(n)))
        return total, total
    if metric == "output_valid":
        total = float(sum(dice.random() >= (1 - level) * bad for _ in range(n)))
        return total, total
    if metric == "faithfulness":
        mean = 1 - (1 - level) * bad + dice.gauss(0, SD_OF_SCORES / n**0.5)
        return n * min(1.0, mean), n * (min(1.0, mean) ** 2 + SD_OF_SCORES**2)
    values = [level * bad * dice.lognormvariate(-(SPREAD**2) / 2, SPREAD) for _ in range(n)]
    return sum(values), sum(value * value for value in values)


def measured() -> str:
    from observability.selectors import baselines as selector

    spent: dict[bool, list[float]] = {True: [], False: []}
    for round_ in range(ROUNDS + 1):
        for by_detector in (True, False):
            with mock.patch.object(selector, "could_fire", return_value=True) if by_detector else nullcontext():
                cpu_s = one_pass()
            if round_:  # the first warms up
                spent[by_detector].append(cpu_s)
    unit, found = median(spent[True]), median(spent[False])
    return f"{found:.2f} s of CPU, {found / unit:.2f} of asking the detector about every metric ({unit:.2f} s)"


def one_pass() -> float:
    from observability.watching import baselines

    with mock.patch.object(baselines, "MOST_SECONDS", 3600.0):
        began = time.process_time()
        baselines.check()
        return time.process_time() - began


if __name__ == "__main__":
    main()
