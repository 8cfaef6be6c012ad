"""What the page of a trace shows, part by part: values ready to be printed, so that the template only places them.

Names of spans, models and prompts are shown, and numbers; a score by its name and value, never its comment or label.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from observability.core.trees import Node, Stage
from observability.models import Call
from observability.selectors.traces import TWIN, Trace
from rollout.charts import Bar, bar_list
from rollout.charts.svg import element
from rollout.formats import count, estimate, milliseconds, money

NS_PER_MS = 1e6
DEEPEST_INDENT = 12  # levels that are set in; what is deeper stands on the last one
WIDTH = 1000.0
NARROWEST = 3.0  # units: so that a span of no time can be seen
ERROR = 2  # status of a span


@dataclass(frozen=True, slots=True)
class Placed:
    node: Node
    depth: int


@dataclass(frozen=True, slots=True)
class SpanRow:
    """call: what is known of the call that it stands for, in words. text: the id of the call in the admin whose text
    can be read, or None. other_trace: of the span that stands for its call, if that is elsewhere."""

    name: str
    indent: int
    offset: str
    took: str
    bar: SafeString
    failed: str
    orphan: bool
    canary: bool
    prompt: str
    version: str
    call: list[str]
    scores: list[str]
    text: int | None
    twin: bool
    other_trace: str


def headline(trace: Trace) -> str:
    """How long it took, and where most of that went."""
    whole, first = trace.end_ns - trace.start_ns, trace.stages[0]
    if not first.self_ns:
        return f"{_ms(whole)}: no span tells how long it took" if whole else "No time passed in this trace"
    return f"{_ms(whole)}, of which {estimate(first.share, 'share')} in {first.name or 'a span without a name'}"


def about(trace: Trace) -> list[str]:
    """What is unusual about it."""
    orphans = sum(node.orphan for node in trace.nodes)
    found = []
    if len(trace.nodes) > 1:
        found.append(f"{count(len(trace.nodes))} spans stand at the top.")
    if orphans:
        of_them = "One of them names" if orphans == 1 else f"{count(orphans)} of them name"
        found.append(f"{of_them} a parent that did not come or is below itself.")
    return found


def worth_showing(trace: Trace, most: int) -> list[Placed]:
    """The spans in the order of the tree; if there are too many the calls and the longest, with those above."""
    every, parents = _in_order(trace.nodes)
    if len(every) <= most:
        return every
    kept: set[int] = set()
    ranked = sorted(range(len(every)), key=lambda place: _rank(every[place].node, trace))
    for place in ranked:
        path, above = [], place
        while above >= 0 and above not in kept:
            path.append(above)
            above = parents[above]
        if len(kept) + len(path) <= most:
            kept.update(path)
    return [every[place] for place in sorted(kept)]


def span_row(placed: Placed, trace: Trace, readable: Collection[int]) -> SpanRow:
    node = placed.node
    span, told = node.span, trace.told[node.span.id]
    call = told.call
    other_trace = told.tells_of[0].hex() if told.tells_of and told.tells_of[0] != trace.trace_id else ""
    failed = (call.error_class or "error") if call and call.error else "error" if told.status == ERROR else ""
    canary = call is not None and call.arm == "canary"
    return SpanRow(
        name=told.name or "no name",
        indent=min(placed.depth, DEEPEST_INDENT),
        offset=_ms(span.start_ns - trace.start_ns),
        took=_ms(span.duration_ns),
        bar=_bar(node, trace, kind=told.kind, canary=canary, failed=bool(failed)),
        failed=failed,
        orphan=node.orphan,
        canary=canary,
        prompt=(call.prompt_name or "") if call else "",
        version=(call.version_number or "") if call else "",
        call=_facts(call) if call else [],
        scores=[f"{score.name} {score.value:g} by {score.source}" for score in call.scores.all()] if call else [],
        text=call.pk if call and call.pk in readable else None,
        twin=told.kind == TWIN,
        other_trace=other_trace,
    )


def stage_bars(stages: Sequence[Stage]) -> SafeString:
    bars = [
        Bar(stage.name or "no name", stage.share, f"{estimate(stage.share, 'share')}, {_ms(stage.self_ns)}{_of(stage)}")
        for stage in stages
    ]
    return bar_list(bars, title="Share of the time by stage")


def _of(stage: Stage) -> str:
    return f" in {count(stage.spans)} spans" if stage.spans > 1 else ""


def _in_order(nodes: Sequence[Node]) -> tuple[list[Placed], list[int]]:
    """Every span before those inside it, and the place of the one that each is in, -1 at the top."""
    placed: list[Placed] = []
    parents: list[int] = []
    waiting = [(node, 0, -1) for node in reversed(nodes)]
    while waiting:
        node, depth, parent = waiting.pop()
        waiting.extend((child, depth + 1, len(placed)) for child in reversed(node.children))
        placed.append(Placed(node, depth))
        parents.append(parent)
    return placed, parents


def _rank(node: Node, trace: Trace) -> tuple[bool, int]:
    return trace.told[node.span.id].call is None, -(node.span.duration_ns or 0)


def _facts(call: Call) -> list[str]:
    return list(_told(call))


def _told(call: Call) -> Iterator[str]:
    if model := call.response_model or call.request_model:
        yield model
    told = ((call.input_tokens, "in"), (call.output_tokens, "out"))
    if tokens := ", ".join(f"{count(n)} {way}" for n, way in told if n is not None):
        yield f"tokens {tokens}"
    yield money(float(call.cost_usd)) if call.cost_usd is not None else "cost not known"
    if call.ttft_ms is not None:
        yield f"first token after {milliseconds(call.ttft_ms)}"
    if call.attempts > 1:
        yield f"{call.attempts} attempts"


def _bar(node: Node, trace: Trace, *, kind: str, canary: bool, failed: bool) -> SafeString:
    """Where the span lies in the trace: decoration, since its start and time are told in words beside it."""
    whole = max(trace.end_ns - trace.start_ns, 1)
    width = max(WIDTH * (node.span.duration_ns or 0) / whole, NARROWEST)
    start = min(WIDTH * (node.span.start_ns - trace.start_ns) / whole, WIDTH - width)
    kinds = ["span", kind, *(["canary"] if canary else []), *(["failed"] if failed else [])]
    drawn = element("rect", class_=" ".join(kinds), x=start, y=3.0, width=width, height=10.0)
    return element("svg", drawn, viewBox=f"0 0 {WIDTH:g} 16", preserveAspectRatio="none", aria_hidden="true")


def _ms(ns: int | None) -> str:
    return milliseconds(None if ns is None else ns / NS_PER_MS)
