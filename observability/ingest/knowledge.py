"""What calls do not tell by themselves: which published version they name, what they cost, if their output is valid."""

from collections.abc import Sequence

from observability.core.outputs import are_valid
from observability.core.prices import cost_of
from observability.ingest.rows import KnownCall
from observability.ingest.versions import find_response_schemas, find_versions
from observability.services.prices import current_overrides


def complete(calls: Sequence[KnownCall]) -> list[KnownCall]:
    """The calls with version, cost and validity."""
    named = [(call.facts.context.prompt_name, call.facts.context.prompt_version) for call in calls]
    found = find_versions(named)
    overrides = current_overrides()
    calls = [
        KnownCall(id_, facts, found.get(pair), cost_of(facts, overrides), output_valid, observed, held)
        for (id_, facts, _, _, output_valid, observed, held), pair in zip(calls, named, strict=True)
    ]
    valid = _check_outputs(calls)
    return [call._replace(output_valid=valid[call.id]) if call.id in valid else call for call in calls]


def _check_outputs(calls: Sequence[KnownCall]) -> dict[int, bool | None]:
    """Whether the outputs of calls that did not fail follow the response schemas of their versions, by id."""
    with_output = [
        (call, call.version_id)
        for call in calls
        if call.version_id
        and call.facts.output_messages is not None
        and call.facts.is_llm_call
        and not call.facts.error
    ]
    schemas = find_response_schemas({version_id for _, version_id in with_output})
    checked = [(call, schemas[version_id]) for call, version_id in with_output if version_id in schemas]
    valid = are_valid((call.facts.output_messages, schema) for call, schema in checked)
    return {call.id: found for (call, _), found in zip(checked, valid, strict=True)}
