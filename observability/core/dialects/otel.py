"""OpenTelemetry's own GenAI conventions, with their older names and the attributes of this project (`serinus.*`).

Source: open-telemetry/semantic-conventions-genai and its history in semantic-conventions.
"""

from observability.core import conversions as read
from observability.core.dialects.table import ASSIGNMENT, EXCEPTION, RESOURCE, Dialect, Family, Source

OTEL = Dialect(
    name="OpenTelemetry GenAI",
    kinds={
        "gen_ai.operation.name": read.kind_of_operation,
        "llm.request.type": read.kind_of_operation,
    },
    fields={
        "operation": (
            Source("gen_ai.operation.name", read.operation),
            Source("llm.request.type", read.operation),
        ),
        "prompt_name": (
            Source("gen_ai.prompt.name"),
            Source("gen_ai.prompt.name", at=ASSIGNMENT),
        ),
        "prompt_version": (
            Source("gen_ai.prompt.version"),
            Source("gen_ai.prompt.version", at=ASSIGNMENT),
        ),
        "exposure": (
            Source("serinus.exposure", read.exposure),
            Source("serinus.exposure", read.exposure, at=ASSIGNMENT),
        ),
        "user": (
            Source("user.id", read.identity),
            Source("enduser.id", read.identity),
            Source("user.id", read.identity, at=ASSIGNMENT),
            Source("gen_ai.request.user", read.identity),
        ),
        "session": (
            Source("session.id", read.identity),
            Source("session.id", read.identity, at=ASSIGNMENT),
        ),
        "conversation": (Source("gen_ai.conversation.id", read.identity),),
        "label": (
            Source("serinus.label"),
            Source("serinus.label", at=ASSIGNMENT),
        ),
        "feature": (Source("feature"),),
        "environment": (
            Source("deployment.environment.name"),
            Source("deployment.environment"),
            Source("deployment.environment.name", at=RESOURCE),
            Source("deployment.environment", at=RESOURCE),
        ),
        "provider": (
            Source("gen_ai.provider.name", read.provider),
            Source("gen_ai.system", read.provider),
        ),
        "request_model": (Source("gen_ai.request.model"),),
        "response_model": (Source("gen_ai.response.model"),),
        "response_id": (Source("gen_ai.response.id"),),
        "input_tokens": (
            Source("gen_ai.usage.input_tokens", read.tokens),
            Source("gen_ai.usage.prompt_tokens", read.tokens),
            Source("llm.usage.prompt_tokens", read.tokens),
        ),
        "output_tokens": (
            Source("gen_ai.usage.output_tokens", read.tokens),
            Source("gen_ai.usage.completion_tokens", read.tokens),
            Source("llm.usage.completion_tokens", read.tokens),
        ),
        "cached_tokens": (
            Source("gen_ai.usage.cache_read.input_tokens", read.tokens),
            Source("gen_ai.usage.cache_read_input_tokens", read.tokens),
            Source("cache_read_input_tokens", read.tokens),
            Source("gen_ai.usage.details.cache_read_tokens", read.tokens),
            Source("gen_ai.usage.details.cache_read_input_tokens", read.tokens),
        ),
        "cache_write_tokens": (
            Source("gen_ai.usage.cache_write.input_tokens", read.tokens),
            Source("gen_ai.usage.cache_creation.input_tokens", read.tokens),
            Source("gen_ai.usage.cache_creation_input_tokens", read.tokens),
            Source("cache_creation_input_tokens", read.tokens),
            Source("gen_ai.usage.details.cache_write_tokens", read.tokens),
            Source("gen_ai.usage.details.cache_creation_input_tokens", read.tokens),
        ),
        "reasoning_tokens": (
            Source("gen_ai.usage.reasoning.output_tokens", read.tokens),
            Source("gen_ai.usage.reasoning_tokens", read.tokens),
            Source("gen_ai.usage.details.reasoning_tokens", read.tokens),
        ),
        "cost_usd": (Source("gen_ai.usage.cost", read.usd),),
        "output_messages": (Source("gen_ai.output.messages", read.untouched),),
        "finish_reason": (
            Source("gen_ai.response.finish_reasons", read.finish_reason),
            Source("gen_ai.response.finish_reason", read.finish_reason),
            Source("gen_ai.response.stop_reason", read.finish_reason),
            Source("gen_ai.completion.0.finish_reason", read.finish_reason),
            Source(
                "gen_ai.output.messages", read.finish_reason, parse=read.structure_in_json, path=(0, "finish_reason")
            ),
        ),
        "stream": (
            Source("gen_ai.request.stream", read.flag),
            Source("gen_ai.is_streaming", read.flag),
            Source("llm.is_streaming", read.flag),
        ),
        "first_chunk_s": (
            Source("gen_ai.response.time_to_first_chunk", read.number),
            Source("gen_ai.client.operation.time_to_first_chunk", read.number),
        ),
        # Some clients write the full latency here when they did not stream.
        "first_token_s_of_streams": (
            Source("gen_ai.server.time_to_first_token", read.number),
            Source("gen_ai.server.ttft", read.number),
        ),
        "per_output_token_s": (Source("gen_ai.server.time_per_output_token", read.number),),
        "error_type": (Source("error.type"),),
        "http_error_class": (Source("http.response.status_code", read.http_error_class),),
        "error_class": (
            Source("http.response.status_code", read.http_error_class),
            Source("error.code", read.error_class),
            Source("error.type", read.error_class),
            Source("exception.type", read.error_class, at=EXCEPTION),
            Source("exception.message", read.error_class_of_message, at=EXCEPTION),
        ),
    },
    content={"input_messages": (Source("gen_ai.input.messages", read.untouched),)},
    families=(
        Family("input_messages", "gen_ai.prompt."),
        Family("output_messages", "gen_ai.completion."),
    ),
    first_token_events=("gen_ai.first_token",),
)
