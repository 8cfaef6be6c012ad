"""What calls cost: by an override, else by the price table, else as it was reported, else none."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage
from genai_prices.data import providers
from genai_prices.types import ModelInfo

from observability.core import prices
from observability.core.calls import CallFacts, find_calls
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.core.prices import NO_OVERRIDES, TABLE_VERSION, Cost, Override, Overrides, cost_of
from tests import traces

MINI = {
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
HOUSE = MINI | {"gen_ai.request.model": "house-model"}
PRICE_OF_MINI = Decimal("0.00021")  # 0.15 USD for a million tokens in, 0.60 out
USAGES = [  # tokens in, of those from the cache and into it, and out
    *((1000, 0, 0, 50), (1000, 400, 0, 50), (1000, 400, 300, 50), (1000, 0, 1000, 0)),
    *((200_000, 3, 5, 4), (200_001, 3, 5, 4), (300_000, 299_999, 1, 70)),
]
REPORTED = ["gen_ai.usage.cost", "gen_ai.cost.total_cost", "llm.cost.total"]


def fact(attributes: dict[str, Any]) -> CallFacts:
    (call,) = find_calls(decode_protobuf(traces.body(traces.span(traces.CHAT | attributes)), WANTED).spans).calls
    return call


def cost(**changes: Any) -> Cost | None:
    """The cost of a call of gpt-4o-mini with these changes; `gen_ai.` is left out of the names."""
    return cost_of(changed(**changes), NO_OVERRIDES)


def changed(**changes: Any) -> CallFacts:
    return fact(MINI | {f"gen_ai.{name.replace('__', '.')}": value for name, value in changes.items()})


def by_table(usd: Decimal) -> Cost:
    return Cost(usd, "genai-prices", TABLE_VERSION)


def override(pattern: str = "gpt-4o-mini", **fields: Any) -> Override:
    """A price of 1 USD for a million tokens in, 2 out, in force since ever."""
    usual = {"id": 12, "provider": "", "since_ns": 0, "input": Decimal(1), "output": Decimal(2), "call": Decimal(0)}
    given = usual | fields
    return Override(pattern=pattern, **{"cached": given["input"], "written": given["input"]} | given)


def cost_by(*overrides: Override, **changes: Any) -> Cost | None:
    return cost_of(changed(**changes), Overrides.of(list(overrides)))


@pytest.mark.parametrize("attribute", REPORTED)
@pytest.mark.parametrize("written", [0.5, "0.5"])
def test_cost__reported_of_a_model_that_nothing_prices__as_it_was(attribute: str, written: Any) -> None:
    assert cost_of(fact(HOUSE | {attribute: written}), NO_OVERRIDES) == Cost(Decimal("0.5"), "reported", None)


def test_cost__reported_in_several_places__the_first() -> None:
    reported = dict(zip(reversed(REPORTED), (3, 2, 1), strict=True))

    assert cost_of(fact(HOUSE | reported), NO_OVERRIDES) == Cost(Decimal(1), "reported", None)


def test_cost__reported_of_a_model_in_the_table__by_the_table() -> None:
    assert cost(usage__cost=0.5) == by_table(PRICE_OF_MINI)


@pytest.mark.parametrize("written", [0, 0.0, -1, float("nan"), float("inf"), "free", 1e7, True])
def test_cost__reported_as_nothing_for_tokens_or_broken__none(written: Any) -> None:
    assert cost_of(fact(HOUSE | {"gen_ai.usage.cost": written}), NO_OVERRIDES) is None


@pytest.mark.parametrize("tokens", [{}, {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}])
def test_cost__reported_as_nothing_for_no_tokens__nothing(tokens: dict[str, Any]) -> None:
    assert cost_of(fact(tokens | {"gen_ai.usage.cost": 0}), NO_OVERRIDES) == Cost(Decimal(0), "reported", None)


def test_cost__cached_tokens__at_their_own_price() -> None:
    assert cost(usage__cache_read__input_tokens=400) == by_table(Decimal("0.00018"))  # 0.075 of a million


def test_cost__tokens_written_to_the_cache__at_their_own_price() -> None:
    written = cost(
        provider__name="anthropic", request__model="claude-sonnet-4-5", usage__cache_creation__input_tokens=400
    )

    assert written == by_table(Decimal("0.0048"))  # of a million: 600 at 3 USD, 400 at 3.75, 100 out at 15


@pytest.mark.parametrize(
    "model",
    ["gpt-4o-mini-2024-07-18", "gpt-4o-mini-2026-01-15", "openai/gpt-4o-mini", "openai/gpt-4o-mini-2026-01-15"],
)
def test_cost__model_with_a_date_or_a_path__that_model(model: str) -> None:
    assert cost(request__model=model) == by_table(PRICE_OF_MINI)


def test_cost__two_models__the_one_that_answered_if_it_is_known() -> None:
    by_response = cost(request__model="gpt-4o", response__model="gpt-4o-mini")
    by_request = cost(request__model="gpt-4o-mini", response__model="house-model")

    assert by_response == by_request == by_table(PRICE_OF_MINI)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-sonnet-4-5"),
        ("aws.bedrock", "anthropic.claude-3-5-sonnet-20240620-v1:0"),
        ("azure.ai.inference", "gpt-4o"),
        ("azure.ai.openai", "gpt-4o"),
        ("deepseek", "deepseek-chat"),
        ("gcp.gemini", "gemini-2.5-pro"),
        ("gcp.vertex_ai", "gemini-2.5-pro"),
        ("groq", "llama-3.3-70b-versatile"),
        ("mistral_ai", "mistral-large-latest"),
        ("x_ai", "grok-3"),
    ],
)
def test_cost__providers_by_the_names_of_opentelemetry__priced(provider: str, model: str) -> None:
    assert cost(provider__name=provider, request__model=model)


@pytest.mark.parametrize(
    "changes",
    [
        {"request__model": "house-model"},
        {"provider__name": "house-provider"},
        {"provider__name": ""},
        {"usage__input_tokens": -1},
        {"usage__output_tokens": "many"},
        {"usage__cache_read__input_tokens": 1001},
        {"usage__cache_read__input_tokens": 600, "usage__cache_creation__input_tokens": 401},
        {"usage__input_tokens": 0, "usage__output_tokens": 0},
    ],
)
def test_cost__not_to_be_told__none_and_never_0(changes: dict[str, Any]) -> None:
    assert cost(**changes) is None


def test_cost__embedding_without_output_tokens__priced() -> None:
    call = fact(
        {
            "gen_ai.operation.name": "embeddings",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "text-embedding-3-small",
            "gen_ai.usage.input_tokens": 1000,
        }
    )

    assert cost_of(call, NO_OVERRIDES) == by_table(Decimal("0.00002"))  # 0.02 USD for a million tokens


def test_override__of_a_model_in_the_table__before_the_table_and_what_is_reported() -> None:
    assert cost_by(override(), usage__cost=7) == Cost(Decimal("0.0012"), "override", "override 12")


def test_override__cache_and_call__at_their_own_prices() -> None:
    ours = override(cached=Decimal("0.5"), written=Decimal("1.5"), call=Decimal("0.01"))

    found = cost_by(ours, usage__cache_read__input_tokens=400, usage__cache_creation__input_tokens=100)

    assert found is not None
    assert found.usd == Decimal("0.01105")  # 500 + 0.5 * 400 + 1.5 * 100 + 2 * 100 of a million


def test_override__of_nothing__free_is_known() -> None:
    free = override(input=Decimal(0), output=Decimal(0))

    assert cost_by(free, usage__cost=7) == Cost(Decimal(0), "override", "override 12")


@pytest.mark.parametrize(
    ("pattern", "model"),
    [
        ("gpt-4o*", "gpt-4o-mini"),
        ("*", "anything"),
        ("house-?", "HOUSE-7"),
        ("gpt-4o-mini", "gpt-4o-mini-2026-01-15"),
        ("gpt-4o-mini", "openai/gpt-4o-mini"),
        ("m\u00f6dell-*", "M\u00d6DELL-\U0001f600"),
        ("[z-a]*[", "house-model"),
        ("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", "a" * 200),
    ],
)
def test_override__patterns__match_the_names_of_the_model(pattern: str, model: str) -> None:
    found = cost_by(override(pattern), request__model=model)

    assert (found is not None and found.source == "override") == (pattern[-1] not in "[b")


@pytest.mark.parametrize(("provider", "source"), [("openai", "override"), ("", "override"), ("azure", "genai-prices")])
def test_override__of_a_provider__for_its_models_only(provider: str, source: str) -> None:
    found = cost_by(override(provider=provider))

    assert found is not None
    assert found.source == source


def test_override__call_without_a_provider__priced_by_one_for_any() -> None:
    assert cost_by(override(), provider__name="")
    assert cost_by(override(provider="openai"), provider__name="") is None


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"since_ns": 2}, {"since_ns": 1, "pattern": "gpt-4o-mini"}),
        ({"pattern": "gpt-4o-*"}, {"pattern": "gpt-*", "provider": "openai"}),
        ({"provider": "openai"}, {"provider": "", "id": 99}),
    ],
)
def test_override__several_match__newest_then_longest_then_of_the_provider(
    better: dict[str, Any], worse: dict[str, Any]
) -> None:
    first = override(**{"pattern": "gpt-*"} | better, input=Decimal(5))
    second = override(**{"pattern": "gpt-*"} | worse, input=Decimal(9))

    assert cost_by(first, second) == cost_by(second, first) == cost_by(first)


def test_override__of_the_model_that_was_asked_for__after_one_of_the_model_that_answered() -> None:
    asked, answered = override("gpt-4o", since_ns=1, id=1), override("gpt-4o-mini", id=2)
    names = {"request__model": "gpt-4o", "response__model": "gpt-4o-mini"}

    assert (cost_by(asked, answered, **names) or Cost(Decimal(0), "", "")).version == "override 2"
    assert (cost_by(asked, **names) or Cost(Decimal(0), "", "")).version == "override 1"


@pytest.mark.parametrize(("early_ns", "version"), [(1, "override 1"), (0, "override 2"), (-1, "override 2")])
def test_override__begins_within_a_minute__counts_from_that_instant(early_ns: int, version: str) -> None:
    call = changed()
    before = override(id=1, since_ns=call.started_ns - 5 * prices.MINUTE_NS)
    ours = Overrides.of([before, override(id=2, since_ns=call.started_ns + early_ns)])

    assert (cost_of(call, ours) or Cost(Decimal(0), "", "")).version == version


def test_override__begins_within_a_minute__the_table_before_that() -> None:
    call = changed()
    ours = Overrides.of([override(since_ns=call.started_ns)])

    assert cost_of(call._replace(started_ns=call.started_ns - 1), ours) == by_table(PRICE_OF_MINI)


def test_override__highest_prices_of_most_tokens__fit_the_column() -> None:
    dearest = override(input=Decimal(100_000), output=Decimal(100_000), call=Decimal(100_000))

    found = cost_by(dearest, usage__input_tokens=100_000_000, usage__output_tokens=100_000_000)

    assert found is not None
    assert found.usd == Decimal(20_100_000)
    assert len(found.usd.as_tuple().digits) <= 20


@pytest.mark.parametrize("at", [datetime(2026, 11, 1, 3, tzinfo=UTC), datetime(2026, 11, 20, 20, tzinfo=UTC)])
def test_rates__every_model_of_the_table__cost_what_the_package_says(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = 0
    for provider in providers:
        for model in provider.models:
            monkeypatch.setattr(prices, "_find_model", lambda *_, found=model: found)
            prices._rates_of.cache_clear()
            for usage in USAGES:
                call = call_of(at, *usage)
                if found := cost_of(call, NO_OVERRIDES):
                    assert found.usd == by_the_package(model, provider, call, at), (provider.id, model.id, usage)
                    checked += 1
    prices._rates_of.cache_clear()

    assert checked > 5000


def call_of(at: datetime, total: int, cached: int, written: int, output: int) -> CallFacts:
    tokens = {
        "gen_ai.usage.input_tokens": total,
        "gen_ai.usage.cache_read.input_tokens": cached,
        "gen_ai.usage.cache_creation.input_tokens": written,
        "gen_ai.usage.output_tokens": output,
    }
    span = traces.span(traces.CHAT | MINI | tokens)
    span.start_time_unix_nano = int(at.timestamp() * 1e9)
    (call,) = find_calls(decode_protobuf(traces.body(span), WANTED).spans).calls
    return call


def by_the_package(model: ModelInfo, provider: Any, call: CallFacts, at: datetime) -> Decimal:
    usage = Usage(
        input_tokens=call.input_tokens,
        cache_read_tokens=call.cached_tokens,
        cache_write_tokens=call.cache_write_tokens,
        output_tokens=call.output_tokens,
    )
    price = model.calc_price(usage, provider, genai_request_timestamp=at).total_price
    return price.quantize(Decimal("1e-12"))
