"""The language model that the demo does without: how long an answer takes, what it costs, and when none comes."""

import random
from dataclasses import dataclass

from demo.prompts import FAILS

PROVIDER = "openai"
ERRORS = ("timeout", "429", "500")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from one call. error: its class when no answer came, else None. Times in seconds."""

    response_id: str
    model: str
    latency_s: float
    first_chunk_s: float
    input_tokens: int
    output_tokens: int
    error: str | None


def complete(model: str, rng: random.Random) -> Answer:
    """One streamed answer. No time passes: the times are drawn and reported, not waited for."""
    first_chunk_s = rng.lognormvariate(-1.1, 0.35)
    output_tokens = int(rng.lognormvariate(4.4, 0.3))
    return Answer(
        response_id=f"chatcmpl-{rng.getrandbits(96):024x}",
        model=f"{model}-2024-07-18",
        latency_s=first_chunk_s + output_tokens * rng.uniform(0.006, 0.009),
        first_chunk_s=first_chunk_s,
        input_tokens=rng.randint(180, 420),
        output_tokens=output_tokens,
        error=rng.choice(ERRORS) if rng.random() < FAILS else None,
    )
