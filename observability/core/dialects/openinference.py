"""OpenInference (Arize Phoenix): `openinference.span.kind` and `llm.*`.

It has no attribute for a prompt's name; people put it into `metadata`. A version without a name stays one.
Source: Arize-ai/openinference, spec/semantic_conventions.md.
"""

from typing import Any

from observability.core import conversions as read
from observability.core.dialects.table import Dialect, Family, Kind, Source
from observability.core.otlp import Span

PARAMETERS = "llm.invocation_parameters"
OF_EMBEDDINGS = "embedding.invocation_parameters"
METADATA = "metadata"
OUTPUT = "output.value"
MESSAGE_OF_LANGCHAIN = ("generations", 0, 0, "message", "kwargs", "response_metadata")
LITELLM = "openinference.instrumentation.litellm"


def kind_of_span(value: Any) -> Kind | None:
    found = read.lower(value)
    if found is None:
        return None
    return "call" if found == "llm" else "embedding" if found == "embedding" else "other"


def mend(span: Span, fields: dict[str, Any]) -> None:
    """Where it writes `gen_ai.*` too, it takes the model that answered for the one that was asked for. Of litellm's
    models, which it writes as `provider/model`, the provider never sees the first part."""
    if "gen_ai.request.model" in span.attributes:
        parameters = read.structure_in_json(span.attributes.get(PARAMETERS))
        fields["request_model"] = read.text(read.inside(parameters, ("model",))) or fields.get("request_model")
    if span.scope == LITELLM:
        for field in ("request_model", "response_model"):
            provider, _, model = (fields.get(field) or "").partition("/")
            if model and provider == fields.get("provider", provider):
                fields[field] = model


def _in_metadata(key: str, convert: Any = read.text) -> Source:
    return Source(METADATA, convert, parse=read.structure_in_json, path=(key,))


OPENINFERENCE = Dialect(
    name="OpenInference",
    scopes=("openinference",),
    mend=mend,
    kinds={"openinference.span.kind": kind_of_span},
    fields={
        "prompt_name": (_in_metadata("gen_ai.prompt.name"), _in_metadata("prompt_name")),
        "prompt_version": (Source("llm.prompt_template.version"), _in_metadata("gen_ai.prompt.version")),
        "exposure": (_in_metadata("serinus.exposure", read.exposure),),
        "label": (_in_metadata("serinus.label"),),
        "feature": (_in_metadata("feature"),),
        "user": (_in_metadata("user_id", read.identity),),  # of LangChain's config, whose session has an attribute
        "provider": (Source("llm.provider", read.provider), Source("llm.system", read.provider)),
        "request_model": (
            Source("llm.request.model_name"),
            Source(PARAMETERS, parse=read.structure_in_json, path=("model",)),
            Source(OF_EMBEDDINGS, parse=read.structure_in_json, path=("model",)),
            Source("llm.model_name"),
        ),
        "response_model": (
            Source("llm.response.model_name"),
            Source(OUTPUT, parse=read.structure_in_json, path=(*MESSAGE_OF_LANGCHAIN, "model_name")),
            Source("llm.model_name"),
            Source("embedding.model_name"),
        ),
        "response_id": (
            Source(OUTPUT, parse=read.structure_in_json, path=("id",)),
            Source(OUTPUT, parse=read.structure_in_json, path=(*MESSAGE_OF_LANGCHAIN, "id")),
        ),
        "input_tokens": (Source("llm.token_count.prompt", read.tokens),),
        "output_tokens": (Source("llm.token_count.completion", read.tokens),),
        "cached_tokens": (Source("llm.token_count.prompt_details.cache_read", read.tokens),),
        "cache_write_tokens": (Source("llm.token_count.prompt_details.cache_write", read.tokens),),
        "reasoning_tokens": (Source("llm.token_count.completion_details.reasoning", read.tokens),),
        "cost_usd": (Source("llm.cost.total", read.usd),),
        "finish_reason": (
            Source("llm.finish_reason", read.finish_reason),
            Source(OUTPUT, read.finish_reason, parse=read.structure_in_json, path=("choices", 0, "finish_reason")),
            Source(OUTPUT, read.finish_reason, parse=read.structure_in_json, path=("stop_reason",)),
        ),
        # LangChain's spans say false of calls that did stream.
        "stream": (Source(PARAMETERS, read.true_flag, parse=read.structure_in_json, path=("stream",)),),
    },
    content={
        "input_messages": (Source("input.value", read.untouched),),
        "output_messages": (Source(OUTPUT, read.untouched),),
    },
    families=(
        Family("input_messages", "llm.input_messages."),
        Family("output_messages", "llm.output_messages."),
    ),
    first_token_events=("First Token Stream Event",),
)
