"""Builders of what is judged: evaluators, the prompts that they judge, and calls with texts."""

from collections.abc import Mapping
from typing import Any

from common.clock import now
from observability.core.dialects import wanted
from observability.core.otlp import decode_protobuf
from observability.core.retrieval import also_documents
from observability.ingest import writer
from observability.judging import sampling
from observability.models import Evaluator, EvaluatorKind, EvaluatorVersion, JudgedShare, Judging, JudgingBudget
from registry.models import Prompt
from tests import make, traces

INPUT, OUTPUT = "Where is my order?", "It is on its way."
WANTED = also_documents(wanted(with_content=True))


def evaluator(
    name: str = "faithfulness",
    *,
    kind: str = EvaluatorKind.CHECK,
    ordinal: int = 1,
    config: Mapping[str, Any] | None = None,
) -> EvaluatorVersion:
    """A version of an evaluator, which is made if there is none of that name; a judge gets a prompt of its own."""
    of, _ = Evaluator.objects.get_or_create(
        name=name, defaults={"score": name, "created_at": now(), "created_by": "user:anna"}
    )
    template = None
    if kind == EvaluatorKind.JUDGE:
        template = make.version(make.prompt(f"judge-{name}"), template="Does {{ output }} answer {{ input }}?")
    return EvaluatorVersion.objects.create(
        evaluator=of,
        ordinal=ordinal,
        kind=kind,
        config=config or {},
        template=template,
        notes="as discussed",
        sha256="0" * 64,
        published_at=now(),
        published_by="user:anna",
    )


def prompt(name: str = "order-extractor") -> Prompt:
    """A prompt with a version 1.0."""
    made = make.prompt(name)
    make.version(made)
    return made


def judge(of: Prompt, *by: EvaluatorVersion, share_bp: int = 10_000, **budget: Any) -> None:
    """From now on the evaluators of these versions score that share of the prompt's calls."""
    for version in by:
        Judging.objects.create(prompt=of, evaluator=version.evaluator, share_bp=share_bp)
    if budget:
        JudgingBudget.objects.create(prompt=of, **budget)
    sampling.forget_rules()


def fix_share(rollout: str, arm: str, version: EvaluatorVersion, share: float, *, step: int = 0) -> None:
    JudgedShare.objects.create(rollout=rollout, step=step, arm=arm, evaluator_version=version, share=share)


def attributes(
    name: str = "order-extractor",
    *,
    exposure: str | None = None,
    into: str | None = INPUT,
    out: str | None = OUTPUT,
    **others: Any,
) -> dict[str, Any]:
    """Of a call of version 1.0 of a prompt, as OpenTelemetry's conventions have it."""
    said = traces.CHAT | {"gen_ai.prompt.name": name, "gen_ai.prompt.version": "1.0"} | others
    if exposure:
        said["serinus.exposure"] = exposure
    if into is not None:
        said["gen_ai.prompt.0.content"] = into
    if out is not None:
        said["gen_ai.completion.0.content"] = out
    return said


def send(*spans: Any, scope: str = "order-app") -> None:
    """As one request to /v1/traces."""
    writer.store(decode_protobuf(traces.body(*spans, scope=scope), WANTED).spans)


def send_call(number: int = 0, *, failed: bool = False, trace: int | None = None, **said: Any) -> None:
    """A call in a trace of its own."""
    send(traces.span(attributes(**said), number=number, trace=number if trace is None else trace, failed=failed))


def trace_under(share: float, *, after: int = -1) -> int:
    """The number of the next trace whose place is below the share."""
    return next(n for n in range(after + 1, 10**6) if sampling.place(traces.trace_id(n)) < share)


def trace_over(share: float, *, after: int = -1) -> int:
    """The number of the next trace whose place is not below the share."""
    return next(n for n in range(after + 1, 10**6) if sampling.place(traces.trace_id(n)) >= share)


def retrieval(said: Mapping[str, Any], *, number: int, trace: int, parent: int | None = None, **options: Any) -> Any:
    return traces.span(said, number=number, trace=trace, parent=parent, name="retrieval", **options)
