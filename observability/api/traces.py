"""One trace, drawn out."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.rest import StrictSerializer, read_query
from observability import selectors
from observability.core.times import moment
from observability.core.trees import Node, Stage
from observability.representation import call_json
from observability.selectors.traces import Told, Trace
from registry.keys import reach_of

STATUS = ("unset", "ok", "error")
NS_PER_MS = 1e6
MOST_STAGES = 20


class TraceView(APIView):
    """GET: the trace's spans, each inside its parent, with their times and calls, and where the time went."""

    def get(self, request: Request, trace_id: str) -> Response:
        read_query(StrictSerializer, request)
        return Response(_trace_json(selectors.trace(bytes.fromhex(trace_id), reach_of(request))))


def _trace_json(trace: Trace) -> dict[str, Any]:
    found = [_stage_json(stage) for stage in trace.stages[:MOST_STAGES]]
    return {
        "trace_id": trace.trace_id.hex(),
        "started_at": moment(trace.start_ns),
        "duration_ms": (trace.end_ns - trace.start_ns) / NS_PER_MS,
        "spans": len(trace.told),
        "cut": trace.cut,
        "dominant": found[0] if found and found[0]["self_ms"] > 0 else None,
        "stages": found,
        "tree": [_node_json(node, trace) for node in trace.nodes],
    }


def _node_json(node: Node, trace: Trace) -> dict[str, Any]:
    """A node with all below it, at most core.trees.DEEPEST levels."""
    span, told = node.span, trace.told[node.span.id]
    return {
        "span_id": span.id.hex(),
        "parent_id": span.parent_id.hex() if span.parent_id else None,
        "orphan": node.orphan,
        "name": told.name,
        "kind": told.kind,
        "scope": told.scope or None,
        "status": STATUS[told.status],
        "offset_ms": (span.start_ns - trace.start_ns) / NS_PER_MS,
        "duration_ms": None if span.duration_ns is None else span.duration_ns / NS_PER_MS,
        "self_ms": node.self_ns / NS_PER_MS,
        "call": call_json(told.call) if told.call else None,
        "tells_of": _tells_of_json(told),
        "children": [_node_json(child, trace) for child in node.children],
    }


def _tells_of_json(told: Told) -> dict[str, str] | None:
    if told.tells_of is None:
        return None
    trace_id, span_id = told.tells_of
    return {"trace_id": trace_id.hex(), "span_id": span_id.hex()}


def _stage_json(stage: Stage) -> dict[str, Any]:
    return {"name": stage.name, "spans": stage.spans, "self_ms": stage.self_ns / NS_PER_MS, "share": stage.share}
