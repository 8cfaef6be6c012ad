"""What a call cost: as its span reports it, else by the price table inside the genai-prices package.

The table is never fetched from anywhere. A call that it does not price has no cost, which is None and never 0.
"""

import gc
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from observability.core.calls import CallFacts
from observability.core.conversions import USD_STEP

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider, TieredPrices

    Price = Decimal | TieredPrices

REPORTED = "reported"
GENAI_PRICES = "genai-prices"
OVERRIDE = "override"

MINUTE_NS = 60 * 10**9
PER_TOKENS = 1_000_000
PER_CALLS = 1_000
# What OpenTelemetry calls some providers, as the price table calls them; the others it knows under either name.
PROVIDERS = {"azure.ai.inference": "azure", "azure.ai.openai": "azure", "x_ai": "x-ai"}
DATED = re.compile(r"-20\d\d-\d\d-\d\d\Z")


@dataclass(frozen=True, slots=True)
class Cost:
    """source: REPORTED or GENAI_PRICES."""

    usd: Decimal
    source: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """What a call with more than `above` input tokens costs, in USD: for each token, and `call` beside them.

    output: None where the model has none, as one for embeddings.
    """

    above: int
    input: Decimal
    cached: Decimal
    output: Decimal | None
    call: Decimal


def cost_of(call: CallFacts) -> Cost | None:
    """The reported cost, unless it is the 0 that some clients write for "unknown"; else by the table; else None."""
    reported = call.reported_usd
    if reported is not None and (reported or not (call.input_tokens or call.output_tokens)):
        return Cost(reported, REPORTED)
    priced = _price(call)
    return Cost(priced, GENAI_PRICES) if priced else None


def _price(call: CallFacts) -> Decimal | None:
    provider, total, cached = call.provider, call.input_tokens, call.cached_tokens or 0
    output = call.output_tokens if call.is_llm_call else call.output_tokens or 0
    if provider is None or total is None or output is None or cached > total:
        return None
    tiers = _tiers(provider, call.response_model, call.request_model, call.started_ns // MINUTE_NS)
    rates = next((rates for rates in tiers if total > rates.above), None)
    if rates is None or (output and rates.output is None):
        return None
    usd = rates.input * (total - cached) + rates.cached * cached + (rates.output or 0) * output + rates.call
    return usd.quantize(USD_STEP)


@lru_cache(maxsize=4096)
def _tiers(provider: str, response_model: str | None, request_model: str | None, minute: int) -> tuple[Rates, ...]:
    """What the model cost in that minute since 1970, the most input tokens first; nothing where it has no price.

    Some prices begin on a day, or hold for some hours of each day.
    """
    model = _find_model(provider, response_model, request_model)
    if model is None:
        return ()
    prices = model.get_prices(datetime.fromtimestamp(minute * 60, UTC))
    if prices.input_mtok is None:
        return ()
    cached = prices.input_mtok if prices.cache_read_mtok is None else prices.cache_read_mtok
    in_parts = (prices.input_mtok, cached, prices.output_mtok, prices.requests_kcount)
    bounds = {-1, *(tier.start for part in in_parts for tier in getattr(part, "tiers", ()))}
    return tuple(_rates(above, *in_parts) for above in sorted(bounds, reverse=True))


def _rates(above: int, fresh: "Price", cached: "Price", output: "Price | None", call: "Price | None") -> Rates:
    return Rates(
        above,
        input=_of_tier(fresh, above) / PER_TOKENS,
        cached=_of_tier(cached, above) / PER_TOKENS,
        output=None if output is None else _of_tier(output, above) / PER_TOKENS,
        call=Decimal(0) if call is None else _of_tier(call, above) / PER_CALLS,
    )


def _of_tier(price: "Price", above: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    return next((tier.price for tier in reversed(price.tiers) if tier.start <= above), price.base)


@lru_cache(maxsize=1024)
def _find_model(provider: str, response_model: str | None, request_model: str | None) -> "ModelInfo | None":
    """The table's entry for the model, by the first of its names that the provider's list knows."""
    # Not through the package's own look-up, whose caches grow with every name that a client makes up.
    from genai_prices.data_snapshot import find_provider_by_id

    providers = _table()
    known = find_provider_by_id(providers, PROVIDERS.get(provider, provider))
    if known is None:
        return None
    found = (known.find_model(name, all_providers=providers) for name in _names(response_model, request_model))
    return next(filter(None, found), None)


@cache
def _table() -> "list[Provider]":
    """The table, imported when first asked for: only a process that takes traces in has to spend 0.2 s and 30 MB."""
    from genai_prices.data import providers

    gc.freeze()  # it is 40 000 objects that never die: every full collection would take 25 ms to find that out
    return providers


def _names(*models: str | None) -> list[str]:
    """The models' names as they came, then without a date, then without a path such as `openai/` in front."""
    whole = [name for name in models if name]
    dateless = [DATED.sub("", name) for name in whole]
    return list(dict.fromkeys([*whole, *dateless, *(name.rpartition("/")[2] for name in whole + dateless)]))
