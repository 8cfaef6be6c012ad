"""Calls as plain JSON, for apps without OpenTelemetry: what is asked of them, and how they become facts."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from rest_framework import serializers

from common.clock import now
from common.rest import StrictSerializer
from observability.api.fields import ExposureText, Text, hexadecimal
from observability.core.calls import EMBEDDINGS, LONGEST_MS, CallFacts, Context
from observability.core.conversions import FINISH_REASONS, MOST_TOKENS, MOST_USD, PROVIDERS, TEXT_LIMIT, USD_STEP
from observability.core.evidence import parse_exposure
from observability.core.times import nanoseconds

MOST_CALLS = 1000
OPERATIONS = ["chat", "text_completion", "generate_content", "realtime_inference", "responses", EMBEDDINGS]
ERROR_CLASSES = ["429", "timeout", "connection", "5xx", "4xx", "incomplete", "other"]
AHEAD = timedelta(hours=1)  # how far a client's clock may be
EARLIEST_YEAR = 1971


class Number(serializers.Field[float, Any, float, Any]):
    """A JSON number from 0 to `most`; neither text nor true and false pass for one."""

    def __init__(self, *, most: float) -> None:
        super().__init__(required=False, allow_null=True)
        self.most = most

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float) or not 0 <= data <= self.most:
            raise serializers.ValidationError(f"expected a number from 0 to {self.most:.0f}, got {repr(data)[:40]}")
        return float(data)


class Tokens(serializers.IntegerField):
    """A whole JSON number of tokens."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int) or not 0 <= data <= MOST_TOKENS:
            raise serializers.ValidationError(f"expected a whole number from 0 to {MOST_TOKENS}, got {repr(data)[:40]}")
        return data


class VersionText(Text):
    """A version in any way of writing it; an ordinal may be a number."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(str(data) if isinstance(data, int) and not isinstance(data, bool) else data)


def short_text() -> Text:
    return Text(max_length=TEXT_LIMIT, required=False, allow_null=True)


def flag() -> serializers.BooleanField:
    return serializers.BooleanField(required=False, allow_null=True)


def milliseconds() -> Number:
    return Number(most=LONGEST_MS)


def tokens() -> Tokens:
    return Tokens(required=False, allow_null=True)


class CallForm(StrictSerializer):
    """The fields of `GET /api/v1/calls` that an app can know."""

    id = short_text()
    trace_id = hexadecimal(32)
    span_id = hexadecimal(16)
    response_id = short_text()
    prompt = short_text()
    version = VersionText(max_length=TEXT_LIMIT, required=False, allow_null=True)
    exposure = ExposureText(required=False, allow_null=True)
    label = short_text()  # type: ignore[assignment]  # DRF's own name
    operation = serializers.ChoiceField(OPERATIONS, default="chat")
    provider = short_text()
    request_model = short_text()
    response_model = short_text()
    stream = flag()
    input_tokens = tokens()
    output_tokens = tokens()
    cached_tokens = tokens()
    cache_write_tokens = tokens()
    reasoning_tokens = tokens()
    ttft_ms = milliseconds()
    inter_token_ms = milliseconds()
    duration_ms = milliseconds()
    cost_usd = Number(most=MOST_USD)
    finish_reason = short_text()
    error = flag()
    error_class = serializers.ChoiceField(ERROR_CLASSES, required=False, allow_null=True)
    user = short_text()
    session = short_text()
    feature = short_text()
    environment = short_text()
    started_at = serializers.DateTimeField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        get = attrs.get
        wrong = {}
        if get("span_id") and not get("trace_id"):
            wrong["trace_id"] = "expected with a span_id"
        for id_ in ("trace_id", "span_id"):
            if get(id_) and not any(bytes.fromhex(attrs[id_])):
                wrong[id_] = "expected an id that is not all zeros"
        if get("ttft_ms") is not None and not 0 < attrs["ttft_ms"] <= (get("duration_ms") or 0):
            wrong["ttft_ms"] = "expected more than 0 and at most duration_ms"
        if get("error_class") and get("error") is False:
            wrong["error_class"] = "expected only of a call with an error"
        if (started_at := get("started_at")) and started_at.year < EARLIEST_YEAR:
            wrong["started_at"] = f"expected a time from {EARLIEST_YEAR} on"
        if started_at and started_at > now() + AHEAD:
            wrong["started_at"] = "expected a time that is at most an hour ahead"
        if wrong:
            raise serializers.ValidationError(wrong)
        return attrs


def read_calls(sent: Any) -> list[CallFacts]:
    """The calls of a request's body, one or up to 1000 in an array. Raises DRF's ValidationError."""
    if isinstance(sent, list):
        forms: Any = serializers.ListSerializer(data=sent, child=CallForm(), allow_empty=False, max_length=MOST_CALLS)
        forms.is_valid(raise_exception=True)
        return [_facts(call) for call in forms.validated_data]
    form = CallForm(data=sent)
    form.is_valid(raise_exception=True)
    return [_facts(form.validated_data)]


def _facts(call: Mapping[str, Any]) -> CallFacts:
    get = call.get
    trace_id, span_id = _ids(call)
    error = bool(get("error") or get("error_class"))
    provider, finish_reason = (get("provider") or "").lower(), (get("finish_reason") or "").lower()
    return CallFacts(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=b"",
        scope="",
        context=_context(call),
        operation=call["operation"],
        provider=PROVIDERS.get(provider, provider) or None,
        request_model=get("request_model"),
        response_model=get("response_model"),
        response_id=get("response_id"),
        stream=True if get("ttft_ms") is not None else get("stream"),
        input_tokens=get("input_tokens"),
        output_tokens=get("output_tokens"),
        cached_tokens=get("cached_tokens"),
        cache_write_tokens=get("cache_write_tokens"),
        reasoning_tokens=get("reasoning_tokens"),
        ttft_ms=get("ttft_ms"),
        inter_token_ms=_inter_token_ms(call),
        duration_ms=get("duration_ms"),
        finish_reason=FINISH_REASONS.get(finish_reason, finish_reason) or None,
        error=error,
        error_class=(get("error_class") or "other") if error else None,
        environment=get("environment"),
        started_ns=_started_ns(call),
        reported_usd=None if get("cost_usd") is None else Decimal(str(call["cost_usd"])).quantize(USD_STEP),
    )


def _context(call: Mapping[str, Any]) -> Context:
    get = call.get
    exposure = get("exposure")
    return Context(
        prompt_name=get("prompt"),
        prompt_version=get("version"),
        exposure=parse_exposure(exposure) if exposure else None,
        label=get("label"),
        user=get("user"),
        session=get("session"),
        feature=get("feature"),
    )


def _ids(call: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Trace and span: as given, else made of the call's own id, so that sent again it is the same, else at random."""
    id_ = call.get("id")
    made = sha256(f"call {id_}".encode()).digest() if id_ else secrets.token_bytes(32)
    trace_id, span_id = call.get("trace_id"), call.get("span_id")
    return (
        bytes.fromhex(trace_id) if trace_id else made[:16],
        bytes.fromhex(span_id) if span_id else made[16:24],
    )


def _started_ns(call: Mapping[str, Any]) -> int:
    """As given, else as if the call had ended now."""
    started_at = call.get("started_at") or now() - timedelta(milliseconds=call.get("duration_ms") or 0)
    return nanoseconds(started_at)


def _inter_token_ms(call: Mapping[str, Any]) -> float | None:
    """As given, else the mean time between two visible tokens, as of a call that a span tells of."""
    get = call.get
    told: float | None = get("inter_token_ms")
    if told is not None:
        return told
    if get("ttft_ms") is None or get("output_tokens") is None:
        return None
    gaps = call["output_tokens"] - (get("reasoning_tokens") or 0) - 1
    return (call["duration_ms"] - call["ttft_ms"]) / gaps if gaps >= 1 else None
