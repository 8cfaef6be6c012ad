"""How good the data is that rollouts are judged on: observability's figures beside what the rollouts really served."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from observability.core.evidence import BUILT_IN_METRICS
from observability.selectors.hours import Exposed, ExposureKey
from observability.selectors.metrics import version_numbers
from observability.selectors.quality import Quality, exposures, quality
from rollout.models import Rollout
from rollout.selectors import rollouts

MOST_NAMED = 20  # of any list of names; the sums are of all


@dataclass(frozen=True, slots=True)
class Misassigned:
    """Calls under an exposure whose arm serves `expected`, but that name another version, or none that exists."""

    rollout: str
    arm: str
    expected: str
    version: str | None
    calls: int


@dataclass(frozen=True, slots=True)
class Scored:
    """How many of the canary's calls have a score of a name, in a rollout that is active."""

    rollout: str
    score: str
    canary_calls: int
    scored: int


@dataclass(frozen=True, slots=True)
class ExposureQuality:
    """unknown_rollouts: id → calls whose exposure names a rollout that there is not."""

    misassigned: list[Misassigned]
    unknown_rollouts: Counter[str]
    scored: list[Scored]


def data_quality_json(*, since: datetime, until: datetime) -> dict[str, Any]:
    """Every figure of docs/reference/data-quality.md."""
    found, exposed = quality(since=since, until=until), exposure_quality(since=since, until=until)
    return {
        "since": since,
        "until": until,
        "refused": found.refused,
        **_calls_json(found),
        **_exposures_json(exposed),
        "scores_without_a_call": {"waiting": found.scores_waiting, "given_up": found.scores_given_up},
    }


def exposure_quality(*, since: datetime, until: datetime) -> ExposureQuality:
    """What exposures say, held against the rollouts that they name."""
    found = exposures(since=since, until=until)
    ids = {key.rollout for key in found}
    known = {rollout.id: rollout for rollout in rollouts().filter(pk__in=ids)}
    unknown: Counter[str] = Counter()
    for key, exposed in found.items():
        if key.rollout not in known:
            unknown[key.rollout] += exposed.calls
    scored = [sums for rollout in known.values() if rollout.active for sums in _scored(rollout, found)]
    return ExposureQuality(_misassigned(found, known), unknown, scored)


def _misassigned(found: Mapping[ExposureKey, Exposed], known: Mapping[str, Rollout]) -> list[Misassigned]:
    wrong = {
        key: exposed.calls
        for key, exposed in found.items()
        if key.rollout in known and key.version_id != known[key.rollout].versions[key.arm]
    }
    numbers = version_numbers({key.version_id for key in wrong if key.version_id})
    misassigned = [
        Misassigned(
            key.rollout,
            key.arm,
            (known[key.rollout].canary if key.arm == "canary" else known[key.rollout].control).number,
            numbers.get(key.version_id or 0),
            calls,
        )
        for key, calls in wrong.items()
    ]
    return sorted(misassigned, key=lambda sums: (-sums.calls, sums.rollout, sums.arm, sums.version or ""))


def _scored(rollout: Rollout, found: Mapping[ExposureKey, Exposed]) -> list[Scored]:
    """By each score that the plan judges by or that came: one that never comes is told as 0."""
    canary = found.get(ExposureKey(rollout.id, "canary", rollout.canary_id), Exposed(0, {}))
    planned = {metric["name"] for metric in rollout.plan["metrics"]} - BUILT_IN_METRICS
    return [
        Scored(rollout.id, name, canary.calls, canary.scored.get(name, 0))
        for name in sorted(planned | canary.scored.keys())
    ]


def _calls_json(found: Quality) -> dict[str, Any]:
    unpriced = sorted(found.unpriced.items(), key=lambda item: (-item[1].unpriced_tokens, item[0] or ""))
    return {
        "calls": found.calls,
        "calls_without_prompt": found.without_prompt,
        "calls_without_version": found.without_version,
        "calls_with_unknown_version": {
            "calls": found.unknown_versions.total(),
            "versions": [
                {"prompt": prompt, "version": version, "calls": n}
                for (prompt, version), n in found.unknown_versions.most_common(MOST_NAMED)
            ],
        },
        "ttft_is_total": {"calls": found.ttft_is_total, "streams": found.streams},
        "merged_calls": found.merged,
        "held_attempts": found.held_attempts,
        "unpriced": {
            "calls": sum(spending.unpriced for _, spending in unpriced),
            "tokens": sum(spending.unpriced_tokens for _, spending in unpriced),
            "models": [
                {"model": model, "calls": spending.unpriced, "tokens": spending.unpriced_tokens}
                for model, spending in unpriced[:MOST_NAMED]
            ],
        },
    }


def _exposures_json(found: ExposureQuality) -> dict[str, Any]:
    return {
        "calls_with_unassigned_version": {
            "calls": sum(sums.calls for sums in found.misassigned),
            "versions": [
                {
                    "rollout": sums.rollout,
                    "arm": sums.arm,
                    "expected": sums.expected,
                    "version": sums.version,
                    "calls": sums.calls,
                }
                for sums in found.misassigned[:MOST_NAMED]
            ],
        },
        "calls_with_unknown_rollout": {
            "calls": found.unknown_rollouts.total(),
            "rollouts": [{"rollout": id_, "calls": n} for id_, n in found.unknown_rollouts.most_common(MOST_NAMED)],
        },
        "canary_calls_scored": [
            {
                "rollout": sums.rollout,
                "score": sums.score,
                "canary_calls": sums.canary_calls,
                "scored": sums.scored,
                "share": sums.scored / sums.canary_calls if sums.canary_calls else None,
            }
            for sums in found.scored
        ],
    }
