"""Metrics of the real package: each line of JSON names a provider to ask, and is answered by what came of each."""

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from observability.judging.ragas_metrics import Question, ask

logging.basicConfig(level=logging.DEBUG)  # all that is ever logged, for the test to see

for line in sys.stdin:
    url, deadline_s, metrics = json.loads(line)
    found = {}
    for metric in metrics:
        question = Question(
            metric=metric,
            input_text="who wrote Emma and who printed it",
            output_text="Jane Austen wrote it, and a-secret printed it",
            documents=["Emma, by Jane Austen"],
            model="gpt-4o-mini",
            embeddings="text-embedding-3-small",
            temperature=0,
        )
        found[metric] = asdict(ask(question, url=url, key="sk-never-told", deadline_s=deadline_s))
    assert not any(name.partition(".")[0] == "django" for name in sys.modules)
    print(json.dumps(found), flush=True)  # noqa: T201 (the test reads it)
