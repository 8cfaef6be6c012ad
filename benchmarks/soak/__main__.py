"""A day in under five minutes: `make soak`, or `python -m benchmarks.soak`.

PostgreSQL, a web server of two processes and two workers on loopback; apps and operators of several processes;
meanwhile whatever runs is stopped and killed, the database too. Then all must have come to rest with nothing lost and
nothing doubled, and no process grown. Exits with 1 on any loss.

--quick   half the time, prints only
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import psutil

from benchmarks.soak.audit import Audit
from benchmarks.soak.clients import Client
from benchmarks.soak.installation import Database, Installation
from benchmarks.soak.memory import Growth, sampled
from benchmarks.soak.page import PAGE, publish
from benchmarks.soak.receiver import Receiver, listening
from tests.process.server import MANAGE, wait_until

APPS = 3
STEP_S = 11.0
UNDISTURBED_S = 95.0
RESTS_WITHIN_S = 120
# The secret key is the same on all hosts.
SETTINGS = {
    "SERINUS_LOG_FORMAT": "json",
    "SERINUS_WEBHOOK_ALLOW": "127.0.0.1",
    "SERINUS_SECRET_KEY": "of-a-soak-that-nobody-else-reaches",
}

Disturbance = tuple[str, Callable[[], None]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="serinus-soak-", ignore_cleanup_errors=True) as folder:
        run = Soak(Path(folder), share=0.5 if quick else 1.0)
        try:
            run.go()
        finally:
            run.database.close()
    told = run.told | {"took": f"{time.monotonic() - began:.0f} s"}
    for name, value in told.items():
        print(f"{name}: {value}")
    for growth in run.growth:
        print(f"{growth.role}: {growth.mean_mb:.1f} MB, {growth.rise_mb:+.2f} MB in {growth.seconds:.0f} s")
    for loss in run.losses:
        print(f"LOSS: {loss}")
    if not quick:
        publish(told, run.growth, run.losses, PAGE)
    return 1 if run.losses else 0


class Soak:
    """share: of the full length."""

    def __init__(self, folder: Path, share: float) -> None:
        self.folder, self.share = folder, share
        self.database = Database(folder)
        self.told: dict[str, Any] = {}
        self.growth: list[Growth] = []
        self.losses: list[str] = []

    def go(self) -> None:
        installation = Installation(self.folder, self.database, SETTINGS | {"DATABASE_URL": self.database.url})
        installation.manage("migrate", "-v0")
        key = installation.manage("create_key", "soak", "--scopes", "read,ingest,write,admin")
        with ExitStack() as stack:
            receiver, address = stack.enter_context(listening())
            stack.enter_context(installation.running())
            client = Client(installation.port, key)
            wait_until(lambda: client.ask("readyz", "GET", "/readyz")["status"] == "ready", 60)
            receiver.secret = client.ask("webhook", "POST", "/api/v1/webhooks", {"url": address})["secret"]
            audit = Audit(self.database.url)
            since = audit.number("SELECT coalesce(max(sequence), 0) + 1 FROM registry_event")
            with sampled(list(installation.services.values())) as samples:
                done = self._work(installation, key)
            self._rest(done, receiver, since)
        self.growth = samples.growth()
        self.losses += [f"{g.role} grew by {g.rise_mb:.1f} MB of {g.mean_mb:.0f}" for g in self.growth if not g.flat]
        self.told |= {f"{name} started": service.starts for name, service in installation.services.items()}
        errors, others = logged(installation)
        self.told |= {"logged as errors": dict(errors.most_common()), "other lines on standard error": others}

    def _work(self, installation: Installation, key: str) -> list[dict[str, Any]]:
        """What the operators and apps tell, while everything that can befall an installation does."""
        with working("operators", str(installation.port), key) as operators:
            assert operators.stdout
            assert operators.stdout.readline() == "ready\n"
            with ExitStack() as stack:
                apps = [
                    stack.enter_context(working("apps", str(installation.port), key, str(seed))) for seed in range(APPS)
                ]
                for name, disturb in disturbances(installation):
                    time.sleep(STEP_S * self.share)
                    print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
                    disturb()
                time.sleep(UNDISTURBED_S * self.share)
                return [finish(process) for process in (operators, *apps)]

    def _rest(self, done: Sequence[dict[str, Any]], receiver: Receiver, since: int) -> None:
        audit = Audit(self.database.url)
        with suppress(AssertionError):  # the audit names what was not delivered
            wait_until(audit.all_delivered, RESTS_WITHIN_S)
        operators, *apps = done
        audit.spans([span for app in apps for span in app["spans"]])
        audit.scores([score for app in apps for score in app["scores"]])
        audit.evidence()
        audit.rollouts()
        audit.events(receiver, since)
        self.losses += audit.losses
        answers: Counter[str] = Counter()
        for each in done:
            answers.update(each["answers"])
        self.told |= audit.figures
        self.told["batches sent again"] = sum(app["repeated"] for app in apps)
        self.told["outcomes"] = dict(sorted(operators["outcomes"].items()))
        self.told["answers"] = dict(sorted(answers.items()))


def disturbances(installation: Installation) -> Iterator[Disturbance]:
    services, database = installation.services, installation.database

    def kill_a_web_process() -> None:
        psutil.Process(services["web"].process.pid).children()[0].kill()

    def kill_an_evaluator() -> None:
        for process in services["worker-2"].tree():
            if "run_evaluator" in process.cmdline():
                process.kill()
                return

    yield "SIGKILL to a web process", kill_a_web_process
    yield "SIGTERM to the web server", services["web"].terminate
    yield "SIGKILL to the web server", services["web"].kill
    yield "SIGTERM to a worker", services["worker-1"].terminate
    yield "SIGKILL to a worker", services["worker-1"].kill
    yield "SIGKILL to an evaluator", kill_an_evaluator
    yield "SIGKILL to the other worker", services["worker-2"].kill
    yield "restart of the database", database.restart
    yield "crash of the database", database.crash


@contextmanager
def working(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.soak.{module}", *arguments],
        cwd=MANAGE.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What it tells when it is asked to end."""
    told, _ = process.communicate(timeout=RESTS_WITHIN_S)
    if process.returncode:
        raise RuntimeError(f"{process.args} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(told)
    return found


def logged(installation: Installation) -> tuple[Counter[str], int]:
    """How often which event, or which library, was logged as an error; and how many lines are no events."""
    errors, others = Counter[str](), 0
    files = [service.folder / "log" for service in installation.services.values()]
    for line in chain.from_iterable(file.read_text().splitlines() for file in files):
        if not line.startswith("{"):
            others += 1
        elif (record := json.loads(line))["level"] == "ERROR":
            errors[record["logger"] if " " in record["event"] else record["event"]] += 1
    return errors, others


if __name__ == "__main__":
    sys.exit(main())
