"""What taking traces in costs, over HTTP: `python -m benchmarks.ingest`.

Beside a bare program that stores the same rows of the same bodies (benchmarks/bare_ingest.py), in the same run, so that
a figure can be carried to another machine: durable spans a second, CPU seconds of all the server's processes for
100 000 spans, latency of a request, memory of a web process. What was answered 200 must then be in the database.

--quick      one short round, prints only
--postgres   on a PostgreSQL started for this run, whose own CPU is told apart
--growth     a million spans: does a span cost more when there are many, and does a web process grow?
--stages     which part of the work costs what, inside one process
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.ingestion import stages
from benchmarks.ingestion.bodies import Kind, requests_of
from benchmarks.ingestion.load import cpu_s, memory_mb, peak_memory, send
from benchmarks.ingestion.page import PAGE, publish
from benchmarks.ingestion.servers import Running, bare, postgres_server, serinus
from tests.process.server import new_database

Row = dict[str, Any]

RESULTS = Path(__file__).parent / "results" / "ingest.json"
ROUNDS = 3
SPANS_A_ROUND, QUICK_SPANS = 20_000, 10_000
WARM_UP_SPANS = 4_000
KINDS = [
    *(Kind(encoding, spans, exposed=True) for spans in (100, 500) for encoding in ("protobuf", "json", "gzip")),
    *(Kind("protobuf", spans, exposed=False) for spans in (100, 500)),
]
QUICK_KINDS = [Kind("protobuf", 100, exposed=True)]
GROWTH_KIND = Kind("protobuf", 100, exposed=True)
FEW, MANY, GROWTH_STEP = 10_000, 1_000_000, 100_000
GROWTH_ROUND = 20_000

MOST_CPU_S = 5.0
MOST_TIMES_BARE = 2.5
PHOENIX_CPU_S, MLFLOW_CPU_S = 588.0, 173.0
"""For 100 000 spans of such bodies, measured on one machine before the project began."""
LEAST_TIMES_BELOW = {"Phoenix": (PHOENIX_CPU_S, 100), "MLflow": (MLFLOW_CPU_S, 30)}
FIGURES = ("spans_per_s", "cpu_s_per_100k", "database_cpu_s_per_100k", "p50_ms", "p99_ms", "web_mb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("--quick", "--postgres", "--growth", "--stages"):
        parser.add_argument(flag, action="store_true")
    given = parser.parse_args()
    if given.stages:
        stages.main(requests=40 if given.quick else 200)
        return
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder), postgres=given.postgres) as found:
        rows = grow(found) if given.growth else compare(found, quick=given.quick)
    for row in rows:
        print(json.dumps(row))
    if not given.quick:
        keep(rows)


class Databases:
    """Where servers put their data: folders, and with a PostgreSQL databases in it."""

    def __init__(self, folder: Path, postgres: tuple[psutil.Process, str] | None) -> None:
        self.folder = folder
        self.process, self._address = postgres or (None, None)

    @property
    def kind(self) -> str:
        return "postgresql" if self._address else "sqlite"

    def new(self, name: str) -> tuple[Path, str | None]:
        return self.folder / name, new_database(self._address, name) if self._address else None


@contextmanager
def databases(folder: Path, *, postgres: bool) -> Iterator[Databases]:
    if not postgres:
        yield Databases(folder, None)
        return
    with postgres_server(folder) as server:
        yield Databases(folder, server)


def compare(found: Databases, *, quick: bool) -> list[Row]:
    rows = []
    with serinus(*found.new("serinus")) as ours, bare(*found.new("bare")) as theirs:
        for kind in QUICK_KINDS if quick else KINDS:
            spans = QUICK_SPANS if quick else SPANS_A_ROUND
            rounds: dict[str, list[Row]] = {ours.name: [], theirs.name: []}
            for server in (ours, theirs):
                measure(server, kind, WARM_UP_SPANS, found.process)
            for _ in range(1 if quick else ROUNDS):  # in turns, so that both have the same noise
                for server in (ours, theirs):
                    rounds[server.name].append(measure(server, kind, spans, found.process))
            of_kind = [summary(name, found.kind, kind, of_server) for name, of_server in rounds.items()]
            tell(*of_kind)
            rows += of_kind
        same_rows(ours, theirs)
    return rows


def measure(server: Running, kind: Kind, spans: int, database: psutil.Process | None) -> Row:
    bodies = requests_of(kind, spans // kind.spans)
    before, _ = server.counts()
    database_cpu = cpu_s(database) if database else 0.0
    cpu = cpu_s(server.root)
    with peak_memory(server.web) as peak:
        load = send(server.port, bodies, server.headers | kind.headers)
    cpu = cpu_s(server.root) - cpu
    database_cpu = cpu_s(database) - database_cpu if database else 0.0
    stored = server.counts()[0] - before
    if stored != spans:
        sys.exit(f"{server.name} acknowledged {spans} spans of {kind} and stored {stored}")
    return {
        "spans_per_s": spans / load.seconds,
        "cpu_s_per_100k": cpu / spans * 100_000,
        "database_cpu_s_per_100k": database_cpu / spans * 100_000,
        "p50_ms": load.percentile_ms(0.5),
        "p99_ms": load.percentile_ms(0.99),
        "web_mb": peak.mb,
    }


def summary(server: str, database: str, kind: Kind, rounds: Sequence[Row]) -> Row:
    """Of each figure the median, the least and the most."""
    row: Row = {
        "server": server,
        "database": database,
        "encoding": kind.encoding,
        "spans_a_request": kind.spans,
        "exposed": kind.exposed,
        "rounds": len(rounds),
    }
    for name in FIGURES:
        values = sorted(found[name] for found in rounds)
        row[name] = [round(value, 2) for value in (statistics.median(values), values[0], values[-1])]
    return row


def tell(ours: Row, theirs: Row) -> None:
    what = f"{ours['database']}, {ours['encoding']}, {ours['spans_a_request']} spans"
    print(f"{what}, {'with' if ours['exposed'] else 'without'} exposures")
    for row in (ours, theirs):
        print(f"  {row['server']:8}", *(f"{name} {row[name][0]:,.2f}" for name in FIGURES))
    cpu, times = ours["cpu_s_per_100k"][0], ours["cpu_s_per_100k"][0] / theirs["cpu_s_per_100k"][0]
    print(f"  {cpu:.2f} s of CPU for 100 000 spans (goal {MOST_CPU_S}), {times:.2f} x bare (goal {MOST_TIMES_BARE})")
    for name, (measured, least) in LEAST_TIMES_BELOW.items():
        print(f"  {measured / cpu:.0f} times less than {name}'s {measured:.0f} s (goal {least})")
    sys.stdout.flush()


def same_rows(ours: Running, theirs: Running) -> None:
    """The comparison is worth nothing unless both have stored the same."""
    if ours.counts() != theirs.counts():
        sys.exit(f"Of the same bodies {ours.counts()} spans and calls against {theirs.counts()}")


def grow(found: Databases) -> list[Row]:
    """A span's cost with few and with many stored, and the memory of a web process on the way."""
    with serinus(*found.new("serinus")) as server:
        measure(server, GROWTH_KIND, FEW, found.process)
        row: Row = {"server": server.name, "database": found.kind, "growth": True}
        at_few = repeat(lambda: measure(server, GROWTH_KIND, GROWTH_ROUND, found.process))
        memory = []
        while (stored := server.counts()[0]) < MANY:
            measure(server, GROWTH_KIND, min(GROWTH_STEP, MANY - stored), found.process)
            memory.append(memory_mb(server.web))
            print(f"{server.counts()[0]:9,} spans stored, a web process has {memory[-1]:.0f} MB", flush=True)
        at_many = repeat(lambda: measure(server, GROWTH_KIND, GROWTH_ROUND, found.process))
    row["cpu_s_per_100k_at"] = {str(FEW): at_few, str(MANY): at_many}
    row["web_mb_each_100k"] = [round(mb, 1) for mb in memory]
    row["web_mb_most_by_least"] = round(max(memory[1:]) / min(memory[1:]), 3)  # the first is warming up
    return [row]


def repeat(once: Callable[[], Row]) -> list[float]:
    values = sorted(once()["cpu_s_per_100k"] for _ in range(ROUNDS))
    return [round(value, 2) for value in (statistics.median(values), values[0], values[-1])]


def keep(rows: Sequence[Row]) -> None:
    """Put the rows into the results and the page, in place of those that answer the same; one row a line."""
    fresh = {(row["database"], "growth" in row) for row in rows}
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    kept = [row for row in kept if (row["database"], "growth" in row) not in fresh]
    kept += rows
    RESULTS.write_text("[\n" + ",\n".join(json.dumps(row) for row in kept) + "\n]\n")
    publish(kept, PAGE)


if __name__ == "__main__":
    main()
