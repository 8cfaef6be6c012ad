"""What serving a prompt costs, over HTTP: `python -m benchmarks.serving`.

Beside constant bytes from a WSGI callable and from a Django view under the same HTTP server (benchmarks/serve), in
turns in the same run, so that a figure can be carried to another machine: requests a second, latency, CPU seconds of
all the web processes. By wrk, for 20 000 users, while 5000 prompts are held; once more while labels move 10 times a
second. Any answer that is refused, broken or late fails the run. Then what it takes to hold the prompts, how long after
a rollback somebody still gets the canary, and what asking the SDK costs beside one SHA-256.

--quick      three short rounds, prints only
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import sdk
from benchmarks.ingestion.load import cpu_s
from benchmarks.serve import rollback
from benchmarks.serve.load import require_wrk, send
from benchmarks.serve.page import PAGE, goals, publish
from benchmarks.serve.scene import PLAIN, ROLLOUT
from benchmarks.serve.servers import Mover, Running, constant, filled, mover, serinus, state
from tests.process.server import wait_until

Row = dict[str, Any]

RESULTS = Path(__file__).parent / "results" / "serving.json"
CONNECTIONS = (8, 32)
ROUNDS, ROUND_S = 7, 3
QUICK_ROUNDS, QUICK_ROUND_S = 3, 2
WARM_UP_S = 1
LATE_BY_S = 0.5
"""What a round's moves of labels may take longer than the round, before they no longer count as ten a second."""
SEEN_WITHIN_S = 1.0
"""After a move's commit its prompt is served as it says."""
DIGITS = {"per_s": 0, "p50_ms": 3, "p99_ms": 3, "cpu_s_per_10k": 4}
RATIOS = (  # name, figure, case: of the figure to that of the case in the same round
    ("per_s_by_constant", "per_s", "constant"),
    ("cpu_by_constant", "cpu_s_per_10k", "constant"),
    ("p99_by_rollout", "p99_ms", "rollout"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """Requests that are measured together. status: of their answers; moving: what moves labels meanwhile."""

    name: str
    server: Running
    path: str
    headers: Mapping[str, str]
    status: int = 200
    moving: Mover | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    require_wrk()
    with tempfile.TemporaryDirectory() as folder:
        rows = [machine(), *measured(Path(folder), quick=quick), rollback.measure(Path(folder) / "rollback")]
    rows += [{"row": "sdk"} | row for row in sdk.rows()]
    for row in rows:
        print(json.dumps(row))
    print("\n".join(goals(rows)))
    if not quick:
        RESULTS.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
        publish(rows, PAGE)


def machine() -> Row:
    versions = {name: version(name) for name in ("granian", "django")}
    return {"row": "machine", "cpus": os.cpu_count(), "python": platform.python_version(), **versions}


def measured(folder: Path, *, quick: bool) -> list[Row]:
    data = folder / "serinus"
    authorization = {"Authorization": f"Bearer {filled(data)}"}
    of_state = state(data)
    with ExitStack() as stack:
        ours, moving = stack.enter_context(serinus(data)), stack.enter_context(mover(data))
        ours.ask(f"/prompts/{ROLLOUT}?unit=user-1", authorization).save(folder / "answer")
        wsgi, django = (stack.enter_context(constant(kind, folder / "answer")) for kind in ("wsgi", "django"))
        cases = cases_of(ours, moving, wsgi, django, authorization)
        rounds, round_s = (QUICK_ROUNDS, QUICK_ROUND_S) if quick else (ROUNDS, ROUND_S)
        return [*compare(cases, rounds, round_s), of_state]


def cases_of(
    ours: Running, moving: Mover, wsgi: Running, django: Running, authorization: Mapping[str, str]
) -> list[Case]:
    rollout, plain = f"/prompts/{ROLLOUT}", f"/prompts/{PLAIN}"
    answers = [server.ask(f"{rollout}?unit=user-1", authorization).sizes for server in (ours, wsgi, django)]
    if answers != [answers[0]] * 3:
        sys.exit(f"The servers do not answer alike: {answers}")
    known = {**authorization, "If-None-Match": ours.ask(plain, authorization).headers["etag"]}
    return [
        Case("rollout", ours, rollout, authorization),
        Case("rollout, labels moving", ours, rollout, authorization, moving=moving),
        Case("label", ours, plain, authorization),
        Case("304", ours, plain, known, status=304),
        Case("constant", wsgi, rollout, authorization),
        Case("django view", django, rollout, authorization),
    ]


def compare(cases: Sequence[Case], rounds: int, round_s: int) -> list[Row]:
    """A row for each case and number of connections. In turns, so that all have the same noise."""
    for case in cases:
        measure(case, CONNECTIONS[0], WARM_UP_S)
    rows = []
    for connections in CONNECTIONS:
        found: dict[str, list[Row]] = {case.name: [] for case in cases}
        for _ in range(rounds):
            for case in cases:
                found[case.name].append(measure(case, connections, round_s))
        rows += [
            {"row": "requests", "case": name, "connections": connections, "rounds": rounds} | summary(name, found)
            for name in found
        ]
    return rows


def measure(case: Case, connections: int, seconds: int) -> Row:
    """One round's figures."""
    check(case)
    if case.moving:
        case.moving.start(seconds)
    cpu = cpu_s(case.server.web)
    load = send(case.server.url(case.path), case.headers, connections=connections, seconds=seconds)
    cpu = cpu_s(case.server.web) - cpu
    if load.failures:
        sys.exit(f"{case.name}, {connections} connections: {load}")
    if case.moving:
        check_moves(case, case.moving, seconds)
    check(case)
    return {
        "per_s": load.per_s,
        "p50_ms": load.p50_us / 1e3,
        "p99_ms": load.p99_us / 1e3,
        "cpu_s_per_10k": cpu / load.requests * 10_000,
    }


def check(case: Case) -> None:
    answer = case.server.ask(f"{case.path}?unit=user-1", case.headers)
    if answer.status != case.status:
        sys.exit(f"{case.name}: expected {case.status}, got {answer}")


def check_moves(case: Case, moving: Mover, seconds: int) -> None:
    """As many as were asked for, and the last one is served."""
    told = moving.told()
    wait_until(lambda: case.server.served_version(told["name"], case.headers) == told["version"], SEEN_WITHIN_S)
    if told["took_s"] > seconds + LATE_BY_S:
        sys.exit(f"Moving labels for {seconds} s took {told['took_s']:.1f} s")


def summary(name: str, found: Mapping[str, Sequence[Row]]) -> Row:
    """Of each figure, and of its ratios to other cases round by round: the median, the least and the most."""
    row = {figure: spread([one[figure] for one in found[name]], digits) for figure, digits in DIGITS.items()}
    for ratio, figure, other in RATIOS:
        pairs = zip(found[name], found[other], strict=True)
        row[ratio] = spread([one[figure] / another[figure] for one, another in pairs], 3)
    return row


def spread(values: Sequence[float], digits: int) -> list[float]:
    return [round(value, digits) for value in (statistics.median(values), min(values), max(values))]


if __name__ == "__main__":
    main()
