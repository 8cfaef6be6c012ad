"""Which calls tell what: each measure has the calls that it is about, and no others."""

from decimal import Decimal
from typing import Any

import pytest

from observability.core.calls import CallFacts, find_calls
from observability.core.dialects import WANTED
from observability.core.evidence import BUILT_IN_METRICS, SMALLEST, log_bin
from observability.core.measures import measures_of
from observability.core.otlp import decode_protobuf
from tests import traces

ANSWER = traces.CHAT | {
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.response.time_to_first_chunk": 0.04,
    "gen_ai.usage.input_tokens": 240,
    "gen_ai.usage.output_tokens": 11,
}
COST = Decimal("0.00123")


def fact(attributes: dict[str, Any], **span: Any) -> CallFacts:
    (call,) = find_calls(decode_protobuf(traces.body(traces.span(attributes, **span)), WANTED).spans).calls
    return call


def measured(attributes: dict[str, Any], *, output_valid: bool | None = True, **span: Any) -> dict[str, int]:
    found = measures_of(fact(attributes, **span), cost_usd=COST, output_valid=output_valid)
    assert len(dict(found)) == len(found)
    return dict(found)


def test_measures__answer_that_tells_everything__every_built_in_measure() -> None:
    found = measured(ANSWER, ms=100)

    assert found == {
        "error_rate": 0,
        "tokens": log_bin(251, 1),
        "cost_per_call": log_bin(0.00123, 1e-9),
        "latency": log_bin(100, 1e-3),
        "ttft": log_bin(40, 1e-3),
        "inter_token_latency": log_bin(6, 1e-3),  # (100 - 40) ms over 10 gaps
        "output_valid": 1000,
    }
    assert found.keys() == BUILT_IN_METRICS
    assert len(set(found.values())) == len(found)  # else the comparison above could not tell them apart


def test_measures__failed_call__its_failure_and_what_it_used() -> None:
    found = measured(ANSWER, output_valid=None, failed=True)

    assert found == {"error_rate": 1000, "tokens": log_bin(251, 1), "cost_per_call": log_bin(0.00123, 1e-9)}


@pytest.mark.parametrize(
    ("untold", "missing"),
    [
        ("gen_ai.usage.input_tokens", {"tokens"}),
        ("gen_ai.usage.output_tokens", {"tokens", "inter_token_latency"}),
        ("gen_ai.response.time_to_first_chunk", {"ttft", "inter_token_latency"}),
    ],
)
def test_measures__what_the_client_did_not_tell__not_observed(untold: str, missing: set[str]) -> None:
    found = measured({key: value for key, value in ANSWER.items() if key != untold})

    assert BUILT_IN_METRICS - found.keys() == missing


def test_measures__clock_was_set_back__no_times() -> None:
    assert BUILT_IN_METRICS - measured(ANSWER, ms=-100).keys() == {"latency", "ttft", "inter_token_latency"}


def test_measures__cost_or_validity_not_known__not_observed() -> None:
    found = dict(measures_of(fact(ANSWER), cost_usd=None, output_valid=None))

    assert BUILT_IN_METRICS - found.keys() == {"cost_per_call", "output_valid"}


def test_measures__output_against_its_schema__bin_0() -> None:
    assert measured(ANSWER, output_valid=False)["output_valid"] == 0


@pytest.mark.parametrize("written", [float("nan"), float("inf"), -1.0, "1e999", "many"])
def test_measures__broken_numbers__never_reach_a_bin(written: Any) -> None:
    broken = dict.fromkeys(("gen_ai.response.time_to_first_chunk", "gen_ai.usage.input_tokens"), written)

    found = dict(measures_of(fact(ANSWER | broken), cost_usd=None, output_valid=None))

    assert found.keys() == {"error_rate", "latency"}
    assert found["latency"] == log_bin(100, SMALLEST["latency"])
