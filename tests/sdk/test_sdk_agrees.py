"""The SDK and the server agree, whatever comes: on the arm of a unit, and on how a template is rendered."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from registry.core import templates as of_server
from registry.core.problems import ProblemsFound
from rollout.core import assignment
from serinus import template as of_sdk
from serinus.assignment import bucket, unit_bucket
from serinus.errors import Error

TEXTS = st.text() | st.text(st.sampled_from('{}\\ \nab_"é'))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.text(), "content": TEXTS})
    | st.fixed_dictionaries({"type": st.just("placeholder"), "name": st.sampled_from("ab")}),
    max_size=4,
)
VALUES = st.dictionaries(
    st.sampled_from(["a", "b", "_", "ab", "other"]), JSON | st.lists(st.fixed_dictionaries({"role": st.text()}))
)


@given(salt=st.text(st.characters(exclude_categories=["Cs"])), unit=st.text(st.characters(exclude_categories=["Cs"])))
def test_buckets__any_text__the_servers(salt: str, unit: str) -> None:
    assert bucket(salt, unit) == assignment.bucket(salt, unit)
    assert unit_bucket(salt, unit) == assignment.unit_bucket(salt, unit)


def test_shares__a_million_units__within_binomial_bounds_and_the_servers() -> None:
    n, salt = 1_000_000, "4f1d0c9a7b3e5826"

    buckets = [bucket(salt, f"user-{i}") for i in range(n)]

    assert buckets == [assignment.bucket(salt, f"user-{i}") for i in range(n)]
    for weight_bp in (10, 500, 5000):
        # A fair binomial leaves these bounds once in a million salts; this salt is fixed, so the test cannot flicker.
        low, high = binom.interval(1 - 1e-6, n, weight_bp / assignment.BUCKETS)
        assert low <= sum(found < weight_bp for found in buckets) <= high


@given(template=TEXTS, values=VALUES)
def test_render__any_text__as_the_server(template: str, values: dict[str, Any]) -> None:
    assert rendered_by_sdk(template, values) == rendered_by_server(template, values)


@given(template=MESSAGES, values=VALUES)
def test_render__any_chat__as_the_server(template: list[dict[str, Any]], values: dict[str, Any]) -> None:
    assert rendered_by_sdk(template, values) == rendered_by_server(template, values)


def rendered_by_server(template: Any, values: dict[str, Any]) -> Any:
    try:
        return of_server.render(template, values)
    except (of_server.TemplateSyntaxError, ProblemsFound):
        return "refused"


def rendered_by_sdk(template: Any, values: dict[str, Any]) -> Any:
    render: Any = of_sdk.render_text if isinstance(template, str) else of_sdk.render_chat
    try:
        return render(template, values, ref="p@v1.0")
    except Error:
        return "refused"
