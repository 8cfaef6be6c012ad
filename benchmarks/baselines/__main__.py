"""Runs the simulations; see the package for what they answer.

python -m benchmarks.baselines --quick      a minute, prints only
python -m benchmarks.baselines              everything: writes the results and the page
python -m benchmarks.baselines --publish    only writes the committed results into the page again
"""

import argparse
import json
import os
from pathlib import Path

from benchmarks.baselines.simulations import SEED, run

RESULTS = Path(__file__).parents[1] / "results" / "baselines.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few days and runs of each")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=SEED, help="another one than that of the published results")
    parser.add_argument("--publish", action="store_true", help="only write the committed results into the page again")
    given = parser.parse_args()
    if not given.publish:
        rows = []
        for row in run(quick=given.quick, processes=given.processes, seed=given.seed):
            print(json.dumps(row), flush=True)
            rows.append(row)
        if given.quick or given.seed != SEED:
            return
        RESULTS.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    from benchmarks.baselines.page import PAGE, publish

    publish(json.loads(RESULTS.read_text()), PAGE)


if __name__ == "__main__":
    main()
