"""The explanation of a verdict for programs: everything that somebody needs who recomputes it without this code."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rollout.core.stats import metric as statistics
from rollout.core.stats import mixtures, sample_ratio
from rollout.core.stats.mixtures import Question
from rollout.core.stats.sample_ratio import CONCENTRATION, Counted, log_bayes_factor
from rollout.explanation import Account, Explanation, Folded


def explanation_json(explained: Explanation) -> dict[str, Any]:
    """verdict: as stored. Bins are those of `bins`; logarithms are natural; a metric without a batch has no frozen."""
    verdict, rollout = explained.verdict, explained.verdict.rollout
    return {
        "verdict": {"id": verdict.pk, "step": verdict.step, "body": verdict.body},
        "rollout": {
            "id": rollout.pk,
            "prompt": rollout.prompt.name,
            "label": rollout.label.name,
            "control": rollout.control.number,
            "canary": rollout.canary.number,
            "plan": rollout.plan,
        },
        "metrics": [_metric(account) for account in explained.accounts],
        "overall": {
            "weights": {
                account.report.name: account.report.weight
                for account in explained.accounts
                if account.report.role == "guardrail"
            },
            "log_e_harm": explained.found.log_e_harm,
        },
        "sample_ratio": {
            "concentration": CONCENTRATION,
            "log_threshold": sample_ratio.LOG_THRESHOLD,
            "counted": _counted(explained.inputs.sample_ratio),
            "log_e": explained.found.log_e_sample_ratio,
            "of_scores": {name: _counted(counted) for name, counted in explained.inputs.judged_ratio.items()},
            "log_e_of_scores": explained.found.log_e_judged_ratio,
        },
        "spend": _spend(explained),
        "rules": [asdict(rule) for rule in explained.rules],
        "finding": asdict(explained.finding),
        "differences": [asdict(difference) for difference in explained.differences],
    }


def _spend(explained: Explanation) -> dict[str, Any] | None:
    """By arm; null where it was not recorded."""
    spend = explained.inputs.spend
    return None if spend is None else {arm: of_arm.to_json() for arm, of_arm in spend.items()}


def _metric(account: Account) -> dict[str, Any]:
    metric, report = account.metric, account.report
    about = {"name": metric.name, "declared": metric.declared, "baseline": metric.baseline}
    if account.frozen is None or account.state is None:
        return {
            **about,
            "frozen": None,
            "batches": [],
            "log_e_harm": report.log_e_harm,
            "log_e_safe": report.log_e_safe,
        }
    process, state = account.frozen.process, account.state
    return {
        **about,
        "frozen": account.frozen.to_json(),
        "batches": [_folded(account.frozen, folded) for folded in account.folded],
        "harm": _question(mixtures.of_harm(process), state.harm, report.design_effect),
        "safe": _question(mixtures.of_safety(process), state.safe, report.design_effect),
        "design_effect": report.design_effect,
        "log_e_harm": report.log_e_harm,
        "log_e_safe": report.log_e_safe,
        "max_log_e_safe": report.max_log_e_safe,
    }


def _folded(frozen: statistics.Frozen, folded: Folded) -> dict[str, Any]:
    """memory: what was known of earlier batches. increments: of each alternative, in the order of `alternatives`.
    log_e_*: after the batch."""
    batch, increments = folded.batch, folded.weighed.increments
    return {
        "number": batch.number,
        "step": batch.step,
        "closed_at": batch.closed_at.isoformat().replace("+00:00", "Z"),
        "control": batch.control,
        "canary": batch.canary,
        "design_effect": batch.design_effect,
        "memory": list(folded.before.memory),
        "increments": {"harm": increments.harm.tolist(), "safe": increments.safe.tolist()},
        "log_e_harm": statistics.log_e_harm(frozen, folded.after),
        "log_e_safe": statistics.log_e_safe(frozen, folded.after),
    }


def _question(question: Question, logs: Sequence[float], design_effect: float) -> dict[str, Any]:
    return {
        "together": question.together,
        "mixtures": [
            {
                "asks": mixture.asks,
                "adds": mixture.adds,
                "where": list(mixture.where),
                "alternatives": [
                    {"symbol": symbol, "point": point, "weight": weight, "log_e": log}
                    for symbol, point, weight, log in zip(
                        mixture.symbols, mixture.grid.points, mixture.grid.weights, of_mixture, strict=True
                    )
                ],
                "log_e": mixtures.log_e(mixture, of_mixture, design_effect=design_effect),
            }
            for mixture, of_mixture in question.split(logs)
        ],
    }


def _counted(counted: Sequence[Counted]) -> list[dict[str, float]]:
    return [{**asdict(one), "log_e": log_bayes_factor([one])} for one in counted]
