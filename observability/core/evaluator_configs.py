"""What a version of an evaluator needs to know, by its kind: read from JSON, with every fault named by its field.

What is left out stands in what is stored with its default, so that a later release with another default changes no
version that was published. docs/reference/evaluators.md tells the same to people.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, cast

import re2

from observability.core.outputs import LONGEST as LONGEST_SCHEMA
from observability.core.outputs import can_check
from registry.core.content import Content
from registry.core.problems import Problem, ProblemsFound
from registry.core.validation import publishable, storable

LONGEST_TEXT = 200
LONGEST_PATTERN = 2_000
MOST_CHARACTERS = 200_000  # of each text that is sent to a judge
MOST_TOKENS = 32_768  # of a judge's answer
MOST_LENGTH = 1_000_000
MOST_FIELDS = 50
MOST_LABELS = 20
RESPONSE_FORMATS = ("json_schema", "json_object", "text")
RAGAS_METRICS = ("faithfulness", "context_recall", "answer_relevancy")
JUDGE_VARIABLES = frozenset({"input", "output", "documents", "finish_reason", "response_schema", "boundary"})
"""What the template of a judge may name."""
OURS = frozenset({"model", "messages", "response_format", "stream", "n", "temperature", "max_tokens"})
"""What `parameters` may not name: it has a field of its own, or an answer would not be one that is understood."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """provider: by whose prices its cost is known. temperature, max_tokens: None is not sent. labels: that the judge
    chooses one of; none are asked for without. parameters: more of the request. most_characters: of each text.
    """

    model: str
    provider: str
    temperature: float | None
    max_tokens: int | None
    labels: tuple[str, ...]
    response_format: str
    parameters: Mapping[str, Any]
    most_characters: int


@dataclass(frozen=True, slots=True)
class SchemaCheck:
    """schema: None is the response schema of the version that the call used."""

    schema: Mapping[str, Any] | None
    check: str = "json_schema"


@dataclass(frozen=True, slots=True)
class PatternCheck:
    """pattern: RE2. matches: whether the output must have a part that it matches, or must not."""

    pattern: str
    matches: bool
    check: str = "pattern"


@dataclass(frozen=True, slots=True)
class LengthCheck:
    """least, most: inclusive; None is no bound. unit: characters or words."""

    unit: str
    least: int | None
    most: int | None
    check: str = "length"


@dataclass(frozen=True, slots=True)
class FieldsCheck:
    """fields: names, with dots between those of objects in objects."""

    fields: tuple[str, ...]
    check: str = "required_fields"


@dataclass(frozen=True, slots=True)
class RagasConfig:
    """embeddings: the model of embeddings, which answer_relevancy needs and no other metric."""

    metric: str
    model: str
    embeddings: str | None
    provider: str
    temperature: float | None
    most_characters: int


@dataclass(frozen=True, slots=True)
class ExternalConfig:
    """posted_by: who or what posts the scores, for people."""

    posted_by: str


Check = SchemaCheck | PatternCheck | LengthCheck | FieldsCheck
Config = JudgeConfig | Check | RagasConfig | ExternalConfig


def read_config(kind: str, written: Any) -> Config:
    """The config of a kind (models.EvaluatorKind). Raises ProblemsFound with every fault, under `config.`."""
    if not isinstance(written, dict):
        raise ProblemsFound([Problem("config", "invalid", "expected a JSON object")])
    storable(Content("text", "-", config=written))
    reader = _Reader(written)
    config = READ[kind](reader)
    reader.finish()
    return config


def as_json(config: Config) -> dict[str, Any]:
    """The config as it is stored, with every default written out."""
    return cast("dict[str, Any]", json.loads(json.dumps(asdict(config))))


class _Reader:
    """Takes the fields one by one, and remembers what was wrong with them. What is wrong reads as its default."""

    def __init__(self, written: Mapping[str, Any]) -> None:
        self.left = dict(written)
        self.problems: list[Problem] = []

    def wrong(self, field: str, message: str, code: str = "invalid") -> None:
        self.problems.append(Problem(f"config.{field}", code, message))

    def take(self, field: str, default: Value, expected: str, fits: Callable[[Any], bool]) -> Value:
        if field not in self.left:
            return default
        value = self.left.pop(field)
        if (value is None and default is None) or fits(value):  # no comparing with the default: 1 is True, and 0 False
            return cast("Value", value)
        self.wrong(field, f"expected {expected}, got {_told(value)}")
        return default

    def text(self, field: str, default: str | None = None, longest: int = LONGEST_TEXT) -> str:
        """Required where there is no default."""
        if field not in self.left and default is None:
            self.wrong(field, "this field is required", "required")
        expected = f"a text of 1 to {longest} characters"
        return self.take(field, default or "", expected, lambda text: is_text(text, longest))

    def choice(self, field: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """Required where there is no default."""
        if field not in self.left and default is None:
            self.wrong(field, f"expected one of {', '.join(choices)}", "required")
        return self.take(field, default or "", f"one of {', '.join(choices)}", lambda value: value in choices)

    def whole(self, field: str, default: int | None, least: int, most: int) -> int | None:
        expected = f"a whole number from {least} to {most}"
        return self.take(field, default, expected, lambda number: is_whole(number) and least <= number <= most)

    def number(self, field: str, default: float | None, least: float, most: float) -> float | None:
        expected = f"a number from {least:g} to {most:g}"
        return self.take(field, default, expected, lambda number: is_number(number) and least <= number <= most)

    def texts(self, field: str, most: int, *, required: bool = False) -> tuple[str, ...]:
        def fits(value: Any) -> bool:
            return isinstance(value, list) and len(value) <= most and all(is_text(text) for text in value)

        found: list[str] = self.take(field, [], f"a list of at most {most} texts", fits)
        if required and not found and not any(problem.field == f"config.{field}" for problem in self.problems):
            self.wrong(field, "expected at least one", "required")
        return tuple(dict.fromkeys(found))

    def finish(self) -> None:
        for field in self.left:
            self.wrong(field[:LONGEST_TEXT], "there is no such field", "unknown")
        if self.problems:
            raise ProblemsFound(self.problems)


def _judge(reader: _Reader) -> JudgeConfig:
    return JudgeConfig(
        model=reader.text("model"),
        provider=reader.text("provider", "openai"),
        temperature=_temperature(reader),
        max_tokens=_without_bound(reader, "max_tokens", 512, 1, MOST_TOKENS),
        labels=reader.texts("labels", MOST_LABELS),
        response_format=reader.choice("response_format", RESPONSE_FORMATS, "json_schema"),
        parameters=_parameters(reader),
        most_characters=_most_characters(reader),
    )


def _check(reader: _Reader) -> Check:
    read = CHECKS.get(reader.choice("check", tuple(CHECKS)))
    if read is None:
        reader.left.clear()  # nobody knows which fields it should have
        return FieldsCheck(())
    return read(reader)


def _schema_check(reader: _Reader) -> SchemaCheck:
    schema: Any = reader.take("schema", None, "a JSON Schema, as an object", lambda value: isinstance(value, dict))
    _check_schema(reader, schema)
    return SchemaCheck(schema)


def _check_schema(reader: _Reader, schema: Any) -> None:
    try:
        publishable(Content("text", "-", response_schema=schema))
    except ProblemsFound as found:
        for problem in found.problems:
            reader.wrong(problem.field.replace("response_schema", "schema", 1), problem.message, problem.code)
        return
    if schema is not None and not can_check(json.dumps(schema)):
        reader.wrong("schema", f"expected at most {LONGEST_SCHEMA} characters and no patternProperties")


def _pattern_check(reader: _Reader) -> PatternCheck:
    pattern = reader.text("pattern", longest=LONGEST_PATTERN)
    if pattern:
        try:
            re2.compile(pattern, quiet_options())
        except re2.error as error:
            reason = error.args[0]
            reader.wrong("pattern", f"not an RE2 pattern: {reason.decode() if isinstance(reason, bytes) else reason}")
    return PatternCheck(pattern, reader.take("matches", True, "true or false", lambda value: isinstance(value, bool)))


def _length_check(reader: _Reader) -> LengthCheck:
    unit = reader.choice("unit", ("characters", "words"), "characters")
    least, most = (reader.whole(field, None, 0, MOST_LENGTH) for field in ("least", "most"))
    if least is None and most is None and not reader.problems:
        reader.wrong("most", "expected least, most or both", "required")
    if least is not None and most is not None and least > most:
        reader.wrong("most", f"expected at least {least}, which is the least, got {most}")
    return LengthCheck(unit, least, most)


def _fields_check(reader: _Reader) -> FieldsCheck:
    return FieldsCheck(reader.texts("fields", MOST_FIELDS, required=True))


def _ragas(reader: _Reader) -> RagasConfig:
    metric = reader.choice("metric", RAGAS_METRICS)
    embeddings = reader.text("embeddings") if metric == "answer_relevancy" else None
    return RagasConfig(
        metric=metric,
        model=reader.text("model"),
        embeddings=embeddings or reader.take("embeddings", None, "none with this metric", lambda _: False),
        provider=reader.text("provider", "openai"),
        temperature=_temperature(reader),
        most_characters=_most_characters(reader),
    )


def _external(reader: _Reader) -> ExternalConfig:
    return ExternalConfig(reader.text("posted_by"))


def _temperature(reader: _Reader) -> float | None:
    """0 where it is left out; null for models that take none."""
    return cast("float | None", _without_bound(reader, "temperature", 0, 0, 2))


def _without_bound(reader: _Reader, field: str, default: float, least: float, most: float) -> Any:
    """As told, where null is no bound rather than the default."""
    if field in reader.left and reader.left[field] is None:
        del reader.left[field]
        return None
    read: Callable[..., Any] = reader.whole if field == "max_tokens" else reader.number
    return read(field, default, least, most)


def _most_characters(reader: _Reader) -> int:
    return cast("int", reader.whole("most_characters", 50_000, 1_000, MOST_CHARACTERS))


def _parameters(reader: _Reader) -> Mapping[str, Any]:
    found: dict[str, Any] = reader.take("parameters", {}, "an object", lambda value: isinstance(value, dict))
    for name in sorted(OURS & found.keys()):
        reader.wrong(f"parameters.{name[:LONGEST_TEXT]}", "not here: it is set by Serinus or has a field of its own")
    return found


def is_text(value: Any, longest: int = LONGEST_TEXT) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= longest


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def quiet_options() -> re2.Options:
    """Of a pattern that somebody else wrote: nothing is logged, and it costs bounded memory."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return options


def _told(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:60]


CHECKS: dict[str, Callable[[_Reader], Check]] = {
    "json_schema": _schema_check,
    "pattern": _pattern_check,
    "length": _length_check,
    "required_fields": _fields_check,
}
READ: dict[str, Callable[[_Reader], Config]] = {
    "judge": _judge,
    "check": _check,
    "ragas": _ragas,
    "external": _external,
}
