"""Does an output pass a check? 1 where it does and 0 where it does not; no model is asked.

An output is text from outside: patterns are RE2, whose work is linear in its length, and schemas have a budget of work
(core.outputs). What cannot be found out within it is missing, and no 0.
"""

import json
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast

import re2

from observability.core.evaluator_configs import (
    Check,
    FieldsCheck,
    LengthCheck,
    PatternCheck,
    SchemaCheck,
    quiet_options,
    read_config,
)
from observability.core.outputs import failing
from observability.judging.judgements import Judgement, Material, Missed, without_output
from observability.models.evaluations import Missing
from observability.models.evaluators import EvaluatorVersion

PASS, FAIL = "pass", "fail"


def evaluate(version: EvaluatorVersion, material: Material) -> Judgement | Missed:
    if missed := without_output(material):
        return missed
    started = time.monotonic()
    check = cast("Check", read_config(version.kind, version.config))
    fault = FAULT_OF[type(check)](check, str(material.output_text), material)
    if isinstance(fault, Missed):
        return fault
    value, label = (0.0, FAIL) if fault else (1.0, PASS)
    return Judgement(value, label, fault or None, None, None, (time.monotonic() - started) * 1000)


def _fault_by_schema(check: SchemaCheck, output: str, material: Material) -> str | Missed:
    schema = material.response_schema if check.schema is None else check.schema
    if schema is None:
        return Missed(Missing.FAILED, "the version that the call used has no response schema", try_again=False)
    fault = failing(output, json.dumps(schema))
    if fault is None:
        return Missed(Missing.FAILED, "too much work to check the output against the schema", try_again=False)
    return fault and f"does not follow the schema: {fault}"


def _fault_by_pattern(check: PatternCheck, output: str, _: Material) -> str:
    found = _compiled(check.pattern).search(output) is not None
    if found is check.matches:
        return ""
    return "matches the pattern, which it must not" if found else "does not match the pattern"


def _fault_of_length(check: LengthCheck, output: str, _: Material) -> str:
    length = len(output.split()) if check.unit == "words" else len(output)
    if check.least is not None and length < check.least:
        return f"{length} {check.unit}, at least {check.least} expected"
    if check.most is not None and length > check.most:
        return f"{length} {check.unit}, at most {check.most} expected"
    return ""


def _fault_of_fields(check: FieldsCheck, output: str, _: Material) -> str:
    try:
        answer = json.loads(output)
    except (ValueError, RecursionError):
        return "it is not JSON"
    lacking = [field for field in check.fields if not _has(answer, field.split("."))]
    return f"lacks {', '.join(lacking)}" if lacking else ""


def _has(answer: Any, path: list[str]) -> bool:
    """Whether the field is there with a value: null is none."""
    for name in path:
        if not isinstance(answer, Mapping) or answer.get(name) is None:
            return False
        answer = answer[name]
    return True


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern, quiet_options())


FAULT_OF: dict[type[Check], Callable[[Any, str, Material], str | Missed]] = {
    SchemaCheck: _fault_by_schema,
    PatternCheck: _fault_by_pattern,
    LengthCheck: _fault_of_length,
    FieldsCheck: _fault_of_fields,
}
