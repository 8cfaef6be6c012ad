"""Runs the scenarios; see the package for what it answers.

python -m benchmarks.operating_characteristics --quick            two minutes, prints only
python -m benchmarks.operating_characteristics                    everything: writes the results and the page
python -m benchmarks.operating_characteristics --only "cost"      scenarios whose name has that in it, prints only
"""

import argparse
import json
import os
from pathlib import Path

from benchmarks.operating_characteristics.page import PAGE, publish
from benchmarks.operating_characteristics.running import Row, run
from benchmarks.operating_characteristics.scenarios import scenarios

RESULTS = Path(__file__).parents[1] / "results" / "operating_characteristics.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rollouts of each scenario")
    parser.add_argument("--only", default="", metavar="TEXT", help="scenarios with this in their name")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, help="where the rows go, instead of the committed results")
    parser.add_argument("--publish", action="store_true", help="only write the committed results into the page again")
    given = parser.parse_args()
    if given.publish:
        publish(json.loads(RESULTS.read_text()), PAGE)
        return
    chosen = [scenario for scenario in scenarios() if given.only in scenario.name]
    output = given.output or (None if given.quick or given.only else RESULTS)
    rows: list[Row] = []
    for new in run(chosen, quick=given.quick, processes=given.processes, progress=lambda line: print(line, flush=True)):
        rows += new
        if output:
            write(rows, output)
    if output == RESULTS:
        publish(rows, PAGE)


def write(rows: list[Row], path: Path) -> None:
    """One row a line, so that a difference between two runs can be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
