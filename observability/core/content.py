"""What was asked and what was answered: the text of a call, whichever library wrote it down.

Each library has its own shape: lists of messages with parts, a request or a response as the provider has it, a bare
text. Only text is taken; pictures, audio, reasoning and the arguments of tools are left out.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from observability.core.calls import CallFacts

LONGEST = 200_000  # characters of what is read; what is longer is left alone
DEEPEST = 12
MOST_MESSAGES = 2_000

# Keys under which a request or a response keeps its messages, and a message its text: the first that holds any decides.
OF_MESSAGES = ("messages", "choices", "generations", "output", "outputs", "inputs")
OF_TEXT = (
    *("parts", "message", "message_content", "contents", "content", "text", "response", "combined_chunk_content"),
    *("input", "prompt", "q", "kwargs", "args"),
)
NO_TEXT = frozenset({"tool_call", "tool_use", "function_call", "reasoning", "thinking", "image_url", "input_image"})


def input_text(call: CallFacts) -> str | None:
    """What the model was asked, a line for each message; None where the call does not bring it."""
    return _joined(messages(call.input_messages))


def output_text(call: CallFacts) -> str | None:
    """What the model answered, a line for each message; None where the call does not bring it or answers no text."""
    return _joined(messages(call.output_messages))


def answer(output_messages: Any) -> str | None:
    """The text of the first message; None where it has none, as when it calls a tool, or was cut off on its way."""
    structure = _opened(output_messages) if isinstance(output_messages, str) else output_messages
    return None if isinstance(structure, str) else next(iter(messages(structure)), None)


def messages(said: Any) -> list[str | None]:
    """The text of each message, in their order; None for one without. Nothing where it is too long to be read."""
    if isinstance(said, str):
        said = _opened(said)
    texts = [_texts(message, DEEPEST) for message in _messages(said, DEEPEST)[:MOST_MESSAGES]]
    return ["".join(pieces) if pieces else None for pieces in texts]


def _joined(texts: Iterable[str | None]) -> str | None:
    return "\n".join(filter(None, texts))[:LONGEST] or None


def _opened(text: str) -> Any:
    """The structure in JSON text; text that is none stands for itself."""
    if len(text) > LONGEST:
        return None
    if text.lstrip()[:1] not in {"[", "{", '"'}:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _messages(said: Any, deepest: int) -> list[Any]:
    """The messages in a list, in a request or in a response; what is none of these is one itself."""
    if isinstance(said, list) and deepest:
        nested = [_messages(item, deepest - 1) if isinstance(item, list) else [item] for item in said[:MOST_MESSAGES]]
        return [message for group in nested for message in group]
    if isinstance(said, Mapping) and deepest:
        key = next((key for key in OF_MESSAGES if isinstance(said.get(key), list | Mapping)), None)
        if key is not None:
            system = [said["system"]] if said.get("system") else []
            return [*system, *_messages(said[key], deepest - 1)]
    return [] if said is None else [said]


def _texts(said: Any, deepest: int) -> list[str]:
    """The texts inside a message."""
    if isinstance(said, str):
        return [said]
    if not deepest:
        return []
    if isinstance(said, list):
        return [text for item in said[:MOST_MESSAGES] for text in _texts(item, deepest - 1)]
    if isinstance(said, Mapping) and said.get("type") not in NO_TEXT:
        found = (_texts(said[key], deepest - 1) for key in OF_TEXT if key in said and _may_hold_text(key, said[key]))
        return next(filter(None, found), [])
    return []


def _may_hold_text(key: str, value: Any) -> bool:
    return isinstance(value, list) if key == "parts" else value is not None
