"""The least that could take the same traces in: `python -m benchmarks.bare_ingest --port PORT --database PATH_OR_URL`.

A plain WSGI function under the same HTTP server with the same settings as ours, the same decoding library, and the same
rows in the same tables with the same indexes, each request in one transaction that is on disk before its 200. It knows
one name for each fact, asks for no key, checks nothing, counts no evidence, and leaves out what is known already by the
tables' unique indexes alone. What the server costs beyond it is what it does with the traces. The tables must exist.
"""

import argparse
import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.bare_server import serve

DATABASE = "BARE_INGEST_DATABASE"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NS_PER_HOUR, PLACES_PER_HOUR = 3_600 * 10**9, 2**40
CALLS = {"chat", "embeddings"}
SPAN_COLUMNS = (
    *("trace_id", "span_id", "parent_id", "name", "scope", "started_ns", "duration_ns", "status", "context"),
)
FACTS = {  # attribute → column
    "gen_ai.response.id": "response_id",
    "gen_ai.prompt.name": "prompt_name",
    "gen_ai.prompt.version": "version_text",
    "gen_ai.operation.name": "operation",
    "gen_ai.provider.name": "provider",
    "gen_ai.request.model": "request_model",
    "gen_ai.response.model": "response_model",
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.response.finish_reasons": "finish_reason",
    "error.type": "error_class",
    "user.id": "user_hash",
    "session.id": "session",
    "feature": "feature",
    "deployment.environment": "environment",
}
OTHER_COLUMNS = (  # that tell of the span, or have no attribute in these bodies
    *("trace_id", "span_id", "scope", "duration_ms", "error", "started_at", "attempts", "observed", "held"),
    *("version_id", "label", "rollout", "step", "arm", "unit_bucket", "stream", "cached_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "ttft_ms", "inter_token_ms", "cost_usd", "cost_source", "price_version", "reported_usd"),
    *("output_valid", "attempt_of", "is_embedding", "is_summary", "place"),
)
CALL_COLUMNS = (*FACTS.values(), *OTHER_COLUMNS)
NOTHING_KNOWN = dict.fromkeys(CALL_COLUMNS) | {"attempts": 1, "observed": 0, "held": False, "is_summary": False}

connections = threading.local()
Statements = tuple[str, str]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


def application(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
    body = environ["wsgi.input"].read()
    if environ.get("HTTP_CONTENT_ENCODING") == "gzip":
        body = zlib.decompress(body, 31)
    is_json = environ["CONTENT_TYPE"] == "application/json"
    store(list(spans_of_json(body) if is_json else spans_of_protobuf(body)))
    start_response("200 OK", [("Content-Type", environ["CONTENT_TYPE"])])
    return [b"{}" if is_json else b""]


def spans_of_protobuf(body: bytes) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """A span's row, and the facts that its attributes tell."""
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                facts = {}
                for pair in span.attributes:
                    if column := FACTS.get(pair.key):
                        facts[column] = protobuf_value(pair.value)
                start, end = span.start_time_unix_nano, span.end_time_unix_nano
                ids = (span.trace_id, span.span_id, span.parent_span_id or None)
                yield (*ids, span.name, of_scope.scope.name, start, end - start, span.status.code, None), facts


def protobuf_value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return value.array_value.values[0].string_value if kind == "array_value" else getattr(value, kind)


def spans_of_json(body: bytes) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    for of_resource in json.loads(body)["resourceSpans"]:
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                facts = {}
                for pair in span["attributes"]:
                    if column := FACTS.get(pair["key"]):
                        facts[column] = json_value(pair["value"])
                start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
                ids = [bytes.fromhex(span.get(key, "")) or None for key in ("traceId", "spanId", "parentSpanId")]
                status = span.get("status", {}).get("code", 0)
                yield (*ids, span["name"], of_scope["scope"]["name"], start, end - start, status, None), facts


def json_value(value: dict[str, Any]) -> Any:
    if "arrayValue" in value:
        return value["arrayValue"]["values"][0]["stringValue"]
    return int(value["intValue"]) if "intValue" in value else next(iter(value.values()))


def store(spans: list[tuple[tuple[Any, ...], dict[str, Any]]]) -> None:
    span_rows = [row for row, _ in spans]
    call_rows = [call_row(row, facts) for row, facts in spans if facts.get("operation") in CALLS]
    connection, (insert_spans, insert_calls) = of_this_thread()
    cursor = connection.cursor()
    cursor.execute(BEGIN[type(connection)])
    cursor.executemany(insert_spans, span_rows)
    cursor.executemany(insert_calls, call_rows)
    cursor.execute("COMMIT")


def call_row(span: tuple[Any, ...], facts: dict[str, Any]) -> tuple[Any, ...]:
    trace_id, span_id, _, _, scope, started_ns, duration_ns, status, _ = span
    started_at = EPOCH + timedelta(microseconds=started_ns // 1000)
    told = {
        "trace_id": trace_id,
        "span_id": span_id,
        "scope": scope,
        "duration_ms": duration_ns / 1e6,
        "error": status == 2,
        "is_embedding": facts["operation"] == "embeddings",
        "place": started_ns // NS_PER_HOUR * PLACES_PER_HOUR,
        "started_at": started_at if is_postgres() else started_at.strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    return tuple((NOTHING_KNOWN | facts | told).values())


BEGIN: dict[type, str] = {sqlite3.Connection: "BEGIN IMMEDIATE", psycopg.Connection: "BEGIN"}


def of_this_thread() -> tuple[Any, Statements]:
    """The thread's connection, and how spans and calls are inserted by it."""
    if not hasattr(connections, "open"):
        mark = "%s" if is_postgres() else "?"
        statements = (
            insert("observability_span", SPAN_COLUMNS, mark),
            insert("observability_call", CALL_COLUMNS, mark),
        )
        connections.open = connect(), statements
    found: tuple[Any, Statements] = connections.open
    return found


def is_postgres() -> bool:
    return os.environ[DATABASE].startswith("postgres")


def insert(table: str, columns: Iterable[str], mark: str) -> str:
    names = tuple(columns)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join([mark] * len(names))}) ON CONFLICT DO NOTHING"


def connect() -> Any:
    if is_postgres():
        return psycopg.connect(os.environ[DATABASE], autocommit=True)
    connection = sqlite3.connect(os.environ[DATABASE], timeout=5, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")  # as Django has it
    return connection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--database", required=True, help="path of an SQLite file, or address of a PostgreSQL")
    given = parser.parse_args()
    os.environ[DATABASE] = given.database
    serve("benchmarks.bare_ingest:application", given.port, given.workers)


if __name__ == "__main__":
    main()
