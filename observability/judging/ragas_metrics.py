"""One metric of the ragas package about one call, asked of an OpenAI-compatible API. Nothing else touches the package.

It needs no Django, so that it can be tried in an environment of ragas alone. The package is an extra and is imported
when it is first asked for, which takes some seconds. It would report its use to its makers: that is switched off.

The metric asks by a client of its own, not by judging.provider: here all of it together has the deadline, no question
is asked twice, redirects are not followed, and each answer is looked at on its way for its status, model and tokens.
"""

import asyncio
import importlib
import json
import logging
import math
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

MOST_BYTES = 2**22  # of one answer; embeddings are long
MOST_TOKENS = 100_000_000  # as core.conversions has it: what is larger was never counted
QUOTING = ("instructor", "ragas", "openai", "httpx")
"""Loggers that write, they or those below them, what was asked or answered, or each request."""
NEVER = logging.CRITICAL + 1


class NotInstalledError(Exception):
    """The extra is not there."""


@dataclass(frozen=True, slots=True)
class Question:
    """metric: faithfulness, context_recall or answer_relevancy. embeddings: the model of the last one's."""

    metric: str
    input_text: str
    output_text: str
    documents: Sequence[str]
    model: str
    embeddings: str | None
    temperature: float | None


@dataclass(slots=True)
class Asked:
    """What came of a question. value: None where there is none. status: of the last answer, None where none came.

    error: the kind of what went wrong. input_tokens, output_tokens: of all answers that
    were no embeddings. retry_after: as the last answer has it.
    """

    value: float | None = None
    error: str = ""
    timed_out: bool = False
    status: int | None = None
    retry_after: str = ""
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: float = 0


def ask(question: Question, *, url: str, key: str, deadline_s: float) -> Asked:
    """What the metric says. Raises NotInstalledError, and nothing else: what goes wrong is told in the answer."""
    _load()
    asked, started = Asked(), time.monotonic()
    # In a thread of its own: a name that does not resolve would hold up the end of the loop.
    given = (question, url, key, deadline_s, asked)
    thread = threading.Thread(target=_run, args=given, name="ragas", daemon=True)
    thread.start()
    thread.join(deadline_s + 1)
    asked.timed_out = asked.timed_out or thread.is_alive()
    asked.latency_ms = (time.monotonic() - started) * 1000
    return asked


def is_installed() -> bool:
    try:
        _load()
    except NotInstalledError:
        return False
    return True


def _load() -> tuple[Any, Any, Any, Any]:
    """The modules of openai, and of ragas: llms, embeddings, metrics."""
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"
    names = ("openai", "ragas.llms", "ragas.embeddings", "ragas.metrics.collections")
    try:
        openai, llms, embeddings, metrics = (importlib.import_module(name) for name in names)
    except ImportError as error:
        raise NotInstalledError(str(error)) from error
    for name in QUOTING:
        logging.getLogger(name).setLevel(NEVER)
    return openai, llms, embeddings, metrics


def _run(question: Question, url: str, key: str, deadline_s: float, asked: Asked) -> None:
    try:
        asked.value = asyncio.run(_within(deadline_s, _score(question, url, key, deadline_s, asked)))
    except TimeoutError:
        asked.timed_out = True
    except Exception as error:  # whatever the packages raise, some of it with the texts in it
        asked.error = type(error).__name__


async def _within(deadline_s: float, score: Any) -> float | None:
    async with asyncio.timeout(deadline_s):
        return cast("float | None", await score)


async def _score(question: Question, url: str, key: str, deadline_s: float, asked: Asked) -> float | None:
    openai, llms, embeddings, metrics = _load()
    hooks = {"request": [_forgetting(asked)], "response": [_looking_at(asked)]}
    http = openai.DefaultAsyncHttpxClient(follow_redirects=False, event_hooks=hooks)
    settings = {"base_url": url, "api_key": key or "none", "max_retries": 0, "timeout": deadline_s}
    async with openai.AsyncOpenAI(http_client=http, **settings) as client:
        fixed = {} if question.temperature is None else {"temperature": question.temperature}
        llm = llms.llm_factory(question.model, client=client, max_retries=0, **fixed)
        texts = {"user_input": question.input_text, "retrieved_contexts": list(question.documents)}
        match question.metric:
            case "faithfulness":
                found = await metrics.Faithfulness(llm=llm).ascore(response=question.output_text, **texts)
            case "context_recall":
                found = await metrics.ContextRecall(llm=llm).ascore(reference=question.output_text, **texts)
            case _:
                vectors = embeddings.OpenAIEmbeddings(client=client, model=question.embeddings)
                metric = metrics.AnswerRelevancy(llm=llm, embeddings=vectors)
                found = await metric.ascore(user_input=question.input_text, response=question.output_text)
    return float(found.value) if math.isfinite(found.value) else None


def _forgetting(asked: Asked) -> Any:
    async def forget(_: Any) -> None:
        asked.status = None  # of the answer before

    return forget


def _looking_at(asked: Asked) -> Any:
    async def look_at(answer: Any) -> None:
        body = b""
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > MOST_BYTES:
                raise ValueError("the answer is too long")
        answer._content = body  # httpx has no public way to give back what was read
        asked.status, asked.retry_after = answer.status_code, answer.headers.get("retry-after", "")
        _count_tokens(asked, body)

    return look_at


def _count_tokens(asked: Asked, body: bytes) -> None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return
    usage = document.get("usage") if isinstance(document, dict) else None
    if isinstance(usage, dict) and "completion_tokens" in usage:
        asked.input_tokens += _counted(usage.get("prompt_tokens"))
        asked.output_tokens += _counted(usage["completion_tokens"])
        asked.model = str(document.get("model") or "") or None


def _counted(tokens: Any) -> int:
    """0 for what is no number of tokens, and would cost more than any column holds."""
    is_count = isinstance(tokens, int) and not isinstance(tokens, bool) and 0 <= tokens <= MOST_TOKENS
    return cast("int", tokens) if is_count else 0
