"""What a plan that says nothing would judge a prompt's canary by, as the form of a plan shows it."""

from collections.abc import Mapping
from dataclasses import dataclass

from registry.models import Label, PromptVersion
from rollout.core.plan import Kind, PlanMetric
from rollout.formats import margin
from rollout.past import baseline_of, seen_lately
from rollout.plans import read_plan, resolve_margin


@dataclass(frozen=True, slots=True)
class Usual:
    """A metric of the default plan. margin: in words, as it would be resolved now."""

    name: str
    kind: Kind
    margin: str


def usual_metrics(*, canary: PromptVersion, label: Label) -> Mapping[str, Usual]:
    """By name, in the plan's order."""
    plan = read_plan({}, seen=seen_lately(canary.prompt, canary))
    return {metric.name: Usual(metric.name, metric.kind, _margin(metric, label)) for metric in plan.metrics}


def _margin(metric: PlanMetric, label: Label) -> str:
    # Of the other kinds it does not depend on the past, which is not read for nothing.
    seen = baseline_of(metric, control_id=label.version_id) if metric.kind in ("rate", "complaint") else {}
    return margin(resolve_margin(0, metric, seen), metric.unit, metric.direction)
