"""What calls cost: the number that was reported, else that of the price table, else none."""

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
from observability.core.prices import Cost, cost_of
from tests import traces

MINI = {
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}
PRICE_OF_MINI = Decimal("0.00021")  # 0.15 USD for a million tokens in, 0.60 out
REPORTED = ["gen_ai.usage.cost", "gen_ai.cost.total_cost", "llm.cost.total"]


def fact(attributes: dict[str, Any]) -> CallFacts:
    (call,) = find_calls(decode_protobuf(traces.body(traces.span(traces.CHAT | attributes)), WANTED).spans)
    return call


def cost(**changes: Any) -> Cost | None:
    """The cost of a call of gpt-4o-mini with these changes; `gen_ai.` is left out of the names."""
    return cost_of(fact(MINI | {f"gen_ai.{name.replace('__', '.')}": value for name, value in changes.items()}))


@pytest.mark.parametrize("attribute", REPORTED)
@pytest.mark.parametrize("written", [0.5, "0.5"])
def test_cost__reported__as_it_was(attribute: str, written: Any) -> None:
    assert cost_of(fact(MINI | {attribute: written})) == Cost(Decimal("0.5"), "reported")


def test_cost__reported_in_several_places__the_first() -> None:
    assert cost_of(fact(dict(zip(reversed(REPORTED), (3, 2, 1), strict=True)))) == Cost(Decimal(1), "reported")


@pytest.mark.parametrize("written", [0, 0.0, -1, float("nan"), float("inf"), "free", 1e7, True])
def test_cost__reported_as_nothing_for_tokens_or_broken__by_the_table(written: Any) -> None:
    assert cost_of(fact(MINI | {"gen_ai.usage.cost": written})) == Cost(PRICE_OF_MINI, "genai-prices")


@pytest.mark.parametrize("tokens", [{}, {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}])
def test_cost__reported_as_nothing_for_no_tokens__nothing(tokens: dict[str, Any]) -> None:
    assert cost_of(fact(tokens | {"gen_ai.usage.cost": 0})) == Cost(Decimal(0), "reported")


def test_cost__cached_tokens__at_their_own_price() -> None:
    assert cost(usage__cache_read__input_tokens=400) == Cost(Decimal("0.00018"), "genai-prices")  # 0.075 of a million


@pytest.mark.parametrize(
    "model",
    ["gpt-4o-mini-2024-07-18", "gpt-4o-mini-2026-01-15", "openai/gpt-4o-mini", "openai/gpt-4o-mini-2026-01-15"],
)
def test_cost__model_with_a_date_or_a_path__that_model(model: str) -> None:
    assert cost(request__model=model) == Cost(PRICE_OF_MINI, "genai-prices")


def test_cost__two_models__the_one_that_answered_if_it_is_known() -> None:
    by_response = cost(request__model="gpt-4o", response__model="gpt-4o-mini")
    by_request = cost(request__model="gpt-4o-mini", response__model="house-model")

    assert by_response == by_request == Cost(PRICE_OF_MINI, "genai-prices")


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

    assert cost_of(call) == Cost(Decimal("0.00002"), "genai-prices")  # 0.02 USD for a million tokens


@pytest.mark.parametrize("at", [datetime(2026, 11, 1, 3, tzinfo=UTC), datetime(2026, 11, 20, 20, tzinfo=UTC)])
def test_rates__every_model_of_the_table__cost_what_the_package_says(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = 0
    for provider in providers:
        for model in provider.models:
            monkeypatch.setattr(prices, "_find_model", lambda *_, found=model: found)
            prices._tiers.cache_clear()
            for usage in ((1000, 0, 50), (1000, 400, 50), (200_000, 3, 4), (200_001, 3, 4), (300_000, 299_999, 70)):
                call = call_of(at, *usage)
                if found := prices._price(call):
                    assert found == by_the_package(model, provider, call, at), (provider.id, model.id, usage)
                    checked += 1
    prices._tiers.cache_clear()

    assert checked > 5000


def call_of(at: datetime, total: int, cached: int, output: int) -> CallFacts:
    tokens = {
        "gen_ai.usage.input_tokens": total,
        "gen_ai.usage.cache_read.input_tokens": cached,
        "gen_ai.usage.output_tokens": output,
    }
    span = traces.span(traces.CHAT | MINI | tokens)
    span.start_time_unix_nano = int(at.timestamp() * 1e9)
    (call,) = find_calls(decode_protobuf(traces.body(span), WANTED).spans)
    return call


def by_the_package(model: ModelInfo, provider: Any, call: CallFacts, at: datetime) -> Decimal:
    usage = Usage(
        input_tokens=call.input_tokens, cache_read_tokens=call.cached_tokens, output_tokens=call.output_tokens
    )
    price = model.calc_price(usage, provider, genai_request_timestamp=at).total_price
    return price.quantize(Decimal("1e-12"))
