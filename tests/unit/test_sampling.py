"""Places of traces: the same everywhere, uniform, and one for all evaluators."""

import math
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from observability.judging.sampling import place

IDS = 10**6


def test_place__a_trace__what_the_contract_says() -> None:
    trace_id = bytes.fromhex("5b8efff798038103d269b633813fc60c")

    first = sha256(b"serinus judging:" + trace_id).digest()[:8]

    assert place(trace_id) == int.from_bytes(first, "big") / 2**64


@given(st.binary(min_size=16, max_size=16))
def test_place__any_trace__in_the_unit_interval_and_the_same_again(trace_id: bytes) -> None:
    assert 0 <= place(trace_id) < 1
    assert place(trace_id) == place(bytes(trace_id))


def test_place__a_million_traces__each_share_within_binomial_bounds() -> None:
    shares = (0.0001, 0.01, 0.02, 0.05, 0.5, 0.9)

    places = [place(number.to_bytes(16)) for number in range(IDS)]

    for share in shares:
        expected, sd = IDS * share, math.sqrt(IDS * share * (1 - share))
        chosen = sum(where < share for where in places)
        assert abs(chosen - expected) < 5 * sd, share  # once in 1.7 million
