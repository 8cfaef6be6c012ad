"""Does what a model answered follow the response schema of its version?

Schemas and outputs come from outside, so the answer costs bounded work and no network: texts are checked up to a
length, patterns by RE2 in linear time, references inside the schema alone, and each keyword of a schema costs from a
budget. What cannot be checked within it is neither valid nor invalid. No output is kept.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NoReturn, cast

import re2
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend, validator_for
from referencing import Registry

from observability.core.content import answer as text_of_answer
from registry.core.schema_compatibility import dialect

LONGEST = 100_000  # characters of an output or a schema
MOST_WORK = 100_000  # for one output: some 0.2 s; an object with a dozen fields takes some 100
MOST_WORK_OF_ALL = 10 * MOST_WORK
LONGEST_PLACE = 200  # characters of the path to what does not follow a schema
# Keywords that jsonschema gives to `re`, and schemas that it would check by its own unbounded validators.
NOT_CHECKED = ('"patternProperties"', "json-schema.org")

Keyword = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]  # validator, value, instance, schema


class _TooMuchWorkError(Exception):
    """The budget is used up."""


@dataclass(slots=True)
class _Budget:
    left: int

    def spend(self, work: int) -> None:
        self.left -= work
        if self.left < 0:
            raise _TooMuchWorkError


_budget: ContextVar[_Budget] = ContextVar("budget of the output that is being checked")


def are_valid(outputs: Iterable[tuple[Any, str]]) -> list[bool | None]:
    """Whether each output follows the schema, given as JSON text, beside it; None where that was not to be found out.

    An output is what a call answered, in the shape of its dialect: the text of its first message is the answer, and no
    text is no answer. All outputs of one call share a budget ten times that of a single one.
    """
    left, found = MOST_WORK_OF_ALL, []
    for messages, schema in outputs:
        budget = _Budget(min(left, MOST_WORK))
        at_first = budget.left
        found.append(_is_valid(messages, schema, budget))
        left -= at_first - max(budget.left, 0)
    return found


def failing(text: str, schema: str) -> str | None:
    """Where and by which keyword an answer does not follow the schema, or an empty text where it does.

    None where that was not to be found out. Nothing of the answer is quoted but the names of its fields.
    """
    return _failing(text, schema, _Budget(MOST_WORK))


def can_check(schema: str) -> bool:
    """Whether answers can be checked against the schema, a valid one, within bounds."""
    return len(schema) <= LONGEST and _validator(schema) is not None


def _is_valid(messages: Any, schema: str, budget: _Budget) -> bool | None:
    text = text_of_answer(messages)
    found = None if text is None else _failing(text, schema, budget)
    return None if found is None else not found


def _failing(text: str, schema: str, budget: _Budget) -> str | None:
    if len(text) > LONGEST or len(schema) > LONGEST:
        return None
    outer = _budget.set(budget)
    try:
        validator = _validator(schema)
        answer = json.loads(text, parse_constant=_not_json, parse_float=_number)
        return None if validator is None else _place(next(validator.iter_errors(answer), None))
    except json.JSONDecodeError:
        return "it is not JSON"
    except (
        Exception
    ):  # Too much work, too deep, or a reference to what is no schema, where jsonschema fails in any way.
        return None  # Not logged, for its messages quote the output.
    finally:
        _budget.reset(outer)


def _place(error: ValidationError | None) -> str:
    return f"{error.json_path[:LONGEST_PLACE]}: {error.validator}" if error else ""


def _not_json(constant: str) -> NoReturn:
    raise json.JSONDecodeError(f"{constant} is no JSON", constant, 0)


def _number(digits: str) -> float | int:
    """1.0 is the integer 1 to JSON Schema."""
    number = float(digits)
    return int(number) if number.is_integer() else number


@lru_cache(maxsize=64)
def _validator(schema: str) -> Validator | None:
    """None for a schema that cannot be checked within bounds."""
    document = json.loads(schema)
    bounded = _bounded(dialect(document))
    document.pop("$schema", None)  # jsonschema would follow it to the unbounded validator where `#` is referred to
    if any(word in json.dumps(document) for word in NOT_CHECKED):
        return None
    return bounded(document, registry=Registry())


@cache
def _bounded(dialect: str) -> type[Validator]:
    """The dialect's validator, each keyword of which takes from the budget."""
    plain = validator_for({"$schema": dialect})
    keywords = {**plain.VALIDATORS, "pattern": _pattern, "uniqueItems": _unique_items}
    costing = {name: _costing(name, check) for name, check in keywords.items()}
    return cast("type[Validator]", extend(plain, costing))  # type: ignore[no-untyped-call]  # in its stubs


def _costing(name: str, check: Keyword) -> Keyword:
    def check_within_budget(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        budget = _budget.get()
        budget.spend(_work(name, value, instance))
        for error in check(validator, value, instance, schema) or ():
            budget.spend(len(error.message) // 20)  # it may quote the whole output
            yield error

    return check_within_budget


def _work(keyword: str, value: Any, instance: Any) -> int:
    """About how many microseconds it takes to apply a keyword to an instance; what lies inside it costs by itself."""
    if keyword in {"$ref", "$dynamicRef", "$recursiveRef"}:
        return 20
    compared = {"const": 1, "enum": 5}.get(keyword)
    size = len(instance) if isinstance(instance, list | dict) else 0
    return 3 + size + (len(str(value)) // compared if compared else 0)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not re2.search(pattern, instance, _re2_options()):
        yield ValidationError("does not match the pattern")


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """In linear time, where jsonschema compares every item with every other."""
    if wanted and isinstance(instance, list):
        items = [json.dumps(item, sort_keys=True) for item in instance]
        _budget.get().spend(sum(map(len, items)) // 20)
        if len(set(items)) < len(items):
            yield ValidationError("has items that are equal")


@cache
def _re2_options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return options
