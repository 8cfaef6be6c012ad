"""What happened, as the API answers it (product.md, section 5)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from observability.core.evidence import INTER_TOKEN_LATENCY, LATENCY, TTFT
from observability.core.figures import Figures, ScoreSums, mean_with_interval, percentile
from observability.core.objectives import ObjectiveStanding, Rate
from observability.models import Call, CallText, Dimension, Evaluation, Objective, Score
from observability.selectors.budgets import BudgetStanding, ValueStanding
from observability.selectors.hours import Spending
from observability.selectors.judging import Judged, Key

HASH_SHOWN = 12  # characters of a user's hash, where it is told to many
SHARES, PROBABILITIES, MILLISECONDS, FORESEEN_USD = 6, 9, 1, 6  # decimals: the others are noise


def call_json(call: Call) -> dict[str, Any]:
    """A call with its scores; null is what the client did not say, and a cost that is not known."""
    exposure = call.exposure
    return {
        "trace_id": bytes(call.trace_id).hex(),
        "span_id": bytes(call.span_id).hex(),
        "response_id": call.response_id,
        "prompt": call.prompt_name,
        "version": call.version_number,
        "label": call.label,
        "exposure": str(exposure) if exposure else None,
        "provider": call.provider,
        "request_model": call.request_model,
        "response_model": call.response_model,
        "operation": call.operation,
        "stream": call.stream,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "cached_tokens": call.cached_tokens,
        "cache_write_tokens": call.cache_write_tokens,
        "reasoning_tokens": call.reasoning_tokens,
        "ttft_ms": call.ttft_ms,
        "inter_token_ms": call.inter_token_ms,
        "duration_ms": call.duration_ms,
        "cost_usd": None if call.cost_usd is None else money(call.cost_usd),
        "cost_source": call.cost_source,
        "price_version": call.price_version,
        "reported_usd": None if call.reported_usd is None else money(call.reported_usd),
        "attempts": call.attempts,
        "finish_reason": call.finish_reason,
        "error": call.error,
        "error_class": call.error_class,
        "user_hash": call.user_hash,
        "session": call.session,
        "feature": call.feature,
        "environment": call.environment,
        "started_at": call.started_at,
        "scores": [score_json(score) for score in call.scores.all()],
    }


def score_json(score: Score) -> dict[str, Any]:
    """counts: whether it is the one of its name that counts for its call, which alone is evidence. probability: with
    which its call was chosen to be judged; by_design: not for what became of it."""
    return {
        "id": score.key,
        "name": score.name,
        "value": score.value,
        "label": score.label,
        "comment": score.comment,
        "source": score.source,
        "evaluator": score.evaluator,
        "counts": score.counts,
        "probability": rounded(score.probability, PROBABILITIES),
        "by_design": score.by_design,
        "received_at": score.received_at,
    }


def text_json(text: CallText) -> dict[str, Any]:
    """The texts are null where only their hashes are kept, and both where the client sent none."""
    call = text.call
    return {
        "trace_id": bytes(call.trace_id).hex(),
        "span_id": bytes(call.span_id).hex(),
        "input_text": text.input_text,
        "output_text": text.output_text,
        "input_sha256": text.input_sha256 and bytes(text.input_sha256).hex(),
        "output_sha256": text.output_sha256 and bytes(text.output_sha256).hex(),
        "kept_because": text.kept_because,
        "stored_at": text.stored_at,
    }


def figures_json(figures: Figures) -> dict[str, Any]:
    """Figures of calls; null is what cannot be told of none. Rates, percentiles and means are of what has them."""
    f = figures
    return {
        "calls": f.calls,
        "errors": dict(sorted(f.errors.items())),
        "error_rate": _ratio(f.errors.total(), f.calls),
        "attempts": f.attempts,
        "ttft_ms": _times_json(f.ttft, TTFT),
        "latency_ms": _times_json(f.latency, LATENCY),
        "inter_token_ms": _times_json(f.inter_token, INTER_TOKEN_LATENCY),
        "input_tokens": f.input_tokens,
        "output_tokens": f.output_tokens,
        "cached_tokens": f.cached_tokens,
        "cache_hit_rate": _hit_rate(f.told_cached_tokens, f.told_tokens),
        "reasoning_tokens": f.reasoning_tokens,
        "output_tokens_per_second": _ratio(f.timed_tokens, f.timed_ms / 1000),
        "cost_usd": money(f.cost_usd),
        "cost_per_call_usd": money(f.cost_usd / f.priced) if f.priced else None,
        "unpriced_calls": f.calls - f.priced,
        "scores": [_score_mean_json(*key, sums) for key, sums in sorted(f.scores.items())],
    }


def spending_json(spending: Spending) -> dict[str, Any]:
    """cost_usd: of the calls whose cost is known; unpriced_calls: the others."""
    return {
        "calls": spending.calls,
        "input_tokens": spending.input_tokens,
        "output_tokens": spending.output_tokens,
        "cost_usd": money(spending.cost_usd),
        "unpriced_calls": spending.unpriced,
        "unpriced_tokens": spending.unpriced_tokens,
    }


def budget_json(standings: BudgetStanding) -> dict[str, Any]:
    """values: that have spent most of it; over, full: how many have spent 80 % and all of it."""
    budget = standings.budget
    return {
        "id": budget.pk,
        "dimension": budget.dimension,
        "value": budget.value,
        "period": budget.period,
        "usd": money(budget.usd),
        "active": budget.active,
        "created_at": budget.created_at,
        "created_by": budget.created_by,
        "standing": {
            "values": [_standing_json(budget.dimension, standing) for standing in standings.values],
            "over": standings.over,
            "full": standings.full,
        },
    }


def objective_json(objective: Objective, standing: ObjectiveStanding) -> dict[str, Any]:
    """An objective with how it does now. Burn rates by window, the shortest first; null is what no call tells."""
    budget = standing.budget
    return {
        "id": objective.pk,
        "prompt": objective.prompt.name,
        "label": objective.label,
        "name": objective.name,
        "metric": objective.metric,
        "comparison": objective.comparison,
        "threshold": objective.threshold,
        "target_bp": objective.target_bp,
        "days": objective.days,
        "active": objective.active,
        "revision": objective.revision,
        "created_at": objective.created_at,
        "created_by": objective.created_by,
        "status": {
            "n": round(budget.n, 1),
            "attained": rounded(budget.attained),
            "allowed": rounded(objective.promise.allowed),
            "budget_spent": rounded(budget.spent),
            "budget_left": rounded(budget.left),
            "burn_rates": [_burn_rate_json(rate) for rate in standing.rates],
            "burning": standing.burning and str(standing.burning.tier.severity),
            "exhausted_at": standing.gone_at,
        },
    }


def rounded(value: float | None, decimals: int = SHARES) -> float | None:
    """Without the digits that a computer's arithmetic leaves: 0.1, and not 0.09999999999999998."""
    return None if value is None else round(value, decimals)


def named(dimension: str, value: str) -> str:
    """A user by the beginning of its hash only."""
    return value[:HASH_SHOWN] if dimension == Dimension.USER else value


def money(usd: Decimal) -> str:
    """Plain digits, to 12 decimals."""
    return f"{round(usd, 12).normalize():f}"


def _burn_rate_json(rate: Rate) -> dict[str, Any]:
    return {"window_s": int(rate.window.total_seconds()), "n": round(rate.n, 1), "burn_rate": rounded(rate.burn)}


def _standing_json(dimension: str, standing: ValueStanding) -> dict[str, Any]:
    return {
        "value": named(dimension, standing.value),
        "since": standing.span.since,
        "until": standing.span.until,
        "spent_usd": money(standing.spent),
        "share": rounded(float(standing.share)),
        "forecast_usd": None if standing.forecast is None else money(round(standing.forecast, FORESEEN_USD)),
    }


def _hit_rate(cached: int, told: int) -> float | None:
    """A provider that counts differently must not give more than all."""
    return min(cached / told, 1.0) if told else None


def _times_json(bins: Mapping[int, int], measure: str) -> dict[str, Any]:
    percentiles = {f"p{share}": percentile(bins, share / 100, measure) for share in (50, 95, 99)}
    return {"n": sum(bins.values()), **percentiles}


def _score_mean_json(name: str, source: str, sums: ScoreSums) -> dict[str, Any]:
    mean, low, high = mean_with_interval(sums)
    return {
        "name": name,
        "source": source,
        "n": sums.n,
        "effective_n": round(sums.effective_n, 1),
        "weighted": sums.is_weighted,
        "mean": mean,
        "interval": [low, high],
    }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def listed_score_json(score: Score) -> dict[str, Any]:
    """A score with its call, or with what it is about while it has none."""
    call = score.call
    return {
        **score_json(score),
        "state": _state(score),
        "target": score.target,
        "second_target": score.second_target,
        "trace_id": bytes(call.trace_id).hex() if call else None,
        "span_id": bytes(call.span_id).hex() if call else None,
    }


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """What became of asking one evaluator about one call; the reason that it gave is the score's comment."""
    call, score, cost_usd = evaluation.call, evaluation.score, evaluation.cost_usd
    return {
        "id": evaluation.pk,
        "prompt": evaluation.prompt.name,
        "evaluator": str(evaluation.evaluator_version),
        "trace_id": bytes(call.trace_id).hex(),
        "span_id": bytes(call.span_id).hex(),
        "status": evaluation.status,
        "missing": evaluation.missing or None,
        "score": score_json(score) if score else None,
        "probability": rounded(evaluation.probability, PROBABILITIES),
        "by_design": evaluation.by_design,
        "urgent": evaluation.urgent,
        "attempts": evaluation.attempts,
        "model": evaluation.model,
        "cost_usd": None if cost_usd is None else money(cost_usd),
        "latency_ms": rounded(evaluation.latency_ms, MILLISECONDS),
        "created_at": evaluation.created_at,
        "next_attempt_at": evaluation.next_attempt_at if evaluation.status == "waiting" else None,
        "settled_at": evaluation.settled_at,
    }


def judged_json(key: Key, judged: Judged) -> dict[str, Any]:
    """What an evaluator version came to on a prompt."""
    return {
        "prompt": key.prompt,
        "evaluator": key.version,
        "scored": judged.scored,
        "missing": judged.missing.total(),
        "missing_by_reason": dict(judged.missing),
        "cost_usd": money(judged.cost_usd),
        "priced": judged.priced,
        "latency_ms": {
            "p50": rounded(judged.latency_p50_ms, MILLISECONDS),
            "p95": rounded(judged.latency_p95_ms, MILLISECONDS),
        },
        "waiting": judged.waiting,
        "oldest_waiting_since": judged.oldest_at,
    }


def _state(score: Score) -> str:
    """joined, waiting, gave_up, or by_exposure for one that is about no call."""
    if score.call_id is not None:
        return "joined"
    return "waiting" if score.waiting else "gave_up" if score.gave_up else "by_exposure"
