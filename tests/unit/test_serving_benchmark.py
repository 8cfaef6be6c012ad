"""The benchmark of serving reads what its load generator tells, and its page says what its results say."""

import json
from typing import Any

import pytest

from benchmarks.serve.answer import Answer
from benchmarks.serve.load import read
from benchmarks.serve.page import BEGIN, END, PAGE, goals, markdown
from benchmarks.serving import RESULTS, summary

TOLD = """Running 2s test @ http://127.0.0.1:8000/prompts/prompt-0
  99%    5.26ms
  Non-2xx or 3xx responses: 3
{"requests": 13316, "took_us": 2000365, "bytes": 9, "p50_us": 478, "p99_us": 5257, "refused": 3, "broken": 2, "late": 1}
"""


def test_load__what_the_script_tells__requests_a_second_and_failures() -> None:
    load = read(TOLD)

    assert (round(load.per_s), load.p99_us, load.failures) == (6657, 5257, 6)


def test_summary__ratios__of_rounds_that_follow_each_other() -> None:
    """The machine is twice as slow in the second round, and the ratio the same in both."""
    found = {"constant": [a_round(per_s=1000), a_round(per_s=500)], "rollout": [a_round(per_s=700), a_round(per_s=350)]}

    row = summary("rollout", found)

    assert row["per_s"] == [525, 350, 700]
    assert row["per_s_by_constant"] == [0.7, 0.7, 0.7]


@pytest.mark.parametrize(
    ("per_s", "cpu", "p99", "reached"),
    [(0.7, 1.6, 2.0, [True, True, True]), (0.69, 1.61, 2.01, [False, False, False])],
)
def test_goals__at_and_beyond_them__told(per_s: float, cpu: float, p99: float, reached: list[bool]) -> None:
    rows = [
        {"row": "requests", "case": "rollout", "connections": 8, "per_s_by_constant": [per_s] * 3}
        | {"cpu_by_constant": [cpu] * 3},
        {"row": "requests", "case": "rollout, labels moving", "connections": 8, "p99_by_rollout": [p99] * 3},
    ]

    assert [not line.endswith("Not reached.") for line in goals(rows)] == reached


def test_answers__another_unit_of_the_same_length__same_sizes() -> None:
    one, other, longer = (Answer(200, {"etag": etag}, '{"unit": 1}') for etag in ('"a-1"', '"b-2"', '"b-12"'))

    assert one.sizes == other.sizes != longer.sizes


def test_page__between_its_markers__says_what_the_results_say() -> None:
    page = PAGE.read_text()

    assert page.partition(BEGIN)[2].partition(END)[0].strip() == markdown(json.loads(RESULTS.read_text()))


def a_round(*, per_s: float) -> dict[str, Any]:
    return {"per_s": per_s, "p50_ms": 1.0, "p99_ms": 2.0, "cpu_s_per_10k": 0.5}
