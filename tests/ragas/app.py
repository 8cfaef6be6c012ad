"""One metric of the real package, asked of the provider at the address given: what came of it, as JSON."""

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from observability.judging.ragas_metrics import Question, ask

logging.basicConfig(level=logging.DEBUG)  # all that is ever logged, for the test to see

url, deadline_s, *metrics = sys.argv[1:]
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
    found[metric] = asdict(ask(question, url=url, key="sk-never-told", deadline_s=float(deadline_s)))
assert not any(name.partition(".")[0] == "django" for name in sys.modules)
sys.stdout.write(json.dumps(found))
