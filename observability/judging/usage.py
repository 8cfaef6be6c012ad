"""What asking a model took, as prices need it, and its texts as they are sent and stored."""

import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from observability.core.scrubbing import CUT_MARK
from registry.core.validation import UNSTORABLE


@dataclass(frozen=True, slots=True)
class Usage:
    """As core.prices.Usage asks for it. input_tokens: all of them, None where the answer does not say."""

    provider: str | None
    request_model: str | None
    response_model: str | None
    input_tokens: int | None
    output_tokens: int | None
    started_ns: int
    cached_tokens: int | None = None
    is_llm_call: bool = True
    cache_write_tokens: int | None = None
    reported_usd: Decimal | None = None

    @classmethod
    def now(
        cls,
        provider: str,
        request_model: str,
        response_model: str | None,
        input_tokens: int | None,
        output_tokens: int | None,
        cached_tokens: int | None = None,
    ) -> Self:
        return cls(provider, request_model, response_model, input_tokens, output_tokens, time.time_ns(), cached_tokens)


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + CUT_MARK


def storable(text: str, longest: int) -> str:
    """Without what no database takes."""
    return UNSTORABLE.sub("", text)[:longest]
