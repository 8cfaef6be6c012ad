"""What does a model say of a call? It is asked by a template that is itself a version of a prompt of this registry.

The answer is asked for by a JSON Schema and checked here all the same: a score from 0 to 1, a reason, and a label where
the config lists some. What is anything else is missing with its reason, and what it cost is told with it.

The judged texts come from outside and may hold instructions. `boundary` is for templates to mark them off: a word made
from all the texts together, which none of them can therefore hold.
"""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from observability.core.conversions import MOST_TOKENS
from observability.core.evaluator_configs import JudgeConfig, is_number, read_config
from observability.core.prices import Overrides, cost_of
from observability.judging.judgements import (
    LONGEST_LABEL,
    LONGEST_REASON,
    Judgement,
    Material,
    Missed,
    without_output,
)
from observability.judging.provider import Reply, ask
from observability.judging.usage import Usage, cut, storable
from observability.models.evaluations import Missing
from observability.models.evaluators import EvaluatorVersion
from registry.core.content import Content
from registry.core.templates import render, variables
from registry.models import PromptVersion

LONGEST_MODEL = 200
FENCE = "```"
REFUSALS = frozenset({"content_filter", "refusal"})


def evaluate(
    version: EvaluatorVersion, material: Material, *, deadline_s: float, overrides: Overrides
) -> Judgement | Missed:
    config = cast("JudgeConfig", read_config(version.kind, version.config))
    template = cast("PromptVersion", version.template)
    if missed := _lacking(template, material):
        return missed
    reply = ask("/chat/completions", _question(config, template, material), deadline_s=deadline_s)
    if isinstance(reply, Missed):
        return reply
    usage = _usage(config, reply.document)
    cost = cost_of(usage, overrides)
    return _judgement(config, reply, usage.response_model, cost and cost.usd)


def _lacking(template: PromptVersion, material: Material) -> Missed | None:
    """What to answer where the template names something that the call has not."""
    names = variables(template.template)
    if "output" in names and (missed := without_output(material)):
        return missed
    if "input" in names and material.input_text is None:
        return Missed(Missing.NO_TEXT, "the call came without its input", try_again=False)
    if "documents" in names and not material.documents:
        return Missed(Missing.NO_CONTEXTS, "nothing was retrieved for the call, as far as its trace tells", False)
    return None


def _question(config: JudgeConfig, template: PromptVersion, material: Material) -> dict[str, Any]:
    rendered = render(template.template, _values(config, template, material))
    question: dict[str, Any] = {
        "model": config.model,
        "messages": [{"role": "user", "content": rendered}] if isinstance(rendered, str) else rendered,
        **config.parameters,
    }
    if config.temperature is not None:
        question["temperature"] = config.temperature
    if config.max_tokens is not None:
        question["max_tokens"] = config.max_tokens
    if config.response_format == "json_schema":
        question["response_format"] = {"type": "json_schema", "json_schema": _wanted(config)}
    elif config.response_format == "json_object":
        question["response_format"] = {"type": "json_object"}
    return question


def _values(config: JudgeConfig, template: PromptVersion, material: Material) -> dict[str, Any]:
    """Values of the template's variables: its own defaults, under what there is of the call."""
    documents = "\n\n".join(f"[{n}] {document}" for n, document in enumerate(material.documents, 1))
    texts = {"input": material.input_text or "", "output": material.output_text or "", "documents": documents}
    sent = {name: cut(text, config.most_characters) for name, text in texts.items()}
    return {
        **Content(template.type, template.template, input_schema=template.input_schema).defaults,
        **sent,
        "finish_reason": material.finish_reason or "",
        "response_schema": material.response_schema or {},
        "boundary": _boundary(sent),
    }


def _boundary(texts: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    return f"=== {digest[:24]} ==="


def _wanted(config: JudgeConfig) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "reason": {"type": "string", "description": "One or two sentences that say why"},
        "score": {"type": "number", "description": "From 0 to 1"},
    }
    if config.labels:
        properties["label"] = {"type": "string", "enum": list(config.labels)}
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"name": "judgement", "strict": True, "schema": schema}


def _usage(config: JudgeConfig, document: Mapping[str, Any]) -> Usage:
    told, model = _mapping(document.get("usage")), document.get("model")
    return Usage.now(
        config.provider,
        config.model,
        storable(model, LONGEST_MODEL) or None if isinstance(model, str) else None,
        _count(told.get("prompt_tokens")),
        _count(told.get("completion_tokens")),
        _count(_mapping(told.get("prompt_tokens_details")).get("cached_tokens")),
    )


def _judgement(config: JudgeConfig, reply: Reply, model: str | None, cost_usd: Decimal | None) -> Judgement | Missed:
    def missed(missing: Missing, detail: str, *, try_again: bool) -> Missed:
        return Missed(missing, detail, try_again, None, model, cost_usd, reply.latency_ms)

    choice = _first_choice(reply.document)
    message = _mapping(choice.get("message"))
    if message.get("refusal") or choice.get("finish_reason") in REFUSALS:
        return missed(Missing.REFUSED, "the model refused to judge", try_again=False)
    if choice.get("finish_reason") == "length":
        return missed(Missing.NOT_JSON, "the answer was cut: max_tokens of the config is too small", try_again=False)
    answer = _opened(message.get("content"))
    fault = "the answer is no JSON object" if answer is None else _fault(config, answer)
    if answer is None or fault:
        return missed(Missing.NOT_JSON, fault, try_again=True)
    if not 0 <= answer["score"] <= 1:
        return missed(Missing.OUT_OF_RANGE, "the score is not between 0 and 1", try_again=True)
    label = answer["label"][:LONGEST_LABEL] if config.labels else None
    reason = storable(answer["reason"], LONGEST_REASON)
    return Judgement(float(answer["score"]), label, reason, model, cost_usd, reply.latency_ms)


def _fault(config: JudgeConfig, answer: Mapping[str, Any]) -> str:
    """Which field of the answer is not as it was asked for; empty where all are."""
    if not is_number(answer.get("score")):
        return "the answer's score is no number"
    if not isinstance(answer.get("reason"), str):
        return "the answer's reason is no text"
    if config.labels and answer.get("label") not in config.labels:
        return "the answer's label is none of the config's labels"
    return ""


def _first_choice(document: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = document.get("choices")
    return _mapping(choices[0]) if isinstance(choices, list) and choices else {}


def _opened(content: Any) -> dict[str, Any] | None:
    """The object in an answer, also where the model put it between fences."""
    if not isinstance(content, str):
        return None
    inside = content.strip().removeprefix(f"{FENCE}json").removeprefix(FENCE).removesuffix(FENCE)
    try:
        answer = json.loads(inside)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else None
