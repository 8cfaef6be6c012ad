"""What the SDK costs on the caller's path: `python -m benchmarks.sdk`.

`get` and `render` with 1 and with 5000 prompts, with and without a rollout, beside one SHA-256 of the same length in
the same run, so that a figure can be carried to another machine: `get` with a rollout cannot do without one.
"""

import gc
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk" / "src")]

from serinus import Client, bundle  # noqa: E402
from serinus.ruleset import read  # noqa: E402
from tests.rulesets import KEY, encoded, prompt, rollout, version  # noqa: E402

CALLS, UNITS = 200_000, 20_000
TEMPLATE = "Extract {{ order }}. " + "Answer in JSON, and only in JSON. " * 58  # 2 kB


def main() -> None:
    logging.getLogger("serinus").setLevel(logging.ERROR)  # that nobody listens is known
    print(f"{'':44} {'median ns':>10} {'p99 ns':>8} {'per s':>10} {'x SHA-256':>10}")
    for row in rows():
        print(
            f"{row['name']:44} {row['median_ns']:10.0f} {row['p99_ns']:8.0f} {row['per_s']:10.0f} "
            f"{row['times_sha256']:10.2f}"
        )


def rows() -> list[dict[str, Any]]:
    """name; median_ns and p99_ns of single calls, without what the clock costs; per_s of many in a row."""
    message = b"4f1d0c9a7b3e58265d0e94c1a2b3f607:user-12345"
    measured = [measure("one SHA-256 of salt and unit", lambda: sha256(message).digest())]
    for prompts in (1, 5000):
        with client_of(prompts) as client:
            measured += list(measure_client(client, f"{prompts} prompt{'s' * (prompts > 1)}"))
    sha256_ns = measured[0]["median_ns"]
    return [{**row, "times_sha256": row["median_ns"] / sha256_ns} for row in measured]


def measure_client(client: Client, of: str) -> Iterator[dict[str, Any]]:
    units = cycle([f"user-{i}" for i in range(UNITS)])
    get, found = client.get, client.get("prompt-0", unit="user-2")
    yield measure(f"get, label, {of}", lambda: get("prompt-0", unit=next(units), label="latest"))
    yield measure(f"get, rollout, {of}", lambda: get("prompt-0", unit=next(units)))
    yield measure(f"get, rollout, no unit, {of}", lambda: get("prompt-0"))
    yield measure(f"get, rollout, and its trace, {of}", lambda: get("prompt-0", unit=next(units)).trace)
    yield measure(f"render 2 kB, {of}", lambda: found.render(order="two apples"))


@contextmanager
def client_of(prompts: int) -> Iterator[Client]:
    """One that knows these from a bundle; nobody listens where its server would be."""
    told = {
        name: prompt(name, split=rollout(500), **{n: version(name, n, TEMPLATE) for n in ("v2.2", "v2.3")})
        for name in (f"prompt-{i}" for i in range(prompts))
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bundle"
        bundle.write(file, bundle.Kept(read(encoded(told), None), time.time()), key=KEY)
        del told
        with Client("http://127.0.0.1:9", key=KEY, cache_dir=False, bundle=file, start_timeout_s=1) as client:
            gc.collect()
            yield client


def measure(name: str, call: Callable[[], object]) -> dict[str, Any]:
    clock = time.perf_counter_ns
    times = []
    for _ in range(CALLS):
        started = clock()
        call()
        times.append(clock() - started)
    of_clock = statistics.median([-(clock() - clock()) for _ in range(10_000)])
    started = clock()
    for _ in range(CALLS):
        call()
    took_ns = clock() - started
    times.sort()
    return {
        "name": name,
        "median_ns": times[CALLS // 2] - of_clock,
        "p99_ns": times[CALLS * 99 // 100] - of_clock,
        "per_s": CALLS / took_ns * 1e9,
    }


if __name__ == "__main__":
    main()
