"""The prompt of the demo in its three versions, and how each does in truth, which only the simulation knows."""

from typing import Any

NAME = "order-extractor"
CONFIG = {"model": "gpt-4o-mini", "temperature": 0}

HALLUCINATES = {"v2.2": 0.018, "v2.3": 0.041, "v2.4": 0.014}
"""How often an answer names an article or a quantity that is not in the order, by version."""

FAILS = 0.005
"""How often a call gets no answer, whatever the version."""


def chat(system: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": "{{ order_text }}"}]


VERSIONS: dict[str, dict[str, Any]] = {
    "v2.2": {
        "notes": "Asks for null instead of a guess.",
        "template": chat(
            "You read orders that customers send by e-mail.\n"
            "List every article with its number and quantity, and the delivery date, as JSON.\n"
            "Copy numbers exactly as they are written.\n"
            "Write null for what the order does not say."
        ),
    },
    "v2.3": {
        "notes": "Fewer nulls for the warehouse to ask about: lets the model complete what is missing.",
        "template": chat(
            "You read orders that customers send by e-mail.\n"
            "List every article with its number and quantity, and the delivery date, as JSON.\n"
            "Be helpful: complete abbreviated article numbers,\n"
            "and fill in what the customer most likely means."
        ),
    },
    "v2.4": {
        "notes": "Back to null instead of a guess; quotes the line that each article was read from.",
        "template": chat(
            "You read orders that customers send by e-mail.\n"
            "List every article with its number and quantity, and the delivery date, as JSON.\n"
            "Copy numbers exactly as they are written, and quote the line that each was read from.\n"
            "Write null for what the order does not say."
        ),
    },
}
