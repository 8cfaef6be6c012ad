"""How a value from the wire is read: named conversions that the dialects' tables refer to.

Each takes whatever an attribute may hold and returns the canonical value, or None where there is none in it; what a
client did not say is never made up.
"""

import json
import math
import re
from decimal import Decimal
from typing import Any

from observability.core.evidence import Exposure, parse_exposure

TEXT_LIMIT = 200
MOST_TOKENS = 100_000_000  # far above any context window: what is larger was never counted
MOST_USD = 1_000_000  # far above any call
USD_STEP = Decimal("1e-12")  # a thousandth of the cheapest token

PROVIDERS = {
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "xai": "x_ai",
}
FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "function_call": "tool_calls",
    "tool_call": "tool_calls",
    "tool-calls": "tool_calls",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "content-filter": "content_filter",
    "refusal": "content_filter",
}
ERROR_CLASSES = [  # the first pattern found in an error's name tells its class
    ("429", re.compile(r"rate.?limit|too.?many.?requests|resource.?exhausted")),
    ("timeout", re.compile(r"time.?d?.?out|deadline")),
    ("connection", re.compile(r"connect|network|protocol.?error|socket|dns")),
    ("5xx", re.compile(r"internal.?server|server.?error|overloaded|unavailable|bad.?gateway")),
    ("4xx", re.compile(r"bad.?request|authentication|permission|forbidden|not.?found|unprocessable|invalid")),
]
CODE_IN_MESSAGE = re.compile(r"\bError code: (\d{3})\b")


def clean(value: str) -> str:
    """The text without what a database cannot hold: NUL characters and halves of surrogate pairs."""
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def text(value: Any) -> str | None:
    """Text of at most 200 characters; a number is written out, so that 3 and "3" are the same version."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return clean(str(value)).strip()[:TEXT_LIMIT] or None


def identity(value: Any) -> str | None:
    """The id of a user or session; not a scrubber's placeholder, which is the same for everyone."""
    found = text(value)
    return None if found is None or found.startswith("[Scrubbed") else found


def lower(value: Any) -> str | None:
    found = text(value)
    return found and found.lower()[:TEXT_LIMIT]


def provider(value: Any) -> str | None:
    found = lower(value)
    return found and PROVIDERS.get(found, found)


def exposure(value: Any) -> Exposure | None:
    try:
        return parse_exposure(value) if isinstance(value, str) else None
    except ValueError:
        return None


def number(value: Any) -> float | None:
    """A finite number, also when written as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def tokens(value: Any) -> int | None:
    """A count of tokens; None for a negative, broken or absurd one."""
    found = number(value)
    return int(found) if found is not None and found.is_integer() and 0 <= found <= MOST_TOKENS else None


def usd(value: Any) -> Decimal | None:
    """A cost, to 12 decimals; None for a negative, broken or absurd one."""
    found = number(value)
    return Decimal(str(found)).quantize(USD_STEP) if found is not None and 0 <= found <= MOST_USD else None


def flag(value: Any) -> bool | None:
    """true or false, also when written as text."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def finish_reason(value: Any) -> str | None:
    """The first of the finish reasons, which may be an array, an array written as JSON text, or one text."""
    if isinstance(value, str) and value.startswith("["):
        value = _json(value)
    if isinstance(value, list):
        value = next(iter(value), None)
    found = lower(value)
    return found and FINISH_REASONS.get(found, found)


def finish_reason_of_messages(value: Any) -> str | None:
    """The finish reason inside the first output message; the messages may be written as JSON text."""
    messages = _json(value) if isinstance(value, str) else value
    first = messages[0] if isinstance(messages, list) and messages else None
    return finish_reason(first.get("finish_reason")) if isinstance(first, dict) else None


def http_error_class(value: Any) -> str | None:
    """The class of an HTTP status of 400 and above."""
    status = number(value)
    if status is None or not 400 <= status < 600:
        return None
    if status in {408, 504}:
        return "timeout"
    return "429" if status == 429 else "4xx" if status < 500 else "5xx"


def error_class(value: Any) -> str | None:
    """The class told by an HTTP status or by an exception's name, such as `openai.RateLimitError`."""
    name = lower(value) or ""
    return http_error_class(name) or next((found for found, pattern in ERROR_CLASSES if pattern.search(name)), None)


def error_class_of_message(value: Any) -> str | None:
    """The class told by a message such as `Error code: 429 - …`."""
    found = CODE_IN_MESSAGE.search(value) if isinstance(value, str) else None
    return http_error_class(found[1]) if found else None


def untouched(value: Any) -> Any:
    """As it came, for what is worth reading only of some calls."""
    return value


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None
