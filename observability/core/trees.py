"""A trace as a tree: which span was inside which, when, and where the time went.

Clients send what they like: parents that never came, circles of parents, clocks that disagree. Every span is in the
tree exactly once; one whose parent is unknown, or in a circle, stands at the top and is flagged.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

DEEPEST = 100  # levels: what is deeper is told beside its parent, or no JSON reader could read it


@dataclass(frozen=True, slots=True)
class Timed:
    """A span as a tree needs it. duration_ns: None where it is not known. stage: what its time is counted under."""

    id: bytes
    parent_id: bytes | None
    start_ns: int
    duration_ns: int | None
    stage: str

    @property
    def end_ns(self) -> int:
        return self.start_ns + (self.duration_ns or 0)


@dataclass(slots=True)
class Node:
    """orphan: it names a parent that is not in the tree above it. self_ns: its time without that of its children."""

    span: Timed
    orphan: bool
    self_ns: int
    children: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Stage:
    """All spans of a stage together. share: of the self time of all spans, 0 where no time passed."""

    name: str
    spans: int
    self_ns: int
    share: float


def nest(spans: Sequence[Timed]) -> list[Node]:
    """The spans at the top, children inside, all in the order of their start."""
    in_order = sorted(spans, key=_start)
    known = {span.id for span in in_order}
    children: dict[bytes, list[Timed]] = defaultdict(list)
    tops: deque[tuple[Timed, bool]] = deque()
    for span in in_order:
        if span.parent_id is not None and span.parent_id != span.id and span.parent_id in known:
            children[span.parent_id].append(span)
        else:
            tops.append((span, span.parent_id is not None))
    found: list[Node] = []
    seen: set[bytes] = set()
    for span, orphan in tops:
        found.append(_grow(span, orphan, children, seen))
    for span in in_order:  # what is left hangs below circles: each is cut before its first span
        if span.id not in seen:
            found.append(_grow(span, True, children, seen))
    return sorted(found, key=lambda node: _start(node.span))


def stages(nodes: Iterable[Node]) -> list[Stage]:
    """Where the time went, the stage that took most of it first."""
    counts: dict[str, int] = defaultdict(int)
    times: dict[str, int] = defaultdict(int)
    for node in walk(nodes):
        counts[node.span.stage] += 1
        times[node.span.stage] += node.self_ns
    total = sum(times.values())
    found = [Stage(name, counts[name], ns, ns / total if total else 0.0) for name, ns in times.items()]
    return sorted(found, key=lambda stage: (-stage.self_ns, stage.name))


def walk(nodes: Iterable[Node]) -> Iterable[Node]:
    """Every node below and with these."""
    waiting = deque(nodes)
    while waiting:
        node = waiting.popleft()
        yield node
        waiting.extend(node.children)


def _grow(top: Timed, orphan: bool, children: Mapping[bytes, Sequence[Timed]], seen: set[bytes]) -> Node:
    """The tree below a span, without recursion: a trace may be as deep as it has spans."""
    seen.add(top.id)
    root = Node(top, orphan, _self_ns(top, children.get(top.id, ())))
    waiting = deque([(root, root, 1)])  # a node, the node that takes its children in, and how deep that is
    while waiting:
        node, holder, depth = waiting.popleft()
        for span in children.get(node.span.id, ()):
            if span.id in seen:
                continue
            seen.add(span.id)
            child = Node(span, False, _self_ns(span, children.get(span.id, ())))
            holder.children.append(child)
            waiting.append((child, child, depth + 1) if depth + 1 < DEEPEST else (child, holder, depth))
        node.children.sort(key=lambda child: _start(child.span))  # those from below the deepest level came later
    return root


def _start(span: Timed) -> tuple[int, bytes]:
    return span.start_ns, span.id


def _self_ns(span: Timed, children: Sequence[Timed]) -> int:
    """The span's time in which none of its children ran, which are in the order of their start."""
    busy, until = 0, span.start_ns
    for child in children:
        start, end = max(child.start_ns, until), min(child.end_ns, span.end_ns)
        if end > start:
            busy += end - start
            until = end
    return (span.duration_ns or 0) - busy
