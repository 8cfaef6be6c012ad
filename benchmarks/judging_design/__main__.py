"""Runs the simulations; see the package for what they answer.

python -m benchmarks.judging_design --quick      a minute, prints only
python -m benchmarks.judging_design              everything: writes the results and the page
python -m benchmarks.judging_design --publish    only writes the committed results into the page again
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.judging_design import means, rollouts
from benchmarks.judging_design.page import PAGE, publish

RESULTS = Path(__file__).parents[1] / "results" / "judging_design.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few replications of each")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--publish", action="store_true", help="only write the committed results into the page again")
    given = parser.parse_args()
    if not given.publish:
        rows = []
        for row in simulated(quick=given.quick, processes=given.processes):
            print(json.dumps(row), flush=True)
            rows.append(row)
        if given.quick:
            return
        RESULTS.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    publish(json.loads(RESULTS.read_text()), PAGE)


def simulated(*, quick: bool, processes: int) -> Iterator[Mapping[str, Any]]:
    yield from rollouts.run(quick=quick, processes=processes)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"SERINUS_DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "config.settings"}
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield from means.run(replications=60 if quick else 1000)


if __name__ == "__main__":
    main()
