"""Orders of a wholesaler with many lines, what a model reads in one, and how much of that the order says."""

import json
import random
import re

LINES = 20
ARTICLES = tuple(f"{letter}-{number}" for letter in "ABCDEF" for number in range(1001, 1060))

IN_ORDER = re.compile(r"(\d+) x ([A-F]-\d{4})")
IN_ANSWER = re.compile(r'"([A-F]-\d{4})": (\d+)')


def written(rng: random.Random) -> str:
    """An order as a customer writes it."""
    lines = (f"{rng.randint(1, 60)} x {article}" for article in rng.sample(ARTICLES, LINES))
    return "Please deliver next week:\n" + "\n".join(lines)


def read(order: str, *, invents: float, rng: random.Random) -> str:
    """What a model answers that invents each quantity with some probability."""
    lines = IN_ORDER.findall(order)
    return json.dumps({article: int(n) + (100 if rng.random() < invents else 0) for n, article in lines})


def faithful(texts: str) -> tuple[int, int]:
    """How many lines of an answer are in the order, and how many it has, of both somewhere in one text."""
    ordered = {(article, n) for n, article in IN_ORDER.findall(texts)}
    answered = IN_ANSWER.findall(texts)
    return sum(line in ordered for line in answered), len(answered)
