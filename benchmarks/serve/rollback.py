"""How long after a rollback somebody still gets the canary: from any web process, and from SDK clients."""

import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import serinus
from tests.process.operators import Operator
from tests.process.server import HOST, serving
from tests.process.wrong_answers import last_wrong_answers

PROCESSES, CLIENTS, ROLLBACKS = 4, 20, 10


def measure(folder: Path) -> dict[str, Any]:
    """One row; of each figure the median and the most."""
    with serving(folder, "--workers", str(PROCESSES), SERINUS_ROLLBACK_COOL_DOWN="0s") as server, ExitStack() as stack:
        operator = Operator(server)
        options: dict[str, Any] = {"key": operator.key, "cache_dir": False, "start_timeout_s": 10}
        url = f"http://{HOST}:{server.port}"
        clients = [stack.enter_context(serinus.Client(url, **options)) for _ in range(CLIENTS)]
        found = last_wrong_answers(operator, clients, rollbacks=ROLLBACKS)
    figures = {"http_ms": [one.http_s * 1e3 for one in found], "sdk_ms": [one.sdk_s * 1e3 for one in found]}
    about = {"row": "rollback", "processes": PROCESSES, "clients": CLIENTS, "rollbacks": ROLLBACKS}
    return about | {name: [round(statistics.median(ms)), round(max(ms))] for name, ms in figures.items()}
