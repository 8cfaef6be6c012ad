"""A trace as a tree, whatever its spans say about their parents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.core.trees import DEEPEST, Node, Timed, nest, stages, walk

MS = 1_000_000


def timed(id_: int, parent: int | None = None, *, start: int = 0, ms: int | None = 10, stage: str = "work") -> Timed:
    return Timed(bytes([id_]), None if parent is None else bytes([parent]), start * MS, ms and ms * MS, stage)


def ids(nodes: list[Node]) -> list[int]:
    return [node.span.id[0] for node in nodes]


def depth(nodes: list[Node]) -> int:
    levels = 0
    while nodes:
        levels += 1
        nodes = [child for node in nodes for child in node.children]
    return levels


spans = st.lists(
    st.builds(
        timed,
        st.integers(0, 30),
        st.none() | st.integers(0, 40),
        start=st.integers(0, 50),
        ms=st.none() | st.integers(0, 50),
    ),
    max_size=30,
    unique_by=lambda span: span.id,
)


@given(spans)
def test_nest__any_parents__every_span_once_in_order_with_a_time_of_its_own(given_spans: list[Timed]) -> None:
    nodes = nest(given_spans)

    found = [node.span for node in walk(nodes)]
    assert sorted(found, key=lambda span: span.id) == sorted(given_spans, key=lambda span: span.id)
    for siblings in [nodes, *(node.children for node in walk(nodes))]:
        starts = [node.span.start_ns for node in siblings]
        assert starts == sorted(starts)
    assert all(0 <= node.self_ns <= (node.span.duration_ns or 0) for node in walk(nodes))


@given(spans)
def test_nest__any_order__the_same_tree(given_spans: list[Timed]) -> None:
    assert nest(given_spans) == nest(given_spans[::-1])


def test_nest__parent_and_children__children_inside_by_their_start() -> None:
    (top,) = nest([timed(3, 1, start=5), timed(1, ms=20), timed(2, 1, start=2, ms=2)])

    assert (ids([top]), ids(top.children), top.orphan) == ([1], [2, 3], False)


def test_nest__parent_that_never_came__at_the_top_and_flagged() -> None:
    nodes = nest([timed(1), timed(2, 99, start=1)])

    assert [(node.span.id[0], node.orphan) for node in nodes] == [(1, False), (2, True)]


@pytest.mark.parametrize("circle", [[timed(1, 1)], [timed(1, 2), timed(2, 1, start=1), timed(3, 2, start=2)]])
def test_nest__circle__cut_before_its_first_span(circle: list[Timed]) -> None:
    (top,) = nest(circle)

    assert top.orphan
    assert sorted(ids(list(walk([top])))) == [span.id[0] for span in circle]


def test_nest__deeper_than_json_can_be_read__no_deeper_than_the_limit() -> None:
    chain = [Timed(n.to_bytes(2), (n - 1).to_bytes(2) if n else None, n * MS, MS, "work") for n in range(3 * DEEPEST)]

    nodes = nest(chain)

    assert depth(nodes) == DEEPEST
    assert len(list(walk(nodes))) == len(chain)


def test_stages__children_that_overlap__count_once_against_their_parent() -> None:
    nodes = nest(
        [
            timed(1, ms=100, stage="answer"),
            timed(2, 1, start=10, ms=30, stage="chat"),
            timed(3, 1, start=20, ms=30, stage="chat"),
            timed(4, 1, start=90, ms=60, stage="log"),  # goes on after its parent
        ]
    )

    found = {stage.name: (stage.spans, stage.self_ns // MS) for stage in stages(nodes)}

    assert found == {"answer": (1, 50), "chat": (2, 60), "log": (1, 60)}
    assert sum(stage.share for stage in stages(nodes)) == pytest.approx(1)


def test_stages__the_longest_first() -> None:
    found = stages(nest([timed(1, ms=10, stage="b"), timed(2, ms=30, stage="a"), timed(3, ms=None, stage="c")]))

    assert [stage.name for stage in found] == ["a", "b", "c"]
