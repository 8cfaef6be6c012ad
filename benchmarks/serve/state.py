"""What it takes to hold the prompts in memory. Runs inside `manage.py shell`, so that Django is set up."""

import json
import resource
import statistics
import time

from benchmarks.serve.scene import PLAIN, PROMPTS, VERSIONS
from registry.models import Prompt
from rollout.serving.snapshot_cache import cache
from tests.served import point

POLLS = 1000


def measure() -> None:
    """Prints one row."""
    row: dict[str, object] = {"row": "state", "prompts": PROMPTS, "versions_of_each": VERSIONS}
    before_mb = memory_mb()
    row["first_load_s"] = round(seconds(), 2)
    row["memory_mb"] = round(memory_mb() - before_mb)
    prompt = Prompt.objects.get(name=PLAIN)
    point(prompt, "production", "2.2")
    row["reload_ms"] = round(seconds() * 1e3, 2)
    row["poll_ms"] = round(statistics.median(seconds() for _ in range(POLLS)) * 1e3, 2)
    print(json.dumps(row))


def seconds() -> float:
    started = time.perf_counter()
    cache.refresh()
    return time.perf_counter() - started


def memory_mb() -> float:
    """The most this process has ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
