"""What a call cost: by an override of the project's own, else by the price table inside the genai-prices package, else
as its client reported it.

Both arms of a rollout are measured with one ruler that way, whichever instrumentation is on: what clients report is a
price table of their own, of whatever date. The table is never fetched from anywhere. A call that nothing prices has no
cost, which is None and never 0.
"""

import gc
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple, Protocol

from observability.core.conversions import USD_STEP

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider, TieredPrices

    Price = Decimal | TieredPrices

REPORTED = "reported"
GENAI_PRICES = "genai-prices"
OVERRIDE = "override"
TABLE_VERSION = version("genai-prices")

MINUTE_NS = 60 * 10**9
# Rates are whole numbers of 10^-24 USD: exact, since the table has up to 18 decimals for a million tokens, and four
# times as fast as decimals.
UNITS_PER_USD = 10**24
UNITS_PER_STEP = 10**12  # of USD_STEP
PER_TOKENS = 1_000_000
PER_CALLS = 1_000
# What OpenTelemetry calls some providers, as the price table calls them; the others it knows under either name.
PROVIDERS = {"azure.ai.inference": "azure", "azure.ai.openai": "azure", "x_ai": "x-ai"}
DATED = re.compile(r"-20\d\d-\d\d-\d\d\Z")


class Cost(NamedTuple):
    """source: REPORTED, GENAI_PRICES or OVERRIDE. version: of the table, or which override; None as reported."""

    usd: Decimal
    source: str
    version: str | None


class Usage(Protocol):
    """What a price depends on, of a call that arrives (core.calls.CallFacts) or is stored.

    input_tokens: all of them, those read from and written to a cache as well.
    """

    @property
    def provider(self) -> str | None: ...
    @property
    def request_model(self) -> str | None: ...
    @property
    def response_model(self) -> str | None: ...
    @property
    def is_llm_call(self) -> bool: ...
    @property
    def input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...
    @property
    def cached_tokens(self) -> int | None: ...
    @property
    def cache_write_tokens(self) -> int | None: ...
    @property
    def reported_usd(self) -> Decimal | None: ...
    @property
    def started_ns(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Override:
    """A project's own price of the models whose name the pattern matches, of calls that start at since_ns or later.

    provider: empty for any. pattern: a glob in lower case. input, cached, written, output: USD for a million tokens.
    call: USD for each call beside them.
    """

    id: int
    provider: str
    pattern: str
    since_ns: int
    input: Decimal
    cached: Decimal
    written: Decimal
    output: Decimal
    call: Decimal


@dataclass(frozen=True, slots=True, eq=False)
class Overrides:
    """The project's overrides. Compared by identity: what was found with them is remembered for as long as they live.

    In the order in which they are asked: the one in effect for the shortest time, then the longer pattern, then one
    for a provider, then the one that was made last.
    """

    in_order: tuple[Override, ...]

    @classmethod
    def of(cls, overrides: list[Override]) -> "Overrides":
        order = sorted(overrides, key=lambda o: (o.since_ns, len(o.pattern), bool(o.provider), o.id), reverse=True)
        return cls(tuple(order))


NO_OVERRIDES = Overrides(())


class Rates(NamedTuple):
    """What a call that started at since_ns or later with more than `above` input tokens costs, in units.

    For each token, and `call` beside them. output: None where the model has none, as one for embeddings. source and
    version: as in Cost.
    """

    source: str
    version: str
    since_ns: int
    above: int
    input: int
    cached: int
    written: int
    output: int | None
    call: int


def cost_of(call: Usage, overrides: Overrides) -> Cost | None:
    """By an override, else by the table, else as reported, unless that is the 0 some clients write for "unknown"."""
    priced = _price(call, overrides)
    if priced is not None:
        return priced
    reported = call.reported_usd
    if reported is not None and (reported or not (call.input_tokens or call.output_tokens)):
        return Cost(reported, REPORTED, None)
    return None


def _price(call: Usage, overrides: Overrides) -> Cost | None:
    total, output, started_ns = call.input_tokens, call.output_tokens, call.started_ns
    if output is None and not call.is_llm_call:
        output = 0
    if total is None or output is None:
        return None
    cached, written = call.cached_tokens or 0, call.cache_write_tokens or 0
    fresh = total - cached - written
    if fresh < 0:
        return None
    known = _rates_of(call.provider, call.response_model, call.request_model, started_ns // MINUTE_NS, overrides)
    for rates in known:
        if total > rates.above and started_ns >= rates.since_ns:
            return _priced(rates, fresh, cached, written, output)
    return None


def _priced(rates: Rates, fresh: int, cached: int, written: int, output: int) -> Cost | None:
    if output and rates.output is None:
        return None
    units = rates.input * fresh + rates.cached * cached + rates.written * written + rates.call
    units += (rates.output or 0) * output
    if not units and rates.source is GENAI_PRICES:
        return None  # the table's 0 says that nobody knows, an override's that it is free
    return Cost((units + UNITS_PER_STEP // 2) // UNITS_PER_STEP * USD_STEP, rates.source, rates.version)


@lru_cache(maxsize=4096)
def _rates_of(
    provider: str | None, response_model: str | None, request_model: str | None, minute: int, overrides: Overrides
) -> tuple[Rates, ...]:
    """What the model cost in that minute since 1970, in the order in which to ask; nothing where it has no price."""
    ours = _of_overrides(provider, response_model, request_model, minute * MINUTE_NS, overrides)
    if ours and ours[-1].since_ns <= minute * MINUTE_NS:
        return tuple(ours)
    return (*ours, *_of_table(provider, response_model, request_model, minute))


def _of_overrides(
    provider: str | None, response_model: str | None, request_model: str | None, minute_ns: int, overrides: Overrides
) -> list[Rates]:
    """The overrides of the first of the model's names that any matches, down to one that is in effect all minute."""
    begun = [
        override
        for override in overrides.in_order
        if override.since_ns < minute_ns + MINUTE_NS and override.provider in ("", provider)
    ]
    found: list[Rates] = []
    for name in _names(response_model, request_model) if begun else ():
        for override in begun:
            if fnmatchcase(name.lower(), override.pattern):
                found.append(_of_override(override))
                if override.since_ns <= minute_ns:
                    return found
    return found


def _of_override(override: Override) -> Rates:
    return Rates(
        OVERRIDE,
        f"override {override.id}",
        override.since_ns,
        above=-1,
        input=_units(override.input, PER_TOKENS),
        cached=_units(override.cached, PER_TOKENS),
        written=_units(override.written, PER_TOKENS),
        output=_units(override.output, PER_TOKENS),
        call=_units(override.call, 1),
    )


def _of_table(
    provider: str | None, response_model: str | None, request_model: str | None, minute: int
) -> tuple[Rates, ...]:
    """The table's, the most input tokens first. Some prices begin on a day, or hold for some hours of each day."""
    model = _find_model(provider, response_model, request_model) if provider is not None else None
    if model is None:
        return ()
    prices = model.get_prices(datetime.fromtimestamp(minute * 60, UTC))
    if prices.input_mtok is None:
        return ()
    cached = prices.input_mtok if prices.cache_read_mtok is None else prices.cache_read_mtok
    written = prices.input_mtok if prices.cache_write_mtok is None else prices.cache_write_mtok
    in_parts = (prices.input_mtok, cached, written, prices.output_mtok, prices.requests_kcount)
    bounds = {-1, *(tier.start for part in in_parts for tier in getattr(part, "tiers", ()))}
    return tuple(_of_tiers(above, *in_parts) for above in sorted(bounds, reverse=True))


def _of_tiers(
    above: int, fresh: "Price", cached: "Price", written: "Price", output: "Price | None", call: "Price | None"
) -> Rates:
    return Rates(
        GENAI_PRICES,
        TABLE_VERSION,
        since_ns=0,
        above=above,
        input=_units(_of_tier(fresh, above), PER_TOKENS),
        cached=_units(_of_tier(cached, above), PER_TOKENS),
        written=_units(_of_tier(written, above), PER_TOKENS),
        output=None if output is None else _units(_of_tier(output, above), PER_TOKENS),
        call=0 if call is None else _units(_of_tier(call, above), PER_CALLS),
    )


def _units(usd: Decimal, per: int) -> int:
    return int(usd * (UNITS_PER_USD // per))


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
