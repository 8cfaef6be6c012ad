"""Whose scores are evidence for a rollout? Where its plan pinned an evaluator, only those of that version of it."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from observability.models import EvaluatorKind, JudgedShare


class Pin(NamedTuple):
    """An evaluator's version, as `faithfulness@3`. external: whether its scores are posted by others."""

    evaluator: str
    external: bool

    def admits(self, *, evaluator: str | None, probability: float | None) -> bool:
        """Whether a score is of this version. What it gave itself bears the probability of its call: others, who can
        write any name into what they post, cannot write that."""
        return evaluator == self.evaluator and (self.external or probability is not None)


Pins = Mapping[tuple[str, str], Pin]  # by rollout and name of score


def pins(rollouts: Collection[str]) -> Pins:
    """What was pinned when they started; nothing of a rollout that pinned nothing, or that there never was."""
    if not rollouts:
        return {}
    version = "evaluator_version__"
    rows = JudgedShare.objects.filter(rollout__in=rollouts).values_list(
        "rollout",
        *(f"{version}{name}" for name in ("evaluator__score", "evaluator__name", "ordinal", "kind")),
    )
    return {
        (rollout, score): Pin(f"{name}@{ordinal}", external=kind == EvaluatorKind.EXTERNAL)
        for rollout, score, name, ordinal, kind in rows.distinct()
    }
