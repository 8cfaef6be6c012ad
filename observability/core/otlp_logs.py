"""OTLP log requests, protobuf and JSON: of all records only the evaluation results are read.

Source: opentelemetry-proto 1.x, as core.otlp. A record tells what it is by `event_name`, formerly by the attribute
`event.name`.
"""

import json
from typing import Any

from google.protobuf.message import DecodeError as ProtobufDecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from observability.core import otlp
from observability.core.evaluations import ATTRIBUTES, EVALUATION, Evaluation
from observability.core.otlp import DecodeError, Wanted

EVENT_NAME = "event.name"
WANTED = Wanted(attributes=ATTRIBUTES | {EVENT_NAME}, events=frozenset())


def decode_protobuf(body: bytes) -> list[Evaluation]:
    """The evaluations of an ExportLogsServiceRequest. Raises DecodeError."""
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except ProtobufDecodeError as error:
        raise DecodeError("The body is not a protobuf ExportLogsServiceRequest") from error
    evaluations = []
    for resource_logs in request.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                if record.event_name in {EVALUATION, ""}:
                    attributes = otlp._attributes(record.attributes, WANTED)
                    if (record.event_name or attributes.get(EVENT_NAME)) == EVALUATION:
                        at_ns = record.time_unix_nano or record.observed_time_unix_nano
                        evaluations.append(Evaluation(record.trace_id, record.span_id, at_ns, attributes))
    return evaluations


def decode_json(body: bytes) -> list[Evaluation]:
    """The evaluations of an ExportLogsServiceRequest in the JSON encoding. Raises DecodeError."""
    try:
        return _evaluations(json.loads(body.decode("utf-8")))
    except DecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise DecodeError("The body is not JSON in UTF-8 with OTLP's fields") from error


def _evaluations(document: Any) -> list[Evaluation]:
    if not isinstance(document, dict):
        raise DecodeError(f"Expected an object with resourceLogs, got {type(document).__name__}")
    return [
        Evaluation(
            otlp._id(record, "traceId"),
            otlp._id(record, "spanId"),
            otlp._time(record, "timeUnixNano") or otlp._time(record, "observedTimeUnixNano"),
            attributes,
        )
        for resource_logs in otlp._objects(document, "resourceLogs")
        for scope_logs in otlp._objects(resource_logs, "scopeLogs")
        for record in otlp._objects(scope_logs, "logRecords")
        for attributes in [otlp._json_attributes(record, WANTED)]
        if (otlp._text(record, "eventName") or attributes.get(EVENT_NAME)) == EVALUATION
    ]
