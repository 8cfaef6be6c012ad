"""How a value from the wire is read: named conversions that the dialects' tables refer to.

Each takes whatever an attribute may hold and returns the canonical value, or None where there is none in it; what a
client did not say is never made up.
"""

import ast
import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from observability.core.evidence import Exposure, parse_exposure

TEXT_LIMIT = 200
LONGEST_CONTAINER = 32_768  # characters of a structure that is written as text: longer ones are left closed
LONGEST_LITERAL = 4_096  # the same, of one in Python's notation
DEEPEST_LITERAL = 60  # brackets that open in it
MOST_LEAVES = 2_000  # attributes that make up one structure
MOST_TOKENS = 100_000_000  # far above any context window: what is larger was never counted
MOST_USD = 1_000_000  # far above any call
USD_STEP = Decimal("1e-12")  # a thousandth of the cheapest token

OPERATIONS = {  # as they are called today
    "acompletion": "chat",
    "responses": "chat",
    "aresponses": "chat",
    "completion": "text_completion",
    "atext_completion": "text_completion",
    "embedding": "embeddings",
    "aembedding": "embeddings",
}
CALL_OPERATIONS = frozenset({"chat", "text_completion", "generate_content", "realtime_inference"})

PROVIDERS = {
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "xai": "x_ai",
}
ENDPOINTS = frozenset({"chat", "completion", "embedding", "generative-ai", "image", "messages", "responses"})
PROVIDERS_IN_SCOPES = frozenset({"anthropic", "cohere", "groq", "openai"})
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
    ("connection", re.compile(r"connect|network|protocol.?error|read.?error|socket|dns")),
    ("5xx", re.compile(r"internal.?server|server.?error|overloaded|unavailable|bad.?gateway")),
    ("4xx", re.compile(r"bad.?request|authentication|permission|forbidden|not.?found|unprocessable|invalid")),
]
CODE_IN_MESSAGE = re.compile(r"(?:\bError code: |\bstatus_code: |^)(\d{3})\b")
STATUS_IN_WORDS = re.compile(r"\b([45]\d\d)\b")


def clean(value: str) -> str:
    """The text without what a database cannot hold: NUL characters and halves of surrogate pairs."""
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def text(value: Any) -> str | None:
    """Text of at most 200 characters; a number is written out, so that 3 and "3" are the same version."""
    if type(value) is str:
        if not value.isascii() or "\0" in value:
            value = clean(value)
        return value.strip()[:TEXT_LIMIT] or None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    try:
        return clean(str(value)).strip()[:TEXT_LIMIT] or None
    except ValueError:  # an integer of more digits than Python writes out
        return None


def identity(value: Any) -> str | None:
    """The id of a user or session; not a scrubber's placeholder, which is the same for everyone."""
    found = text(value)
    return None if found is None or found.startswith("[Scrubbed") else found


def lower(value: Any) -> str | None:
    found = text(value)
    return found and found.lower()[:TEXT_LIMIT]


def operation(value: Any) -> str | None:
    """What the span does, by today's names."""
    return _named(value, OPERATIONS)


def kind_of_operation(value: Any) -> Literal["call", "embedding", "other"] | None:
    """Whether an operation is a call of a model; None where none is named."""
    found = operation(value)
    if found is None:
        return None
    return "call" if found in CALL_OPERATIONS else "embedding" if found == "embeddings" else "other"


def provider(value: Any) -> str | None:
    """The provider, by its name of today, without the endpoint that the Vercel AI SDK puts behind it: `openai.chat`."""
    found = _named(value, PROVIDERS)
    if found and "." in found and found.rpartition(".")[2] in ENDPOINTS:
        found = found.partition(".")[0]
    return found


def _named(value: Any, names: Mapping[str, str]) -> str | None:
    """The name, in lower case, that stands for the value. Most are written as they are looked for."""
    if type(value) is str and (known := names.get(value)):
        return known
    found = lower(value)
    return found and names.get(found, found)


@lru_cache(maxsize=1024)
def provider_of_scope(scope: str) -> str | None:
    """The provider whose library an instrumentation is for, by the name of its scope."""
    return next((word for word in re.split(r"[._-]", scope) if word in PROVIDERS_IN_SCOPES), None)


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
    if type(value) is int:
        return value if 0 <= value <= MOST_TOKENS else None
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


def true_flag(value: Any) -> bool | None:
    """true, where it is said; what says false says nothing."""
    return flag(value) or None


def finish_reason(value: Any) -> str | None:
    """The first of the finish reasons, which may be an array, an array written as JSON text, or one text."""
    if isinstance(value, str) and value[:1] in {"[", '"'}:
        value = structure_in_json(value)
    if isinstance(value, list):
        value = next(iter(value), None)
    return _named(value, FINISH_REASONS)


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
    """The class told by a message such as `Error code: 429 - …`, `status_code: 429, …` or `429 …`."""
    found = CODE_IN_MESSAGE.search(value) if isinstance(value, str) else None
    return http_error_class(found[1]) if found else None


def error_class_of_words(value: Any) -> str | None:
    """The class told by whatever the provider wrote, such as `Rate limit reached for gpt-4o`: by a status or a name."""
    found = STATUS_IN_WORDS.search(value) if isinstance(value, str) else None
    return (http_error_class(found[1]) if found else None) or error_class(value)


def untouched(value: Any) -> Any:
    """As it came, for what is worth reading only of some calls."""
    return value


def one_message(value: Any) -> Any:
    """A bare text, which may be JSON itself, as the one message that it is."""
    return [{"content": value}] if isinstance(value, str) else value


def unquoted(value: Any) -> Any:
    """A value that is written as JSON; as it is where it is no JSON."""
    if not isinstance(value, str):
        return value
    found = structure_in_json(value)
    return value if found is None else found


def without_quotes(value: Any) -> Any:
    """Text that a client may have put into JSON's quotes; everything else as it is, so that `1.10` stays a version."""
    return unquoted(value) if isinstance(value, str) and value.startswith('"') else value


def structure_in_json(value: Any) -> Any:
    """What JSON text of bounded length holds; what came as a structure already, as it is; else None."""
    if not isinstance(value, str):
        return value
    if len(value) > LONGEST_CONTAINER:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def structure_in_python(value: Any) -> Any:
    """What text in Python's notation holds, which is read as literals alone; else as of JSON."""
    if not isinstance(value, str):
        return value
    if len(value) > LONGEST_LITERAL or sum(map(value.count, "([{-+~")) > DEEPEST_LITERAL:
        return None
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return structure_in_json(value)


def inside(structure: Any, path: tuple[str | int, ...]) -> Any:
    """What stands at the end of a path of keys and positions; None where it leads nowhere."""
    for step in path:
        if isinstance(step, str):
            structure = structure.get(step) if isinstance(structure, Mapping) else None
        else:
            structure = structure[step] if isinstance(structure, list) and len(structure) > step else None
    return structure


def unflattened(leaves: Mapping[str, Any]) -> list[Any]:
    """The structure of attributes such as `0.message.content`, as a list in the order of the first number."""
    top: dict[str, Any] = {}
    for key, value in list(leaves.items())[:MOST_LEAVES]:
        *path, last = key.split(".", 8)
        place = top
        for step in path:
            deeper = place.setdefault(step, {})
            if not isinstance(deeper, dict):
                break
            place = deeper
        else:
            place[last] = value
    numbered = [(int(key), item) for key, item in top.items() if key.isascii() and key.isdigit() and len(key) < 9]
    return [item for _, item in sorted(numbered, key=lambda numbered_item: numbered_item[0])]
