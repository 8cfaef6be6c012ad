"""What serving costs in this process: `python benchmarks/serving.py`. HTTP is another matter and not measured here.

Requests per second of the endpoint beside one SHA-256 and one plain JSON dump in the same run, so that a figure can be
carried to another machine; then load time and memory of a state of 5000 prompts with 20 versions of 2 kB each.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from itertools import cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

PROMPTS, VERSIONS = 5000, 20
TEMPLATE = "Extract {{ order }}. " + "Answer in JSON, and only in JSON. " * 58


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SERINUS_DATA_DIR"] = folder
        os.environ.pop("DATABASE_URL", None)
        import django

        django.setup()
        with ProcessPoolExecutor(1) as other_process:  # so that filling leaves no trace in this one's memory
            key = other_process.submit(fill).result()
        measure_state()
        measure_requests(f"Bearer {key}")


def fill() -> str:
    """The prompts, a rollout at 5 % of the first one's production, a key. Returns the key."""
    from django.core.management import call_command

    from common.clock import now
    from registry.models import Label, Prompt, PromptVersion
    from tests import make
    from tests.served import make_rollout

    call_command("migrate", verbosity=0)
    at = now()
    prompts = Prompt.objects.bulk_create(Prompt(name=f"prompt-{i}", created_at=at) for i in range(PROMPTS))
    versions = PromptVersion.objects.bulk_create(
        PromptVersion(
            prompt=prompt, ordinal=n, major=2, minor=n, patch=0, template=TEMPLATE, sha256="0" * 64, published_at=at
        )
        for prompt in prompts
        for n in range(1, VERSIONS + 1)
    )
    Label.objects.bulk_create(
        Label(prompt=version.prompt, name=name, version=version, updated_at=at)
        for version in versions[::VERSIONS]
        for name in ("production", "latest")
    )
    make_rollout(prompts[0], canary="2.3")
    return make.key("read")


def measure_state() -> None:
    from registry.models import Prompt
    from rollout.serving.snapshot_cache import cache
    from tests.served import point

    before, started = memory_mb(), time.perf_counter()
    cache.refresh()
    print(f"first load of {PROMPTS} prompts   {time.perf_counter() - started:8.2f} s, {memory_mb() - before:.0f} MB")
    prompt = Prompt.objects.get(name="prompt-1")
    point(prompt, "production", "2.2")
    started = time.perf_counter()
    cache.refresh()
    print(f"reload after a label's move  {(time.perf_counter() - started) * 1e3:8.2f} ms")
    print(f"poll without a change        {seconds_per_call(cache.refresh, 1000) * 1e3:8.2f} ms")


def measure_requests(authorization: str) -> None:
    from rollout.serving.endpoint import get_prompt

    def ask(name: str, queries: list[str], **request: str) -> Callable[[], object]:
        asked = cycle(queries)
        return lambda: get_prompt(method="GET", name=name, query=next(asked), authorization=authorization, **request)

    units = [f"unit=user-{i}" for i in range(20_000)]
    first = get_prompt(method="GET", name="prompt-1", authorization=authorization)
    etag = dict(first.headers)["ETag"]
    message, body = b"4f1d0c9a7b3e58265d0e94c1a2b3f607:user-12345", json.loads(first.body)
    print(f"{'':28} {'us':>8} {'per s':>10}")
    for name, call in {
        "one SHA-256": lambda: sha256(message).digest(),
        "one JSON dump of an answer": lambda: json.dumps(body).encode(),
        "GET, label": ask("prompt-1", [""]),
        "GET, rollout, 20 000 units": ask("prompt-0", units),
        "GET, rollout, no unit": ask("prompt-0", [""]),
        "GET, pinned": ask("prompt-1", ["version=2.2"]),
        "GET, 304": ask("prompt-1", [""], if_none_match=etag),
        "GET, unknown prompt": ask("nothing", [""]),
    }.items():
        took = seconds_per_call(call, 20_000)
        print(f"{name:28} {took * 1e6:8.2f} {1 / took:10.0f}")


def seconds_per_call(call: Callable[[], object], calls: int) -> float:
    """The best of three rounds."""
    rounds = []
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(calls):
            call()
        rounds.append((time.perf_counter() - started) / calls)
    return min(rounds)


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
