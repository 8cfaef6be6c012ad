"""What an app says of an operation (common.openapi), with what all operations have in common, as OpenAPI 3.1."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from rest_framework.serializers import Serializer

from common.openapi import INTEGER, TEXT, Body, Operation, Schema, array, members, nullable, one_of, ref, said

PROBLEM_JSON = "application/problem+json"
REFUSAL = "#/components/responses/"
PARAMETER = re.compile(r"{(\w+)}")

PROBLEM = members(
    type=said(TEXT, "`urn:serinus:problem:` and the code"),
    title=TEXT,
    status=INTEGER,
    detail=said(TEXT, "For people"),
    code=said(TEXT, "For programs; it does not change"),
    errors=array(
        members(field=said(TEXT, "Such as `steps[1].weight`; empty for the whole body"), code=TEXT, message=TEXT)
    ),
    request_id=said(TEXT, "To be found again by in the logs"),
)
PAGE_QUERY: Mapping[str, Schema] = {
    "cursor": said(TEXT, "`next` of the page before"),
    "limit": said(INTEGER, "Items of a page", minimum=1, maximum=500, default=50),
}
OF_A_KEY = {401: ("missing_key", "unknown_key"), 403: ("wrong_scope", "beyond_reach")}
OF_AN_API_VIEW = {400: ("nul_character",), 406: ("not_acceptable",), 503: ("database_unavailable",), **OF_A_KEY}
OF_A_BODY = {
    400: ("malformed_json", "truncated_body", "bad_length", "broken_compression"),
    413: ("body_too_large",),
    415: ("unsupported_media_type", "unsupported_encoding"),
    503: ("busy",),
}
OF_A_REPEATED = {
    400: ("malformed_idempotency_key",),
    409: ("request_in_progress",),
    422: ("idempotency_key_reused",),
}
IDEMPOTENCY_KEY = {
    "Idempotency-Key": said(
        TEXT,
        "Of your own making; with the same one the same request is answered again, and has one effect",
        pattern=r'^("[ !#-\[\]-~]{1,255}"|[!#-~]{1,255})$',
    )
}
REPLAYED = {"Idempotency-Replayed": said(one_of("true"), "That this is the answer to the first such request")}
MEANING = {
    200: "Done",
    201: "Made",
    202: "Taken",
    204: "Done",
    207: "Some were taken, some were not",
    304: "What you have is still right",
    400: "Not a request that can be read",
    401: "No valid key",
    403: "The key may not do this",
    404: "There is no such thing",
    406: "No answer in a type that you accept",
    409: "The state does not allow it",
    410: "It is archived",
    412: "It has changed",
    413: "Too large",
    415: "Not a type or encoding that is understood",
    422: "A field is wrong",
    428: "A precondition is missing",
    429: "Too many requests",
    503: "Not now; Retry-After says when",
}

Direction = Literal["request", "response"]
Reader = Callable[[type[Serializer[Any]], Direction], Schema]
"""Gives the reference to a form's or serializer's component, for `request` or `response`."""


def repeatable(told: Operation, *, shows_again: bool) -> Operation:
    """The operation with what registry.idempotency adds to it. shows_again: its answer has no secret."""
    again: Mapping[int, Sequence[str]] = {} if shows_again else {409: ("secret_not_shown_again",)}
    return replace(
        told,
        headers={**told.headers, **IDEMPOTENCY_KEY},
        answer_headers={**told.answer_headers, **(REPLAYED if shows_again else {})},
        refusals=_codes([told.refusals, OF_A_REPEATED, again]),
    )


def operation_json(
    address: str,
    told: Operation,
    *,
    scope: str,
    read_off: Reader,
    query: Mapping[str, Schema],
    path_parameters: Mapping[str, Schema],
    may_be_empty: bool = False,
) -> dict[str, Any]:
    """address: method and path. query: its parameters, those that are required marked so. may_be_empty: the body."""
    method, path = address.split()
    names = PARAMETER.findall(path)
    found: dict[str, Any] = {
        "operationId": "_".join([method.lower(), *re.findall(r"\w+", path.removeprefix("/api"))]),
        "summary": told.summary,
        "tags": [_tag(path)],
    }
    if description := " ".join(filter(None, [told.description, scope and f"Needs the scope `{scope}`."])):
        found["description"] = description
    asked = {**query, **(PAGE_QUERY if told.pages else {})}
    parameters = [
        *(_parameter("path", name, {**path_parameters[name], "required": True}) for name in names),
        *(_parameter("query", name, schema) for name, schema in asked.items()),
        *(_parameter("header", name, schema) for name, schema in told.headers.items()),
    ]
    if parameters:
        found["parameters"] = parameters
    if told.body is not None:
        found["requestBody"] = _request_body(told, read_off, required=not may_be_empty)
    found["security"] = [{"key": []}] if scope else []
    found["responses"] = dict(sorted(_responses(told, read_off, bool(names), bool(asked), bool(scope)).items()))
    return found


def _tag(path: str) -> str:
    """The area: what stands after the version, or at the beginning."""
    return path.removeprefix("/api/v1/").removeprefix("/api/").strip("/").split("/")[0]


def _parameter(where: str, name: str, schema: Schema) -> dict[str, Any]:
    schema = dict(schema)
    required, description = schema.pop("required", False), schema.pop("description", "")
    described = {"description": description} if description else {}
    return {"in": where, "name": name, **described, "required": required, "schema": schema}


def _request_body(told: Operation, read_off: Reader, *, required: bool) -> dict[str, Any]:
    schema = _schema(told.body, read_off, "request")
    if told.many > 1:
        schema = {"oneOf": [schema, {**array(schema), "minItems": 1, "maxItems": told.many}]}
    content = {"schema": schema} | ({} if told.example is None else {"example": told.example})
    return {"required": required, "content": dict.fromkeys(told.media, content)}


def _responses(
    told: Operation, read_off: Reader, has_parameters: bool, has_query: bool, has_key: bool
) -> dict[str, dict[str, Any]]:
    answer = told.answer
    if told.pages and answer is not None:
        answer = members(items=array(_schema(answer, read_off, "response")), next=nullable(TEXT))
    answers = {told.status: answer, **told.more_answers}
    found = {str(status): _answer(status, body, told, read_off) for status, body in answers.items()}
    if told.answer_headers:
        found[str(told.status)]["headers"] = {name: _header(schema) for name, schema in told.answer_headers.items()}
    for status, codes in _refusals(told, has_parameters, has_query, has_key).items():
        if told.refused is None:
            found[str(status)] = {"$ref": REFUSAL + ".".join([str(status), *codes])}
        else:
            found[str(status)] = _content(status, {"schema": told.refused}, told.media)
    return found


def _header(schema: Schema) -> dict[str, Any]:
    schema = dict(schema)
    return {"description": schema.pop("description"), "schema": schema}


def refusals_referred_to(paths: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """components/responses: problem documents, each named by its status and the codes that it may have there."""
    names = {
        response["$ref"].removeprefix(REFUSAL)
        for operations in paths.values()
        for operation in operations.values()
        for response in operation["responses"].values()
        if "$ref" in response
    }
    return {name: _refusal(*name.split(".")) for name in sorted(names)}


def _refusal(status: str, *codes: str) -> dict[str, Any]:
    known = {"properties": {"status": {"const": int(status)}, "code": {"enum": list(codes)}}}
    return _content(int(status), {"schema": {"allOf": [ref("Problem"), known]}}, [PROBLEM_JSON])


def _answer(status: int, body: Body | None, told: Operation, read_off: Reader) -> dict[str, Any]:
    if body is None:
        return {"description": MEANING[status]}
    return _content(status, {"schema": _schema(body, read_off, "response")}, told.media)


def _content(status: int, content: Schema, media_types: Sequence[str]) -> dict[str, Any]:
    return {"description": MEANING[status], "content": dict.fromkeys(media_types, content)}


def _schema(body: Body | None, read_off: Reader, direction: Direction) -> Schema:
    return read_off(body, direction) if isinstance(body, type) else body or {}


def _refusals(told: Operation, has_parameters: bool, has_query: bool, has_key: bool) -> Mapping[int, Sequence[str]]:
    """Every code that can come, by status; a refusal in words other than a problem document's has none."""
    if told.refused is not None:
        return told.refusals
    is_api_view = told.scope is None
    sources: list[Mapping[int, Sequence[str]]] = [told.refusals]
    if is_api_view:
        sources += [OF_AN_API_VIEW]
        sources += [OF_A_BODY] if told.body is not None else []
        sources += [{404: ("unknown_address",)}] if has_parameters else []
        sources += [{400: ("malformed_limit",), 404: ("not_found",)}] if told.pages else []
    elif has_key:
        sources += [OF_A_KEY]
    if told.body is not None or has_query:
        sources += [{422: ("invalid",)}]
    return _codes(sources)


def _codes(sources: Sequence[Mapping[int, Sequence[str]]]) -> dict[int, list[str]]:
    """Those of all sources by status, each once."""
    codes: dict[int, list[str]] = defaultdict(list)
    for status, code in _pairs(sources):
        if code not in codes[status]:
            codes[status].append(code)
    return codes


def _pairs(sources: Sequence[Mapping[int, Sequence[str]]]) -> Iterator[tuple[int, str]]:
    for source in sources:
        for status, codes in source.items():
            for code in codes:
                yield status, code
