"""Every reference value by its id: the test that agrees with it, or why the design does not compute that quantity."""

import ast
from pathlib import Path
from typing import Any

import pytest

Vectors = dict[str, dict[str, Any]]

FOLDER = Path(__file__).parent

AGREES = {
    "V07": "test_difference.py::test_bound__at_the_reference_e_value__is_the_reference_sum",
    "V11": "test_difference.py::test_bound__reference_boundary__agrees_with_confseq",
    "V13": "test_difference.py::test_bound__reference_boundary__agrees_with_confseq",
    "V25": "test_bets.py::test_wealth__reference_bets__agrees_with_confseq",
    "V38": "test_sample_ratio.py::test_bayes_factor__reference_counts__agrees_with_savvi",
    "V40": "test_sample_ratio.py::test_bayes_factor__reference_counts__agrees_with_savvi",
    "V41": "test_sample_ratio.py::test_bayes_factor__reference_counts__agrees_with_savvi",
    "V43": "test_sample_ratio.py::test_bayes_factor__counts_too_large_for_odds__agrees_with_scipy_in_logs",
    "V44": "test_sample_ratio.py::test_bayes_factor__counts_too_large_for_odds__agrees_with_scipy_in_logs",
    "V46": "test_complaints.py::test_increment__reference_counts__agrees_with_scipy",
    "V47": "test_complaints.py::test_increment__reference_counts__agrees_with_scipy",
    "V49": "test_rates.py::test_increment__reference_batch__agrees_with_scipy",
    "V50": "test_rates.py::test_increment__reference_batch__agrees_with_scipy",
    "V52": "test_rates.py::test_increment__reference_batch__agrees_with_scipy",
    "V61": "test_design_effect.py::test_design_effect__one_bucket_for_each_user__clustered_variance_of_statsmodels",
    "V64": "test_latencies.py::test_frozen_p95__reference_times__within_the_bins_of_both_sketches",
}

ONE_SIDED = "a normal mixture of one side; the displayed interval has two (V07, V11, V13), and nothing is decided on it"
SLO = "one binomial rate by a beta mixture of all rates; a limit mixes a grid of rates, exact by enumeration"
QUANTILES = "quantiles compared as they are; a latency's tail is how often it exceeds a P95 that was frozen"
RIVAL = "another method's answer, to which the benchmark holds its reference of that method"
FIXED_SAMPLE = "an interval for one look at a fixed sample; every look here is one of many"
NOT_OURS = {
    "V01": ONE_SIDED,
    "V02": ONE_SIDED,
    "V04": ONE_SIDED,
    "V05": ONE_SIDED,
    "V08": ONE_SIDED,
    "V10": ONE_SIDED,
    "V55": f"{ONE_SIDED}; ville approximates its best precision",
    "V14": SLO,
    "V16": SLO,
    "V53": f"{SLO}; this one weighs against one half on both sides",
    "V17": "an interval of one rate at every look; shown is the interval of the difference of the arms",
    "V19": "an interval of one rate at every look; shown is the interval of the difference of the arms",
    "V20": "a bound of one quantile at every look; none is shown",
    "V22": QUANTILES,
    "V23": QUANTILES,
    "V26": "bets on one mean without another arm, inverted to an interval; ours compare two arms, and decide",
    "V28": RIVAL,
    "V29": RIVAL,
    "V31": RIVAL,
    "V32": RIVAL,
    "V34": RIVAL,
    "V35": RIVAL,
    "V37": f"{RIVAL}; ours is the Dirichlet-multinomial (V38 to V44), which may be looked at again and again",
    "V62": RIVAL,
    "V56": "an asymptotic interval of a difference; exact e-values decide, and the displayed one is taken inside steps",
    "V58": FIXED_SAMPLE,
    "V59": FIXED_SAMPLE,
}


def test_vectors__every_one__named_once_with_its_test_or_a_reason(vectors: Vectors) -> None:
    assert AGREES.keys() & NOT_OURS.keys() == set()
    assert AGREES.keys() | NOT_OURS.keys() == vectors.keys()


@pytest.mark.parametrize(("vector_id", "where"), AGREES.items())
def test_vectors__one_that_applies__its_test_exists_and_reads_it(vector_id: str, where: str) -> None:
    file, name = where.split("::")

    (test,) = [
        node
        for node in ast.parse((FOLDER / file).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]

    assert vector_id in {node.value for node in ast.walk(test) if isinstance(node, ast.Constant)}
    assert "vectors" in {argument.arg for argument in test.args.args}
