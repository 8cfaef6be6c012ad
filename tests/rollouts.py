"""Given a rollout: legal objects made by the services, evidence as ingest would add it, and looks at it."""

import random
from collections.abc import Mapping
from typing import Any

from common.actors import Actor
from common.clock import now
from observability import evidence
from observability.core.evidence import Exposure, Observation
from registry import services as registry
from registry.core.content import Content
from registry.models import Prompt
from rollout import services
from rollout.evaluation import look
from rollout.models import Rollout

ANNA = Actor("user", "anna")
PLAN = {
    "steps": [{"weight": "5%", "hold": "10s"}, {"weight": "50%", "hold": "10s"}],
    "metrics": [{"name": "error_rate"}, {"name": "hallucination", "kind": "rate"}],
    "look_every": "1s",
}


def prompt(name: str = "order-extractor", *, versions: int = 2) -> Prompt:
    """A prompt with versions v1.0, v1.1, …; production is at v1.0."""
    made = registry.create_prompt(name=name, actor=ANNA)
    for number in range(versions):
        content = Content("text", f"Extract the order, way {number}: {{{{ order_text }}}}")
        registry.publish_version(prompt_name=name, content=content, notes="a better way", actor=ANNA)
    registry.move_label(prompt_name=name, label="production", version="1.0", reason="go live", actor=ANNA)
    return made


def rollout(name: str = "order-extractor", *, start: bool = True, **plan: Any) -> Rollout:
    """A rollout of v1.1 over v1.0 under PLAN, but for what is given."""
    prompt(name)
    return services.create_rollout(prompt_name=name, canary="1.1", plan=PLAN | plan, start=start, actor=ANNA)


def observe(rollout: Rollout, metric: str, *, control: tuple[int, int], canary: tuple[int, int], seed: int = 7) -> None:
    """Add evidence of a rate on the rollout's step: (calls, of them 1s) of each arm, each call by another unit."""
    dice = random.Random(seed)
    for arm, version_id, (calls, ones) in (
        ("control", rollout.control_id, control),
        ("canary", rollout.canary_id, canary),
    ):
        evidence.add(
            Observation(Exposure(rollout.id, rollout.step, arm, dice.randrange(256)), version_id, metric, value)
            for value in [1000] * ones + [0] * (calls - ones)
        )


def observe_many(rollout: Rollout, metric: str, *, control: tuple[int, int], canary: tuple[int, int]) -> None:
    """As `observe`, in one row a unit bucket: calls and 1s spread over all buckets as evenly as can be."""
    evidence.add(
        Observation(Exposure(rollout.id, rollout.step, arm, bucket), version_id, metric, value, count)
        for arm, version_id, (calls, ones) in (
            ("control", rollout.control_id, control),
            ("canary", rollout.canary_id, canary),
        )
        for value, total in ((1000, ones), (0, calls - ones))
        for bucket in range(256)
        if (count := total // 256 + (bucket < total % 256))
    )


def observe_values(
    rollout: Rollout,
    measure: str,
    *,
    control: Mapping[int, int],
    canary: Mapping[int, int],
    step: int | None = None,
    units: int = 256,
) -> None:
    """Add evidence by bin, on the rollout's step or an earlier one, spread evenly over this many unit buckets."""
    on = rollout.step if step is None else step
    for arm, version_id, bins in (("control", rollout.control_id, control), ("canary", rollout.canary_id, canary)):
        values = [bin_ for bin_, n in bins.items() for _ in range(n)]
        evidence.add(
            Observation(Exposure(rollout.id, on, arm, 7 * number % units), version_id, measure, value)
            for number, value in enumerate(values)
        )


def look_now(rollout: Rollout) -> Rollout:
    """One look of the evaluator as if it were due, and the rollout after it."""
    Rollout.objects.filter(pk=rollout.pk, next_look_at__isnull=False).update(next_look_at=now())
    look(rollout.pk)
    rollout.refresh_from_db()
    return rollout
