"""What happened, as the API answers it (product.md, section 5)."""

from typing import Any

from observability.models import Call, Score


def call_json(call: Call) -> dict[str, Any]:
    """A call with its scores; null is what the client did not say, and a cost that is not known."""
    exposure = call.exposure
    return {
        "trace_id": bytes(call.trace_id).hex(),
        "span_id": bytes(call.span_id).hex(),
        "response_id": call.response_id,
        "prompt": call.prompt_name,
        "version": call.version_number,
        "exposure": str(exposure) if exposure else None,
        "provider": call.provider,
        "request_model": call.request_model,
        "response_model": call.response_model,
        "operation": call.operation,
        "stream": call.stream,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "cached_tokens": call.cached_tokens,
        "reasoning_tokens": call.reasoning_tokens,
        "ttft_ms": call.ttft_ms,
        "inter_token_ms": call.inter_token_ms,
        "duration_ms": call.duration_ms,
        "cost_usd": None if call.cost_usd is None else f"{call.cost_usd.normalize():f}",
        "cost_source": call.cost_source,
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
    """counts: whether it is the first of its name for its call, which alone is evidence."""
    return {
        "id": score.key,
        "name": score.name,
        "value": score.value,
        "label": score.label,
        "comment": score.comment,
        "source": score.source,
        "evaluator": score.evaluator,
        "counts": score.counts,
        "received_at": score.received_at,
    }


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


def _state(score: Score) -> str:
    """joined, waiting, gave_up, or by_exposure for one that is about no call."""
    if score.call_id is not None:
        return "joined"
    return "waiting" if score.waiting else "gave_up" if score.gave_up else "by_exposure"
