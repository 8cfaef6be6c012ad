"""Given calls: stored as ingest stores them, and remembered as plain values that figures can be checked against."""

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.scores import NewScore
from observability.ingest import writer
from observability.services.scores import record_scores
from tests import make, traces

HOUR_S = 3600.0


@dataclass(frozen=True)
class Seen:
    """What was sent of one call. version: as people write it, or as it was sent where there is no such version."""

    age_s: float
    prompt: str | None
    version: str | None
    known_version: bool
    label: str | None
    environment: str | None
    feature: str | None
    user: str | None
    error: bool
    ttft_ms: float | None
    duration_ms: float
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal | None
    scores: tuple[tuple[str, float, str], ...]


def ingest(*spans: Any) -> None:
    writer.store(decode_protobuf(traces.body(*spans), WANTED).spans)


def crowd(n: int, *, ages_h: tuple[float, ...], seed: int = 7) -> list[Seen]:
    """Store n calls of all kinds, spread over hours that are so old, with their scores; answers with what they were."""
    dice = random.Random(seed)
    prompt = make.prompt()
    make.version(prompt, "1.0")
    make.version(prompt, "1.1", template="Another way: {{ order_text }}")
    calls = [_draw(dice, dice.choice(ages_h)) for _ in range(n)]
    ingest(*(_span(call, number) for number, call in enumerate(calls)))
    record_scores(
        scores=[
            NewScore(name=name, value=value, source=source, span_id=traces.span_id(number).hex())
            for number, call in enumerate(calls)
            for name, value, source in call.scores
        ]
    )
    return calls


def _draw(dice: random.Random, age_h: float) -> Seen:
    prompt = dice.choice(["order-extractor", "order-extractor", "output-guard", None])
    version = dice.choice(["v1.0", "v1.1", "v9.9"]) if prompt else None
    error, streams = dice.random() < 0.1, dice.random() < 0.7
    duration_ms = dice.lognormvariate(6, 1)
    scores = [("tone", dice.random(), dice.choice(["judge", "user"]))] if dice.random() < 0.5 else []
    if dice.random() < 0.3:
        scores.append(("correct", float(dice.random() < 0.8), "check"))
    return Seen(
        age_s=age_h * HOUR_S,
        prompt=prompt,
        version=version,
        known_version=prompt == "order-extractor" and version != "v9.9",
        label=dice.choice(["production", None]),
        environment=dice.choice(["eu", "us", None]),
        feature=dice.choice(["checkout", "search", None]),
        user=dice.choice(["ann", "bob", None]),
        error=error,
        ttft_ms=dice.uniform(0.05, 1.0) * duration_ms if streams and not error else None,
        duration_ms=duration_ms,
        input_tokens=dice.randrange(1, 1000),
        output_tokens=dice.randrange(10, 1000),
        cost_usd=Decimal(dice.randrange(1, 100_000)).scaleb(-6) if dice.random() < 0.8 else None,
        scores=tuple(scores),
    )


def _span(call: Seen, number: int) -> Any:
    told = {
        "gen_ai.prompt.name": call.prompt,
        "gen_ai.prompt.version": call.version,
        "serinus.label": call.label,
        "deployment.environment.name": call.environment,
        "feature": call.feature,
        "user.id": call.user,
        "gen_ai.usage.input_tokens": call.input_tokens,
        "gen_ai.usage.output_tokens": call.output_tokens,
        "gen_ai.response.time_to_first_chunk": call.ttft_ms and call.ttft_ms / 1000,
        "gen_ai.request.model": "house-model",
        "gen_ai.usage.cost": call.cost_usd and float(call.cost_usd),
        "error.type": "RateLimitError" if call.error else None,
    }
    attributes = traces.CHAT | {key: value for key, value in told.items() if value is not None}
    return traces.span(attributes, number=number, trace=number, ms=call.duration_ms, age_s=call.age_s)
