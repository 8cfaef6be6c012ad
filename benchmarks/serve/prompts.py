"""The prompts that are served, and their life meanwhile. Runs inside `manage.py shell`, so that Django is set up."""

import json
import sys
import time

from benchmarks.serve.scene import FIRST_MOVED, MOVES_PER_S, PROMPTS, VERSIONS, WEIGHT_BP
from common.clock import now
from registry import services
from registry.models import Label, Prompt, PromptVersion
from tests import make
from tests.served import make_rollout

TEMPLATE = "Extract {{ order }}. " + "Answer in JSON, and only in JSON. " * 58


def fill() -> None:
    """The prompts, a rollout at 5 % of one's production, a key, which is printed."""
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
    make_rollout(prompts[0], canary="2.3", weight_bp=WEIGHT_BP)
    print(make.key("read"))


def move_labels() -> None:
    """For each line, which tells for how many seconds: move labels, then tell how it went."""
    print("ready", flush=True)
    moved = 0
    for line in sys.stdin:
        started, until = time.monotonic(), moved + round(float(line) * MOVES_PER_S)
        while moved < until:
            _move(moved)
            moved += 1
            time.sleep(max(0, started + float(line) - (until - moved) / MOVES_PER_S - time.monotonic()))
        name, version = _target(moved - 1)
        took_s = time.monotonic() - started
        print(json.dumps({"took_s": took_s, "name": name, "version": version}), flush=True)


def _move(count: int) -> None:
    name, version = _target(count)
    services.move_label(prompt_name=name, label="production", version=version, reason="benchmark", actor=make.ANNA)


def _target(count: int) -> tuple[str, str]:
    """Every prompt's production goes to v2.2, then every one's to v2.3."""
    passed, index = divmod(count, PROMPTS - FIRST_MOVED)
    return f"prompt-{FIRST_MOVED + index}", f"v2.{2 + passed}"
