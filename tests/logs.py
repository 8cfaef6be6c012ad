"""Builders of OTLP log requests that carry evaluation results."""

import json
import time
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from tests import traces

EVALUATION = "gen_ai.evaluation.result"


def attributes(value: Any = 0.25, **others: Any) -> dict[str, Any]:
    """An evaluation named relevance; others: `response.id` and the like, without their `gen_ai.`."""
    told = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": value, **others}
    return {key: one for key, one in told.items() if one is not None}


def record(
    told: dict[str, Any] | None = None,
    *,
    number: int | None = 0,
    trace: int = 0,
    at_ns: int | None = None,
    event_name: str = EVALUATION,
) -> LogRecord:
    """A record inside the span of this number, or in none."""
    made = LogRecord(
        time_unix_nano=time.time_ns() if at_ns is None else at_ns,
        attributes=traces.pairs(attributes() if told is None else told),
        event_name=event_name,
    )
    if number is not None:
        made.trace_id, made.span_id = traces.trace_id(trace), traces.span_id(number)
    return made


def body(*records: LogRecord) -> bytes:
    scope_logs = ScopeLogs(log_records=records)
    return ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[scope_logs])]).SerializeToString()


def json_body(*records: dict[str, Any]) -> bytes:
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}).encode()
