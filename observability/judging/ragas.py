"""What does a metric of the ragas package say of a call? The package is an extra: `pip install .[ragas]`.

Its metrics ask the judge's provider by themselves, several times for one score (judging.ragas_metrics).
"""

from decimal import Decimal
from typing import cast

from django.conf import settings

from observability.core.evaluator_configs import RagasConfig, read_config
from observability.core.prices import Overrides, cost_of
from observability.judging import ragas_metrics
from observability.judging.judgements import Judgement, Material, Missed, without_output
from observability.judging.provider import seconds, why
from observability.judging.usage import Usage, cut, storable
from observability.models.evaluations import Missing
from observability.models.evaluators import EvaluatorVersion

LONGEST_MODEL = 200
OUT_OF_ROUNDING = 1e-6


def evaluate(
    version: EvaluatorVersion, material: Material, *, deadline_s: float, overrides: Overrides
) -> Judgement | Missed:
    config = cast("RagasConfig", read_config(version.kind, version.config))
    if missed := _lacking(config, material):
        return missed
    if not settings.JUDGE_URL:
        return Missed(Missing.UNREACHABLE, "SERINUS_JUDGE_URL is not set", try_again=True)
    try:
        asked = ragas_metrics.ask(
            _question(config, material), url=settings.JUDGE_URL, key=settings.JUDGE_API_KEY, deadline_s=deadline_s
        )
    except ragas_metrics.NotInstalledError:
        return Missed(Missing.NOT_INSTALLED, "the extra is not installed: pip install .[ragas]", try_again=False)
    return _judgement(asked, _cost(config, asked, overrides), deadline_s)


def _lacking(config: RagasConfig, material: Material) -> Missed | None:
    if missed := without_output(material):
        return missed
    if not material.output_text:
        return Missed(Missing.NO_OUTPUT, "the call answered no text", try_again=False)
    if not material.input_text:
        return Missed(Missing.NO_TEXT, "the call came without its input", try_again=False)
    if config.metric != "answer_relevancy" and not material.documents:
        return Missed(Missing.NO_CONTEXTS, "nothing was retrieved for the call, as far as its trace tells", False)
    return None


def _question(config: RagasConfig, material: Material) -> ragas_metrics.Question:
    return ragas_metrics.Question(
        metric=config.metric,
        input_text=cut(material.input_text or "", config.most_characters),
        output_text=cut(material.output_text or "", config.most_characters),
        documents=[cut(document, config.most_characters) for document in material.documents],
        model=config.model,
        embeddings=config.embeddings,
        temperature=config.temperature,
    )


def _cost(config: RagasConfig, asked: ragas_metrics.Asked, overrides: Overrides) -> Decimal | None:
    """Of the questions; the embeddings' cost is some thousandths of it and is not counted."""
    if not asked.input_tokens:
        return None
    usage = Usage.now(config.provider, config.model, asked.model, asked.input_tokens, asked.output_tokens)
    cost = cost_of(usage, overrides)
    return cost and cost.usd


def _judgement(asked: ragas_metrics.Asked, cost_usd: Decimal | None, deadline_s: float) -> Judgement | Missed:
    model = storable(asked.model or "", LONGEST_MODEL) or None

    def missed(missing: Missing, detail: str, *, try_again: bool, retry_after_s: float | None = None) -> Missed:
        return Missed(missing, detail, try_again, retry_after_s, model, cost_usd, asked.latency_ms)

    if asked.value is not None:
        if not -OUT_OF_ROUNDING <= asked.value <= 1 + OUT_OF_ROUNDING:
            return missed(Missing.OUT_OF_RANGE, "the metric's value is not between 0 and 1", try_again=True)
        return Judgement(min(max(asked.value, 0.0), 1.0), None, None, model, cost_usd, asked.latency_ms)
    if asked.timed_out:
        return missed(Missing.TIMEOUT, f"the metric took longer than {deadline_s:g} s", try_again=True)
    if asked.error and asked.status is None:
        return missed(Missing.UNREACHABLE, f"no connection, or it broke: {asked.error}", try_again=True)
    if asked.status is not None and asked.status != 200:
        missing, try_again = why(asked.status)
        detail = f"the provider answered HTTP {asked.status}"
        return missed(missing, detail, try_again=try_again, retry_after_s=seconds(asked.retry_after))
    if asked.error:
        return missed(Missing.NOT_JSON, f"an answer was not as the metric needs it: {asked.error}", try_again=True)
    return missed(Missing.FAILED, "the metric found nothing in the answer to score", try_again=False)
