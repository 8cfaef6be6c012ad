"""What judging costs those who take calls in, and how soon a rollout's call is judged: `python -m benchmarks.judging`.

Three servers' worth of the same work, each in a process with a database of its own, in turns, so that all have the same
noise: judging *off*; judging *on* at 2 % with an evaluator that needs documents; *waiting*, which is on with 100 000
evaluations that wait, where the others have as many that are settled. The bodies bring texts and documents. CPU
seconds, the database's with them, and ratios of their medians. Then calls of a rollout come in behind the 100 000, and
how long it takes to claim them is told.

--quick      fewer and shorter rounds
--postgres   on a PostgreSQL started for this run
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

WAITING = 100_000
ROUNDS, QUICK_ROUNDS = 9, 3
REQUESTS, QUICK_REQUESTS = 30, 10
TRACES = 20  # in a request, of five spans each
TEXT = "The order of two red mugs is on its way to the customer, and comes on Tuesday at noon. " * 8
STATES = ("off", "on", "waiting")
SHARE_BP = 200
URGENT = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--child", choices=STATES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        work(given.child)
        return
    rounds, requests = (QUICK_ROUNDS, QUICK_REQUESTS) if given.quick else (ROUNDS, REQUESTS)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = None
        if given.postgres:
            from benchmarks.ingestion.servers import postgres_server

            server = stack.enter_context(postgres_server(Path(folder)))
        children = {state: stack.enter_context(child(state, Path(folder), server)) for state in STATES}
        spent: dict[str, list[float]] = {state: [] for state in STATES}
        for round_ in range(rounds + 1):
            for state in STATES[round_ % 3 :] + STATES[: round_ % 3]:
                cpu_s = ingest(children[state], requests, server and server[0])
                if round_:  # the first warms up
                    spent[state].append(cpu_s)
        print(json.dumps(figures(spent, requests * TRACES * 5)))
        print(json.dumps(ask(children["waiting"], "claim")))


def figures(spent: dict[str, list[float]], spans: int) -> dict[str, Any]:
    each = {state: statistics.median(of) / spans * 1e6 for state, of in spent.items()}
    of_turns = [w / on for w, on in zip(spent["waiting"], spent["on"], strict=True)]
    return {
        "cpu_us_a_span": {state: round(us, 1) for state, us in each.items()},
        "waiting_to_on": round(each["waiting"] / each["on"], 3),
        "waiting_to_on_by_rounds": [round(ratio, 3) for ratio in sorted(of_turns)],
        "on_to_off": round(each["on"] / each["off"], 3),
    }


def ingest(process: "subprocess.Popen[str]", requests: int, database: psutil.Process | None) -> float:
    from benchmarks.ingestion.load import cpu_s

    before = cpu_s(database) if database else 0.0
    answer = ask(process, f"ingest {requests}")
    return float(answer["cpu_s"]) + (cpu_s(database) - before if database else 0.0)


def ask(process: "subprocess.Popen[str]", what: str) -> dict[str, Any]:
    assert process.stdin
    assert process.stdout
    process.stdin.write(what + "\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


@contextmanager
def child(state: str, folder: Path, server: tuple[psutil.Process, str] | None) -> Iterator["subprocess.Popen[str]"]:
    settings = {"SERINUS_DATA_DIR": str(folder / state), "SERINUS_LOG_LEVEL": "ERROR"}
    if server:
        from tests.process.server import new_database

        settings["DATABASE_URL"] = new_database(server[1], f"judging_{state}")
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.judging", "--child", state],
        env=os.environ | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        ask(process, "ready")
        yield process
    finally:
        process.kill()
        process.wait()


def work(state: str) -> None:
    """In a child: prepare the database, then do what is asked, a line at a time."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    prepare(state)
    serial = iter(range(10**9))
    for line in sys.stdin:
        what, _, number = line.strip().partition(" ")
        if what == "ingest":
            bodies = [body_of(next(serial)) for _ in range(int(number))]
            print(json.dumps({"cpu_s": take_in(bodies)}), flush=True)
        elif what == "claim":
            print(json.dumps(claim_urgent()), flush=True)
        else:
            print("{}", flush=True)


def prepare(state: str) -> None:
    from django.core.management import call_command

    from common.clock import now
    from observability.models import Evaluation, EvaluationText, EvaluatorKind, Judging
    from tests import judged

    call_command("migrate", verbosity=0)
    prompt, version = judged.prompt(), judged.evaluator(kind=EvaluatorKind.RAGAS)
    judged.judge(prompt, version, share_bp=SHARE_BP, calls_a_day=None, usd_a_day=None)
    fill()
    if state != "waiting":
        Evaluation.objects.update(status="scored", settled_at=now())
        EvaluationText.objects.all().delete()
    if state == "off":
        Judging.objects.update(active=False)


def fill() -> None:
    """Evaluations that wait, with their texts, of calls like those that come in; written by the database itself."""
    from django.db import connection, transaction

    from observability.models import Call, Evaluation
    from tests import judged

    while not Evaluation.objects.exists():
        judged.send_call(judged.trace_under(SHARE_BP / 10_000), out=TEXT, into=TEXT)
    Call.objects.exclude(evaluations__isnull=False).delete()
    others = ", ".join(field.column for field in Call._meta.concrete_fields if field.column != "id")
    of_evaluation = [
        field.column for field in Evaluation._meta.concrete_fields if field.column not in {"id", "call_id"}
    ]
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {WAITING})"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO observability_call (id, {others}) {numbers} SELECT 1000000000 + n, {others}"
            " FROM numbers, observability_call WHERE id < 1000000000"
        )
        columns = ", ".join(of_evaluation)
        cursor.execute(
            f"INSERT INTO observability_evaluation (call_id, {columns}) SELECT call.id,"
            f" {', '.join(f'like_this.{column}' for column in of_evaluation)} FROM observability_call AS call,"
            " observability_evaluation AS like_this WHERE call.id > 1000000000"
        )
        cursor.execute(
            "INSERT INTO observability_evaluationtext (call_id, input_text, output_text, stored_at, in_doubt)"
            " SELECT call.id, input_text, output_text, stored_at, in_doubt FROM observability_call AS call,"
            " observability_evaluationtext WHERE call.id > 1000000000"
        )


def body_of(number: int) -> bytes:
    """A request of 20 traces: an agent, a retrieval with three documents, an embedding, two chats with their texts."""
    from tests import judged, traces

    spans = []
    for trace in range(number * TRACES + 1, (number + 1) * TRACES + 1):
        first = trace * 5 + 10**6
        documents = {f"retrieval.documents.{n}.document.content": TEXT for n in range(3)}
        said = judged.attributes(into=TEXT, out=TEXT, **{"gen_ai.usage.input_tokens": 300, "gen_ai.request.model": "m"})
        spans += [
            traces.span({"user.id": "u-1", "session.id": "s-1"}, number=first, trace=trace, name="agent"),
            judged.retrieval(
                {"openinference.span.kind": "RETRIEVER"} | documents, number=first + 1, trace=trace, parent=first
            ),
            traces.span({"gen_ai.operation.name": "embeddings"}, number=first + 2, trace=trace, parent=first),
            traces.span(said, number=first + 3, trace=trace, parent=first),
            traces.span(said, number=first + 4, trace=trace, parent=first),
        ]
    return traces.body(*spans)


def take_in(bodies: list[bytes]) -> float:
    """CPU seconds of storing the bodies, as the address of traces does."""
    from observability.core.otlp import decode_protobuf
    from observability.ingest import traces, writer

    began = time.process_time()
    for body in bodies:
        writer.store(decode_protobuf(body, traces._wanted()).spans)
    return time.process_time() - began


def claim_urgent() -> dict[str, Any]:
    """Calls of a rollout behind all that waits: how many claims of four until all of them are claimed, and how long
    each claim takes."""
    from django.db.models import F

    from observability.judging import queue
    from observability.models import Evaluation, EvaluatorVersion
    from tests import judged, traces

    judged.fix_share("rol_1", "canary", EvaluatorVersion.objects.get(), 1.0)
    said = judged.attributes(exposure="rol_1:0:canary:7")
    judged.send(*(traces.span(said, number=10**7 + n, trace=10**7 + n) for n in range(URGENT)))
    waiting = Evaluation.objects.filter(status="waiting").count()
    Evaluation.objects.filter(urgent=True).update(next_attempt_at=F("created_at"))
    urgent = Evaluation.objects.filter(urgent=True).count()
    took, found, claims = [], 0, 0
    while found < urgent:
        began = time.perf_counter()
        claimed = queue.claim(most=4, others=1 if claims % 2 == 1 else 0)
        took.append((time.perf_counter() - began) * 1e3)
        found += sum(one.urgent for one in claimed)
        claims += 1
    return {
        "waiting": waiting,
        "urgent": urgent,
        "claims_of_four": claims,
        "ms_a_claim": {"median": round(statistics.median(took), 1), "most": round(max(took), 1)},
    }


if __name__ == "__main__":
    main()
